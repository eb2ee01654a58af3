"""Layers of torch with weights or windows, softmax, dropout, and functions of torch alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurodeploy.source import analog, arithmetic, moving
from neurodeploy.source.analog import Shape
from neurodeploy.source.lowering import Deferred, Ref, lowers
from neurodeploy.source.operators import batch_norm
from neurodeploy.source.torch.site import Site


@lowers("linear")
def _lower_linear(site: Site, x: Any, weight: Any, bias: Any) -> Ref:
    ref = site.data(x)
    matrix, vector = site.constant(weight, "weight"), site.optional_constant(bias, "bias")
    return moving.contracted(site, ref, len(ref.shape) - 1, matrix, vector)


@lowers("addmm")
def _lower_addmm(site: Site, x: Any, mat1: Any, mat2: Any, beta: Any, alpha: Any) -> Ref:
    bias = site.constant(x, "bias") * beta
    weight = site.constant(mat2, "matrix").T * alpha
    if bias.shape != weight.shape[:1]:
        site.refuse(f"addmm with a bias of shape {bias.shape}, expected {weight.shape[:1]}")
    return moving.contracted(site, site.data(mat1), 0, weight, bias)


@lowers("conv1d", "conv2d")
def _lower_conv(
    site: Site, x: Any, weight: Any, bias: Any, padding: Any, groups: int, **given: Any
) -> Ref:
    kernel, vector = site.constant(weight, "weight"), site.optional_constant(bias, "bias")
    rank = kernel.ndim - 2
    stride, dilation = (_sizes(given[name], rank) for name in ("stride", "dilation"))
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel.shape[2:], strict=True)]
        pads = tuple(n for total in totals for n in (total // 2, total - total // 2))
    else:
        both = _sizes(0 if padding == "valid" else padding, rank)
        pads = tuple(n for n in both for _ in range(2))
    conv = (analog.Conv1d, analog.Conv2d)[rank - 1]
    return site.emit(conv(kernel, vector, stride, pads, dilation, groups), site.data(x))


@lowers("conv_transpose1d", "conv_transpose2d")
def _lower_conv_transpose(
    site: Site, x: Any, weight: Any, bias: Any, groups: int, **given: Any
) -> Ref:
    kernel, vector = site.constant(weight, "weight"), site.optional_constant(bias, "bias")
    names = ("stride", "padding", "output_padding", "dilation")
    sizes = {name: _sizes(given[name], kernel.ndim - 2) for name in names}
    conv: Any = (analog.ConvTranspose1d, analog.ConvTranspose2d)[kernel.ndim - 3]
    return site.emit(conv(kernel, vector, groups=groups, **sizes), site.data(x))


@lowers("convolution", "_convolution")
def _lower_either_convolution(
    site: Site, x: Any, transposed: bool, output_padding: Any, **rest: Any
) -> Ref:
    """Convolutions of every kind in decomposed programs, and in traced modules inside of others."""
    shape = site.constant(rest["weight"], "weight").shape
    if len(shape) not in (3, 4):
        site.refuse(f"a convolution with weights of shape {shape}, expected 1 or 2 dimensions")
    if transposed:
        return _lower_conv_transpose(site, x, output_padding=output_padding, **rest)
    return _lower_conv(site, x, **rest)


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * rank if len(values) == 1 else values


@lowers("batch_norm", "_native_batch_norm_legit_no_training")
def _lower_batch_norm(site: Site, x: Any, eps: float, **given: Any) -> Any:
    if given.get("training"):
        _refuse_batch_statistics(site)
    names = ("running_mean", "running_var", "weight", "bias")
    mean, var, weight, bias = (given[name] for name in names)
    y = batch_norm(site, x, mean, var, weight, bias, eps)
    return site.first(y, "the saved statistics of batch normalization")


@lowers("_native_batch_norm_legit", "_native_batch_norm_legit_functional")
def _refuse_batch_statistics(site: Site, **_: Any) -> Ref:
    site.refuse(
        "batch normalization with the statistics of the batch; call .eval() and keep"
        " track_running_stats=True"
    )


@lowers("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", deferred=True)
@lowers("native_dropout", deferred=True)
def _lower_dropout(site: Site, x: Any, p: float, train: bool | None) -> Any:
    if train and p > 0:
        site.refuse("dropout is active; call .eval(), and pass training=self.training to F.dropout")
    return site.first(x, "dropout masks")


@lowers("softmax", "log_softmax", "_softmax", "_log_softmax")
def _lower_softmax(site: Site, x: Any, dim: int, **_: Any) -> Ref:
    if dim % len(site.shape) != 1:
        what = f"softmax over dimension {dim}, expected the channels (1)"
        site.refuse(f"{what}; end the network before it")
    if site.dtype != torch.float32:
        site.refuse(f"softmax to {site.dtype}, expected torch.float32")
    return site.emit(analog.Softmax("log" in site.operator), site.data(x))


def _rank(site: Site) -> int:
    return 1 if "pool1d" in site.operator else 2


def _windows(
    site: Site, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, **_: Any
) -> tuple[Shape, Shape, Shape, bool]:
    """The arguments that all poolings have."""
    sizes = (kernel_size, stride or kernel_size, padding)
    k, s, p = (_sizes(value, _rank(site)) for value in sizes)
    return k, s, p, ceil_mode


@lowers("avg_pool1d", "avg_pool2d")
def _lower_avg_pool(site: Site, x: Any, count_include_pad: bool, **given: Any) -> Ref:
    op = analog.AvgPool(*_windows(site, **given), count_include_pad, given.get("divisor_override"))
    return site.emit(op, site.data(x))


@lowers(
    *("max_pool1d", "max_pool2d", "max_pool1d_with_indices", "max_pool2d_with_indices"),
    deferred=True,
)
def _lower_max_pool(site: Site, x: Any, dilation: Any, **given: Any) -> Any:
    op = analog.MaxPool(*_windows(site, **given), _sizes(dilation, _rank(site)))
    y = x.pooled(site, op) if isinstance(x, Padded) else site.emit(op, site.data(x))
    return site.first(y, "the indices of max-pooling")


@dataclass(frozen=True, slots=True)
class Padded(Deferred):
    """Values below all others around an activation, which max-pooling takes as its own padding.

    Parameters
    ----------
    pads : tuple of (before, after)
        Per dimension of a sample.
    """

    pads: tuple[tuple[int, int], ...] = ()

    def pooled(self, site: Site, op: analog.MaxPool) -> Ref:
        """The maxima of windows over both; refused where one of them has no activation."""
        channels, *pads = self.pads
        shape = tuple(n + sum(pair) for n, pair in zip(self.base.shape, self.pads, strict=True))
        after = op.output_shape([shape])[1:]
        sizes = (op.kernel, op.stride, op.padding, op.dilation)
        even = tuple(before for before, _ in pads)
        fits = all(a == b and 2 * a <= k for (a, b), k in zip(pads, op.kernel, strict=True))
        if any(channels):
            self.refuse()
        if fits and not (any(op.padding) or op.ceil_mode):
            return site.emit(replace(op, padding=even), self.base)
        cells = [
            np.arange(m)[:, None] * s - p - before + np.arange(k) * d
            for m, before, k, s, p, d in zip(after, even, *sizes, strict=True)
        ]
        for n, axis in zip(self.base.shape[1:], cells, strict=True):
            if not ((axis >= 0) & (axis < n)).any(axis=1).all():
                self.refuse()
        return moving.maxima(site, self.base, cells)


@lowers("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d")
@lowers("adaptive_max_pool1d", "adaptive_max_pool2d")
def _lower_adaptive_pool(site: Site, x: Any, output_size: Any) -> Any:
    y = _adaptive(site, site.data(x), output_size, "max" in site.operator)
    return site.first(y, "the indices of max-pooling")


def _adaptive(site: Site, x: Ref, output_size: Any, maximum: bool) -> Ref:
    sizes, outs = x.shape[1:], _sizes(output_size, _rank(site))
    if len(sizes) != len(outs):
        site.refuse(f"adaptive pooling of an input of shape {x.shape}")
    outs = tuple(n if out is None else out for n, out in zip(sizes, outs, strict=True))
    if any(n % out for n, out in zip(sizes, outs, strict=True)):
        windows = moving.uneven_windows(x.shape, outs)
        return (moving.maxima if maximum else moving.averages)(site, x, windows)
    kernel = tuple(n // out for n, out in zip(sizes, outs, strict=True))
    return site.emit(
        analog.MaxPool(kernel, kernel) if maximum else analog.AvgPool(kernel, kernel), x
    )


@lowers("instance_norm")
def _lower_instance_norm(site: Site, x: Any, use_input_stats: bool, **given: Any) -> Ref:
    if use_input_stats:
        site.refuse_operator()
    ref: Ref = _lower_batch_norm(site, x, **given)
    return ref


@lowers("relu6", "hardtanh", deferred=True)
def _lower_hardtanh(site: Site, x: Any, min_val: float = 0.0, max_val: float = 6.0) -> Ref:
    return arithmetic.clamped(site, x, min_val, max_val)


@lowers("threshold")
def _lower_threshold(site: Site, x: Any, threshold: float, value: float) -> Ref:
    if threshold == value:
        return arithmetic.clamped(site, site.data(x), float(value), None)
    return arithmetic.function(site, site.data(x), f"x {threshold!r} gt x {value!r} where")


@lowers("rrelu", "rrelu_with_noise", "rrelu_with_noise_functional")
def _lower_rrelu(site: Site, x: Any, lower: Any, upper: Any, training: bool, **_: Any) -> Any:
    if training:
        site.refuse("slopes drawn at random in every call; call .eval()")
    y = arithmetic.leaky(site, site.data(x), np.float32((lower + upper) / 2))
    return site.first(y, "the noise of a random slope")


@lowers("masked_fill")
def _lower_masked_fill(site: Site, x: Any, mask: Any, value: Any) -> Ref:
    return arithmetic.chosen(site, *(site.value(v) for v in (mask, value, x)))


@lowers("var", "var_mean", "std_mean")
def _lower_var(
    site: Site, x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, **given: Any
) -> Any:
    """``(mean(x^2) - mean(x)^2) n / (n - correction)``: squares are functions of one value."""
    ref = site.data(x)
    axes = site.axes(ref, dim)
    n = int(np.prod([ref.shape[a] for a in axes]))
    correction = float(given.get("unbiased", 1 if correction is None else correction))
    if correction >= n:
        site.refuse(f"a variance of {n} values with a correction of {correction:g}; take more")
    square = "x x mul"
    squares = moving.reduced(site, arithmetic.function(site, ref, square), "mean", axes, keepdim)
    means = moving.reduced(site, ref, "mean", axes, keepdim)
    y = arithmetic.total(site, squares, arithmetic.function(site, means, square), 1, -1)
    y = arithmetic.scaled(site, y, np.asarray(n / (n - correction), np.float32))
    if site.n_results is None:
        return y
    return (arithmetic.function(site, y, "x sqrt") if "std" in site.operator else y), means
