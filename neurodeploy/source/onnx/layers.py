"""Layers of ONNX with weights or windows, resampling, and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.source import arithmetic, moving
from neurodeploy.source.analog import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    MaxPool,
    Pad,
    Slice,
    Softmax,
)
from neurodeploy.source.lowering import Ref
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx

_Sizes = tuple[int, ...]
_HALF = Fraction(1, 2)

_ORIGINS: dict[str, Callable[[int, int, int], Fraction]] = {
    "asymmetric": lambda i, n, m: Fraction(i * n, m),
    "half_pixel": lambda i, n, m: (i + _HALF) * n / m - _HALF,
    "half_pixel_symmetric": lambda i, n, m: (i + _HALF) * n / m - _HALF,
    "pytorch_half_pixel": lambda i, n, m: (i + _HALF) * n / m - _HALF if m > 1 else Fraction(0),
    "tf_half_pixel_for_nn": lambda i, n, m: (i + _HALF) * n / m,
    "align_corners": lambda i, n, m: Fraction(i * (n - 1), m - 1) if m > 1 else Fraction(0),
}
"""Where output element ``i`` of ``m`` lies among ``n`` input elements."""

_NEAREST: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - _HALF),
    "round_prefer_ceil": lambda x: math.floor(x + _HALF),
}


def _rank(site: OnnxSite, x: Ref) -> int:
    """Number of spatial dimensions, 1 or 2."""
    rank = len(x.shape) - 1
    if rank == 3:
        site.refuse("three spatial dimensions; use depth as channels of a 2-d layer")
    if rank not in (1, 2):
        site.refuse(f"an input of shape {x.shape}, expected 1 or 2 spatial dimensions")
    return rank


def _window(site: OnnxSite, name: str, rank: int, default: int) -> _Sizes:
    """Integers of an attribute that has one for every spatial dimension."""
    return tuple(int(n) for n in site.get(name, [default] * rank))


def _pads(
    site: OnnxSite, x: Ref, kernel: _Sizes, stride: _Sizes, dilation: _Sizes
) -> list[tuple[int, int]]:
    """(before, after) per spatial dimension, with auto_pad worked out."""
    auto = site.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        return _given_pads(site, len(kernel), auto)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto!r}")
    pairs = []
    for n, k, s, d in zip(x.shape[1:], kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return pairs


def _given_pads(site: OnnxSite, rank: int, auto: str) -> list[tuple[int, int]]:
    pads = site.get("pads", [0] * 2 * rank) if auto == "NOTSET" else [0] * 2 * rank
    if min(pads) < 0:
        site.refuse(f"negative padding {list(pads)}")
    return [(int(pads[i]), int(pads[i + rank])) for i in range(rank)]


@lowers_onnx("Conv")
def _lower_conv(site: OnnxSite) -> Ref:
    x, weight = site.data(), site.array(1)
    rank = _rank(site, x)
    if weight.ndim != rank + 2:
        site.refuse(f"a weight of shape {weight.shape} for an input of shape {x.shape}")
    stride = _window(site, "strides", rank, 1)
    dilation = _window(site, "dilations", rank, 1)
    pairs = _pads(site, x, weight.shape[2:], stride, dilation)
    conv: type[Conv1d] | type[Conv2d] = Conv1d if rank == 1 else Conv2d
    padding = tuple(n for pair in pairs for n in pair)
    op = conv(weight, site.optional(2), stride, padding, dilation, int(site.get("group", 1)))
    return site.emit(op, x)


@lowers_onnx("ConvTranspose")
def _lower_conv_transpose(site: OnnxSite) -> Ref:
    x, weight = site.data(), site.array(1)
    rank = _rank(site, x)
    if weight.ndim != rank + 2:
        site.refuse(f"a weight of shape {weight.shape} for an input of shape {x.shape}")
    stride = _window(site, "strides", rank, 1)
    dilation = _window(site, "dilations", rank, 1)
    extra = _window(site, "output_padding", rank, 0)
    if any(e < 0 or e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        site.refuse(f"output_padding {extra} with strides {stride}, expected less than those")
    sizes = zip(x.shape[1:], weight.shape[2:], stride, dilation, extra, strict=True)
    full = tuple((n - 1) * s + d * (k - 1) + 1 + e for n, k, s, d, e in sizes)
    cuts = _cuts(site, x, stride, full)
    padding = tuple(min(pair) for pair in cuts)
    conv: type[ConvTranspose1d] | type[ConvTranspose2d]
    conv = ConvTranspose1d if rank == 1 else ConvTranspose2d
    group = int(site.get("group", 1))
    y = site.emit(conv(weight, site.optional(2), stride, padding, extra, dilation, group), x)
    ranges = [(0, y.shape[0], 1)]
    for (before, after), p, n in zip(cuts, padding, y.shape[1:], strict=True):
        ranges.append((before - p, n - (after - p), 1))
    if all(pair == (p, p) for pair, p in zip(cuts, padding, strict=True)):
        return y
    return site.emit(Slice(tuple(ranges)), y)


def _cuts(site: OnnxSite, x: Ref, stride: _Sizes, full: _Sizes) -> list[tuple[int, int]]:
    """Elements that are cut (before, after) from every spatial dimension of the full result."""
    rank = len(full)
    auto = site.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto!r}")
    wanted = site.get("output_shape", None)
    if wanted is None and auto in ("NOTSET", "VALID"):
        return _given_pads(site, rank, auto)
    if wanted is None:
        wanted = [n * s for n, s in zip(x.shape[1:], stride, strict=True)]
    totals = [have - int(n) for have, n in zip(full, wanted[-rank:], strict=True)]
    if min(totals) < 0:
        site.refuse(f"an output of shape {list(wanted)} that is larger than the result {full}")
    less_first = auto == "SAME_UPPER"
    return [(t // 2, t - t // 2) if less_first else (t - t // 2, t // 2) for t in totals]


@lowers_onnx("Gemm")
def _lower_gemm(site: OnnxSite) -> Ref:
    if site.get("transA", 0):
        site.refuse("transA: the batch would not be first")
    weight = site.array(1) * np.float32(site.get("alpha", 1.0))
    weight = weight if site.get("transB", 0) else weight.T
    bias = site.optional(2)
    if bias is not None:
        full = np.broadcast_to(bias * np.float32(site.get("beta", 1.0)), (1, len(weight)))
        bias = full.reshape(-1)
    return moving.contracted(site, site.data(), 0, weight, bias)


@lowers_onnx("MatMul")
def _lower_matmul(site: OnnxSite) -> Ref:
    if isinstance(site.values[0], Ref) and isinstance(site.values[1], Ref):
        site.refuse(arithmetic.PRODUCT)
    left = not isinstance(site.values[0], Ref)
    x, matrix = site.data(int(left)), site.array(1 - int(left))
    if matrix.ndim > 2 and (matrix == matrix[:1]).all():
        matrix = matrix[(0,) * (matrix.ndim - 2)]
    if matrix.ndim != 2 or (left and len(x.shape) < 2):
        site.refuse(f"a constant of shape {matrix.shape} by an activation of {x.shape}")
    axis = len(x.shape) - (2 if left else 1)
    return moving.contracted(site, x, axis, matrix if left else matrix.T, None)


@lowers_onnx("Einsum")
def _lower_einsum(site: OnnxSite) -> Ref:
    at = [i for i, value in enumerate(site.values) if isinstance(value, Ref)]
    if len(at) != 1 or len(site.values) != 2:
        site.refuse(arithmetic.PRODUCT if len(at) > 1 else "other than two operands")
    equation = str(site.get("equation", ""))
    return moving.contraction(site, equation, at[0], site.data(at[0]), site.array(1 - at[0]))


@lowers_onnx("BatchNormalization")
def _lower_batch_norm(site: OnnxSite) -> Ref:
    if site.get("training_mode", 0):
        site.refuse("the statistics of the batch (training_mode); export in evaluation mode")
    weight, bias, mean, var = (site.array(i) for i in range(1, 5))
    return site.emit(BatchNorm(mean, var, weight, bias, site.get("epsilon", 1e-5)), site.data())


@lowers_onnx("MaxPool")
def _lower_max_pool(site: OnnxSite) -> Ref:
    x, kernel, stride, dilation, pairs, ceil = _pooling(site)
    if all(before == after for before, after in pairs):
        return site.emit(MaxPool(kernel, stride, tuple(p for p, _ in pairs), ceil, dilation), x)
    if site.builder.node(x).op.kind in ("relu", "clip"):
        # A zero is below every activation after a ReLU.
        return site.emit(
            MaxPool(kernel, stride, (0,) * len(kernel), ceil, dilation),
            site.emit(Pad(((0, 0), *pairs)), x),
        )
    return moving.windowed(site, x, _max_windows(x.shape, kernel, stride, dilation, pairs, ceil))


def _max_windows(
    shape: _Sizes,
    kernel: _Sizes,
    stride: _Sizes,
    dilation: _Sizes,
    pairs: list[tuple[int, int]],
    ceil: bool,
) -> IntArray:
    """Elements of every window, those outside replaced by one that is inside."""
    windows = np.arange(math.prod(shape)).reshape(shape)
    for axis, (k, s, d, (before, after)) in enumerate(
        zip(kernel, stride, dilation, pairs, strict=True), 1
    ):
        n = shape[axis]
        room = n + before + after - d * (k - 1) - 1
        count = (room + (s - 1 if ceil else 0)) // s + 1
        count -= ceil and (count - 1) * s >= n + before
        cells = np.arange(count)[:, None] * s - before + np.arange(k) * d
        inside = (cells >= 0) & (cells < n)
        first = np.take_along_axis(cells, inside.argmax(axis=1)[:, None], axis=1)
        cells = np.where(inside, cells, first)
        windows = np.moveaxis(np.take(windows, cells, axis), axis + 1, -1)
    return windows.reshape(*windows.shape[: len(shape)], -1)


def _pooling(
    site: OnnxSite,
) -> tuple[Ref, _Sizes, _Sizes, _Sizes, list[tuple[int, int]], bool]:
    """Input, kernel, stride, dilation, (before, after) per dimension, and ceil_mode."""
    x = site.data()
    rank = _rank(site, x)
    kernel = _window(site, "kernel_shape", rank, 1)
    stride = _window(site, "strides", rank, 1)
    dilation = _window(site, "dilations", rank, 1)
    pairs = _pads(site, x, kernel, stride, dilation)
    return x, kernel, stride, dilation, pairs, bool(site.get("ceil_mode", 0))


@lowers_onnx("AveragePool")
def _lower_avg_pool(site: OnnxSite) -> Ref:
    x, kernel, stride, dilation, pairs, ceil = _pooling(site)
    counted = bool(site.get("count_include_pad", 0))
    if set(dilation) == {1} and all(before == after for before, after in pairs):
        return site.emit(AvgPool(kernel, stride, tuple(p for p, _ in pairs), ceil, counted), x)
    if set(dilation) == {1} and counted:
        x = site.emit(Pad(((0, 0), *pairs)), x)
        return site.emit(AvgPool(kernel, stride, (0,) * len(kernel), ceil, True), x)
    spacing = zip(kernel, stride, dilation, pairs, strict=True)
    for axis, (k, s, d, (before, after)) in enumerate(spacing, 1):
        n = x.shape[axis]
        room = n + before + after - d * (k - 1) - 1
        count = (room + (s - 1 if ceil else 0)) // s + 1
        cells = np.arange(count)[:, None] * s - before + np.arange(k) * d
        matrix = (cells[:, :, None] == np.arange(n)).sum(axis=1)
        size = np.full((count, 1), k) if counted else matrix.sum(axis=1, keepdims=True)
        x = moving.along(site, x, axis, matrix / size)
    return x


@lowers_onnx("GlobalAveragePool", "GlobalMaxPool")
def _lower_global_pool(site: OnnxSite) -> Ref:
    x = site.data()
    _rank(site, x)
    pool = AvgPool if site.operator == "GlobalAveragePool" else MaxPool
    return site.emit(pool(x.shape[1:], x.shape[1:]), x)


@lowers_onnx("Softmax", "LogSoftmax")
def _lower_softmax(site: OnnxSite) -> Ref:
    x = site.data()
    axis = site.get("axis", -1 if site.opset >= 13 else 1) % (len(x.shape) + 1)
    # Before opset 13 everything from the axis on is one dimension.
    if axis != 1 or (site.opset < 13 and len(x.shape) > 1):
        site.refuse(f"softmax over axis {axis} of {len(x.shape) + 1}, expected the channels (1)")
    return site.emit(Softmax(site.operator == "LogSoftmax"), x)


@lowers_onnx("Resize", "Upsample")
def _lower_resize(site: OnnxSite) -> Ref:
    """One matrix per axis: nearest elements or linear interpolation between two."""
    x = site.data()
    mode = site.get("mode", "nearest")
    policy = site.get("keep_aspect_ratio_policy", "stretch")
    if mode not in ("nearest", "linear") or policy != "stretch" or site.get("antialias", 0):
        site.refuse(f"mode {mode!r}, {policy}, expected 'nearest' or 'linear' without antialias")
    own = (site.batch, *x.shape)
    axes = [n % len(own) for n in site.get("axes", range(len(own)))]
    for axis, (after, factor) in zip(axes, _lengths(site, [own[n] for n in axes]), strict=True):
        if (axis == 0 and after != own[0]) or after < 1:
            site.refuse("resizing of the batch, or to nothing")
        if axis and (after != own[axis] or factor != 1):
            x = moving.along(site, x, axis - 1, _resized(site, mode, own[axis], after, factor))
    return x


def _resized(site: OnnxSite, mode: str, n: int, m: int, factor: Fraction) -> AnyArray:
    early = site.operator == "Upsample" or site.opset < 11
    place = site.get("coordinate_transformation_mode", "asymmetric" if early else "half_pixel")
    nearest = site.get("nearest_mode", "floor" if early else "round_prefer_floor")
    if place not in _ORIGINS or nearest not in _NEAREST:
        site.refuse(f"coordinates {place!r} with {nearest!r}")
    if Fraction(m, n) != factor and place != "align_corners":
        site.refuse(f"a scale of {float(factor):g} that makes {m} of {n}; give the sizes instead")
    matrix = np.zeros((m, n))
    for i in range(m):
        at = _ORIGINS[place](i, n, m)
        if mode == "nearest":
            matrix[i, min(max(_NEAREST[nearest](at), 0), n - 1)] = 1
            continue
        low = math.floor(at)
        for cell, share in ((low, 1 - (at - low)), (low + 1, at - low)):
            matrix[i, min(max(cell, 0), n - 1)] += float(share)
    return matrix


def _lengths(site: OnnxSite, lengths: list[int]) -> list[tuple[int, Fraction]]:
    """Length of every axis afterwards, and its scale, from the sizes or the scales."""
    sizes = site.optional(3)
    if sizes is not None and sizes.size:
        return [
            (int(n), Fraction(int(n), own)) for n, own in zip(sizes.ravel(), lengths, strict=True)
        ]
    # Opset 10 has no region of interest in between; opset 7 knows attributes only.
    given = site.optional(1 if site.operator == "Upsample" or site.opset < 11 else 2)
    scales = np.asarray(site.get("scales", ()) if given is None else given).ravel()
    if scales.size != len(lengths) or not np.isfinite(scales).all():
        site.refuse(f"scales {scales.tolist()} for {len(lengths)} dimensions")
    found = [Fraction(float(n)) for n in scales]
    return [(math.floor(own * f), f) for own, f in zip(lengths, found, strict=True)]
