"""Lowering of ONNX layers with weights, and of pooling."""

from __future__ import annotations

import numpy as np

from neurodeploy.source.analog import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Linear,
    MaxPool,
    Op,
    Pad,
    Reshape,
)
from neurodeploy.source.lowering import Ref
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx

_Sizes = tuple[int, ...]


def spatial_dimensions(site: OnnxSite, x: Ref) -> int:
    """Number of spatial dimensions, 1 or 2."""
    rank = len(x.shape) - 1
    if rank not in (1, 2):
        site.refuse(f"an input of shape {x.shape}, expected 1 or 2 spatial dimensions")
    return rank


def window(site: OnnxSite, name: str, rank: int, default: int) -> tuple[int, ...]:
    """Integers of an attribute that has one for every spatial dimension."""
    return tuple(int(n) for n in site.get(name, [default] * rank))


def _pads(
    site: OnnxSite,
    x: Ref,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[int, int]]:
    """(before, after) per spatial dimension, with auto_pad worked out."""
    rank = len(kernel)
    auto = site.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = site.get("pads", [0] * 2 * rank) if auto == "NOTSET" else [0] * 2 * rank
        if min(pads) < 0:
            site.refuse(f"negative padding {list(pads)}")
        return [(int(pads[i]), int(pads[i + rank])) for i in range(rank)]
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto!r}")
    pairs = []
    for n, k, s, d in zip(x.shape[1:], kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return pairs


@lowers_onnx("Conv")
def _lower_conv(site: OnnxSite) -> Ref:
    x, weight = site.data(), site.array(1)
    rank = spatial_dimensions(site, x)
    if weight.ndim != rank + 2:
        site.refuse(f"a weight of shape {weight.shape} for an input of shape {x.shape}")
    stride = window(site, "strides", rank, 1)
    dilation = window(site, "dilations", rank, 1)
    pairs = _pads(site, x, weight.shape[2:], stride, dilation)
    conv: type[Conv1d] | type[Conv2d] = Conv1d if rank == 1 else Conv2d
    padding = tuple(n for pair in pairs for n in pair)
    op = conv(weight, site.optional(2), stride, padding, dilation, int(site.get("group", 1)))
    return site.emit(op, x)


@lowers_onnx("Gemm")
def _lower_gemm(site: OnnxSite) -> Ref:
    x = site.data()
    if site.get("transA", 0):
        site.refuse("transA: the batch would not be first")
    weight = site.array(1) * np.float32(site.get("alpha", 1.0))
    weight = weight if site.get("transB", 0) else weight.T
    bias = site.optional(2)
    if bias is not None:
        full = np.broadcast_to(bias * np.float32(site.get("beta", 1.0)), (1, len(weight)))
        bias = full.reshape(-1)
    return site.emit(Linear(weight, bias), x)


@lowers_onnx("MatMul")
def _lower_matmul(site: OnnxSite) -> Ref:
    x, weight = site.data(), site.array(1)
    if weight.ndim != 2:
        site.refuse(f"a weight of shape {weight.shape}, expected a matrix")
    return site.emit(Linear(weight.T), x)


@lowers_onnx("BatchNormalization")
def _lower_batch_norm(site: OnnxSite) -> Ref:
    if site.get("training_mode", 0):
        site.refuse("the statistics of the batch (training_mode); export in evaluation mode")
    weight, bias, mean, var = (site.array(i) for i in range(1, 5))
    return site.emit(BatchNorm(mean, var, weight, bias, site.get("epsilon", 1e-5)), site.data())


def _pool(site: OnnxSite, dilations: bool) -> tuple[Ref, _Sizes, _Sizes, _Sizes, _Sizes]:
    """Input, kernel, stride, symmetric padding and dilation; other paddings are refused."""
    x = site.data()
    rank = spatial_dimensions(site, x)
    kernel = window(site, "kernel_shape", rank, 1)
    stride = window(site, "strides", rank, 1)
    dilation = window(site, "dilations", rank, 1)
    if not dilations and dilation != (1,) * rank:
        site.refuse(f"dilations {dilation}")
    pairs = _pads(site, x, kernel, stride, dilation)
    if any(before != after for before, after in pairs):
        x = _padded_on_one_side(site, x, pairs)
        pairs = [(0, 0)] * rank
    return x, kernel, stride, tuple(before for before, _ in pairs), dilation


def _padded_on_one_side(site: OnnxSite, x: Ref, pairs: list[tuple[int, int]]) -> Ref:
    counted = site.operator == "AveragePool" and site.get("count_include_pad", 0)
    made = site.builder.node(x).op
    # A zero is below every activation only after a ReLU; in an average it must count.
    if not counted and not (site.operator == "MaxPool" and made.kind in ("relu", "clip")):
        site.refuse(f"padding {pairs} that differs between the sides of a dimension")
    return site.emit(Pad(((0, 0), *pairs)), x)


@lowers_onnx("MaxPool")
def _lower_max_pool(site: OnnxSite) -> Ref:
    x, kernel, stride, padding, dilation = _pool(site, dilations=True)
    return site.emit(MaxPool(kernel, stride, padding, bool(site.get("ceil_mode", 0)), dilation), x)


@lowers_onnx("AveragePool")
def _lower_avg_pool(site: OnnxSite) -> Ref:
    x, kernel, stride, padding, _ = _pool(site, dilations=False)
    ceil, counted = bool(site.get("ceil_mode", 0)), bool(site.get("count_include_pad", 0))
    return site.emit(AvgPool(kernel, stride, padding, ceil, counted), x)


@lowers_onnx("GlobalAveragePool")
def _lower_global_avg_pool(site: OnnxSite) -> Ref:
    return _global(site, AvgPool)


@lowers_onnx("GlobalMaxPool")
def _lower_global_max_pool(site: OnnxSite) -> Ref:
    return _global(site, MaxPool)


def _global(site: OnnxSite, pool: type[AvgPool] | type[MaxPool]) -> Ref:
    x = site.data()
    spatial_dimensions(site, x)
    op: Op = pool(x.shape[1:], x.shape[1:])
    return site.emit(op, x)


@lowers_onnx("ReduceMean")
def _lower_reduce_mean(site: OnnxSite) -> Ref:
    x = site.data()
    rank = len(x.shape) + 1
    axes = {n % rank for n in site.ints(1, "axes") or range(rank)}
    if axes & {0, 1}:
        site.refuse(f"a mean over axes {sorted(axes)}, expected spatial ones (2, 3)")
    spatial_dimensions(site, x)
    kernel = tuple(n if i + 2 in axes else 1 for i, n in enumerate(x.shape[1:]))
    pooled = site.emit(AvgPool(kernel, kernel), x)
    if site.get("keepdims", 1):
        return pooled
    shape = tuple(n for i, n in enumerate(pooled.shape) if i + 1 not in axes)
    return site.emit(Reshape(shape), pooled)
