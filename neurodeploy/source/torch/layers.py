"""Lowering of layers with weights, activations and dropout."""

from __future__ import annotations

from typing import Any

import torch

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import rounding
from neurodeploy.source.analog import (
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Linear,
    ReLU,
    Reshape,
    Softmax,
)
from neurodeploy.source.lowering import Deferred, Ref, Site, Unconverted, lowers


def _linear(site: Site, x: Ref, weight: AnyArray, bias: AnyArray | None) -> Ref:
    if len(x.shape) == 1:
        return site.emit(Linear(weight, bias), x)
    if any(n != 1 for n in x.shape[:-1]):
        site.refuse(f"a linear layer over the last dimension of shape {x.shape}, expected a vector")
    flat = site.emit(Reshape(x.shape[-1:]), x)
    y = site.emit(Linear(weight, bias), flat)
    return site.emit(Reshape((*x.shape[:-1], *y.shape)), y)


@lowers("linear", label="linear")
def _lower_linear(site: Site, x: Any, weight: Any, bias: Any) -> Ref:
    return _linear(
        site,
        site.data(x),
        site.constant(weight, "weight"),
        site.optional_constant(bias, "bias"),
    )


@lowers("matmul", "mm")
def _lower_matmul(site: Site, x: Any, **other: Any) -> Ref:
    (matrix,) = other.values()
    weight = site.constant(matrix, "matrix")
    if weight.ndim != 2:
        site.refuse(f"matrix product with an operand of shape {weight.shape}")
    return _linear(site, site.data(x), weight.T, None)


@lowers("addmm")
def _lower_addmm(site: Site, x: Any, mat1: Any, mat2: Any, beta: Any, alpha: Any) -> Ref:
    bias = site.constant(x, "bias") * beta
    weight = site.constant(mat2, "matrix").T * alpha
    if bias.shape != weight.shape[:1]:
        site.refuse(f"addmm with a bias of shape {bias.shape}, expected {weight.shape[:1]}")
    return _linear(site, site.data(mat1), weight, bias)


@lowers("conv1d", "conv2d", label="conv1d/2d")
def _lower_conv(
    site: Site,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Ref:
    kernel = site.constant(weight, "weight")
    rank = kernel.ndim - 2
    dilation = _per_dimension(dilation, rank)
    pads: list[int] = []
    for i, d in enumerate(dilation):
        if padding == "same":
            total = d * (kernel.shape[2 + i] - 1)
            pads += [total // 2, total - total // 2]
        else:
            pads += [0, 0] if padding == "valid" else [_per_dimension(padding, rank)[i]] * 2
    conv = (Conv1d, Conv2d)[rank - 1](
        kernel,
        site.optional_constant(bias, "bias"),
        _per_dimension(stride, rank),
        tuple(pads),
        dilation,
        groups,
    )
    return site.emit(conv, site.data(x))


@lowers("conv_transpose1d", "conv_transpose2d", label="conv-transpose1d/2d")
def _lower_conv_transpose(
    site: Site,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Ref:
    kernel = site.constant(weight, "weight")
    rank = kernel.ndim - 2
    op = (ConvTranspose1d, ConvTranspose2d)[rank - 1](
        kernel,
        site.optional_constant(bias, "bias"),
        _per_dimension(stride, rank),
        _per_dimension(padding, rank),
        _per_dimension(output_padding, rank),
        _per_dimension(dilation, rank),
        groups,
    )
    return site.emit(op, site.data(x))


@lowers("convolution")
def _lower_either_convolution(
    site: Site, x: Any, transposed: bool, output_padding: Any, **rest: Any
) -> Ref:
    """What decomposed programs have in place of all convolutions."""
    shape = site.constant(rest["weight"], "weight").shape
    if len(shape) not in (3, 4):
        site.refuse(f"a convolution with weights of shape {shape}, expected 1 or 2 dimensions")
    if transposed:
        return _lower_conv_transpose(site, x, output_padding=output_padding, **rest)
    return _lower_conv(site, x, **rest)


def _per_dimension(value: Any, rank: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * rank if len(values) == 1 else values


@lowers("_native_batch_norm_legit_no_training", label="batch norm")
def _lower_batch_norm(
    site: Site,
    x: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
) -> tuple[Ref | Unconverted, ...]:
    op = BatchNorm(
        site.constant(running_mean, "mean"),
        site.constant(running_var, "variance"),
        site.optional_constant(weight, "weight"),
        site.optional_constant(bias, "bias"),
        eps,
    )
    rest = Unconverted("the saved statistics of batch normalization")
    return site.emit(op, site.data(x)), rest, rest


@lowers("batch_norm")
def _lower_whole_batch_norm(site: Site, training: bool, cudnn_enabled: bool, **rest: Any) -> Any:
    if training:
        _refuse_batch_statistics(site)
    return _lower_batch_norm(site, **rest)[0]


@lowers("_native_batch_norm_legit", "_native_batch_norm_legit_functional")
def _refuse_batch_statistics(site: Site, **_: Any) -> Ref:
    site.refuse(
        "batch normalization with the statistics of the batch; call .eval() and keep"
        " track_running_stats=True"
    )


@lowers("native_dropout", label="dropout")
def _lower_native_dropout(site: Site, x: Any, p: float, train: bool | None) -> Any:
    if train and p > 0:
        site.refuse("dropout is active; call .eval(), and pass training=self.training to F.dropout")
    return x, Unconverted("dropout masks")


@lowers("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
def _lower_dropout(site: Site, x: Any, p: float, train: bool) -> Any:
    return _lower_native_dropout(site, x, p, train)[0]


@lowers("relu", label="ReLU")
def _lower_relu(site: Site, x: Any) -> Ref:
    return site.emit(ReLU(), site.data(x))


@lowers("relu6", deferred=True)
def _lower_relu6(site: Site, x: Any) -> Ref:
    return _clamp(site, x, 0.0, 6.0)


@lowers("hardtanh", label="ReLU6", deferred=True)
def _lower_hardtanh(site: Site, x: Any, min_val: float, max_val: float) -> Ref:
    return _clamp(site, x, min_val, max_val)


@lowers("clamp", "clamp_min", deferred=True)
def _lower_clamp(site: Site, x: Any, min: Any = None, max: Any = None) -> Ref:
    return _clamp(site, x, min, max)


def _clamp(site: Site, x: Any, low: Any, high: Any) -> Ref:
    bounds = [None if v is None else site.constant(v, "bound") for v in (low, high)]
    if any(v is not None and v.size != 1 for v in bounds):
        site.refuse("clamp with bounds that differ between elements")
    minimum, maximum = (None if v is None else float(v.reshape(())) for v in bounds)
    if minimum is None and maximum is not None:
        return rounding.minimum(site, site.data(x), maximum)
    if minimum != 0 or (maximum is not None and maximum <= 0):
        site.refuse(f"clamp to [{minimum}, {maximum}], expected a lower bound of 0")
    if maximum is None:
        return site.emit(ReLU(), site.data(x))
    return rounding.clip(site, x if isinstance(x, Deferred) else site.data(x), maximum)


@lowers("threshold")
def _lower_threshold(site: Site, x: Any, threshold: float, value: float) -> Ref:
    if threshold != 0 or value != 0:
        site.refuse(f"threshold {threshold} with value {value}, expected 0 and 0")
    return site.emit(ReLU(), site.data(x))


@lowers("maximum")
def _lower_maximum(site: Site, x: Any, other: Any) -> Ref:
    data, constant = (x, other) if isinstance(x, Ref) else (other, x)
    if (site.constant(constant) != 0).any() or site.shape[1:] != site.data(data).shape:
        site.refuse("maximum with a constant other than 0")
    return site.emit(ReLU(), data)


@lowers("minimum")
def _lower_minimum(site: Site, x: Any, other: Any) -> Ref:
    data, constant = (x, other) if isinstance(x, Ref) else (other, x)
    bound = site.constant(constant)
    if bound.size != 1 or site.shape[1:] != site.data(data).shape:
        site.refuse("minimum with a constant that differs between elements")
    return rounding.minimum(site, data, float(bound.reshape(())))


@lowers("clamp_max")
def _lower_clamp_max(site: Site, x: Any, max: Any) -> Ref:
    return _lower_minimum(site, x, max)


def _softmax(site: Site, x: Any, dim: int, log: bool) -> Ref:
    if dim % len(site.shape) != 1:
        site.refuse(f"softmax over dimension {dim}, expected the channels (1)")
    if site.dtype != torch.float32:
        site.refuse(f"softmax to {site.dtype}, expected torch.float32")
    return site.emit(Softmax(log), site.data(x))


@lowers("softmax", label="final softmax")
def _lower_softmax(site: Site, x: Any, dim: int, **_: Any) -> Ref:
    return _softmax(site, x, dim, log=False)


@lowers("log_softmax")
def _lower_log_softmax(site: Site, x: Any, dim: int, **_: Any) -> Ref:
    return _softmax(site, x, dim, log=True)
