"""Layers of ONNX with weights or windows, resampling, softmax, and functions of ONNX alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.source import analog, arithmetic, moving
from neurodeploy.source.bounds import expect_few
from neurodeploy.source.lowering import Ref, lowers
from neurodeploy.source.onnx.lowering import OnnxSite
from neurodeploy.source.op import n_windows
from neurodeploy.source.operators import batch_norm

_Sizes = tuple[int, ...]
_HALF = Fraction(1, 2)

_ORIGINS: dict[str, Callable[[int, int, int, Fraction], Fraction]] = {
    "asymmetric": lambda i, n, m, f: i / f,
    "half_pixel": lambda i, n, m, f: (i + _HALF) / f - _HALF,
    "half_pixel_symmetric": lambda i, n, m, f: (
        Fraction(n, 2) * (1 - m / (n * f)) + (i + _HALF) / f - _HALF
    ),
    "pytorch_half_pixel": lambda i, n, m, f: (i + _HALF) / f - _HALF if m > 1 else Fraction(0),
    "tf_half_pixel_for_nn": lambda i, n, m, f: (i + _HALF) / f,
    "align_corners": lambda i, n, m, f: i * (n - 1) / (n * f - 1) if m > 1 else Fraction(0),
}
"""Where output element ``i`` of ``m`` lies among ``n`` input elements, at a scale of ``f``."""

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


@dataclass(frozen=True, slots=True)
class _Window:
    """The windows of a convolution or pooling; (before, after) per spatial dimension."""

    kernel: _Sizes
    stride: _Sizes
    dilation: _Sizes
    pairs: list[tuple[int, int]]
    ceil: bool

    @property
    def even(self) -> bool:
        return all(before == after for before, after in self.pairs)

    @property
    def pooled(self) -> bool:
        """Whether a pooling pads so: evenly, by no more than half of its kernel."""
        spans = zip(self.pairs, self.kernel, strict=True)
        return self.even and all(before <= k // 2 for (before, _), k in spans)

    def cells(self, shape: _Sizes) -> Iterator[IntArray]:
        """Positions ``[window, element]`` along the axes of a sample, those outside included."""
        axes = zip(shape[1:], self.kernel, self.stride, self.pairs, self.dilation, strict=True)
        for n, k, s, pair, d in axes:
            count = n_windows(n, k, s, pair, d, self.ceil)
            expect_few((count, k), "lists windows")
            yield np.arange(count)[:, None] * s - pair[0] + np.arange(k) * d


def _each(site: OnnxSite, name: str, value: Any, rank: int, default: int = 1) -> _Sizes:
    """Integers of an attribute that has one for every spatial dimension."""
    found = tuple(int(n) for n in ([default] * rank if value is None else value))
    if len(found) != rank or min(found) < default:
        site.refuse(f"{name} {found}, expected {rank} integers >= {default}")
    return found


def _window(
    site: OnnxSite, x: Ref, kernel_shape: Any, auto_pad: str = "NOTSET", **given: Any
) -> _Window:
    """The attributes of all operators with windows, auto_pad worked out."""
    rank = _rank(site, x)
    kernel = _each(site, "kernel_shape", kernel_shape, rank)
    stride, dilation = (_each(site, k, given.get(k), rank) for k in ("strides", "dilations"))
    axes = zip(x.shape[1:], kernel, stride, dilation, strict=True)
    same = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in axes]
    pairs = _pairs(site, auto_pad, given.get("pads"), same)
    spans = zip(x.shape[1:], pairs, kernel, dilation, strict=True)
    # In ceil mode a window may be wider than the padded input.
    reach = (max(n + sum(pair), d * (k - 1) + 1) for n, pair, k, d in spans)
    expect_few((x.shape[0], *reach), "moves its window over an activation")
    return _Window(kernel, stride, dilation, pairs, bool(given.get("ceil_mode")))


def _pairs(
    site: OnnxSite, auto_pad: str, pads: Any, totals: list[int], shared: bool = False
) -> list[tuple[int, int]]:
    """(before, after) per spatial dimension: as given, or ``totals`` in two halves.

    ``shared``: halves whatever is given.
    """
    rank = len(totals)
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto_pad!r}")
    if shared or auto_pad.startswith("SAME"):
        halves = [(total // 2, total - total // 2) for total in totals]
        return halves if auto_pad == "SAME_UPPER" else [(b, a) for a, b in halves]
    pads = [0] * 2 * rank if pads is None or auto_pad == "VALID" else pads
    if min(pads, default=0) < 0 or len(pads) != 2 * rank:
        what = "negative padding" if len(pads) == 2 * rank else f"{len(pads)} pads"
        site.refuse(f"{what} {list(pads)}, expected {2 * rank} integers >= 0")
    return [(int(pads[i]), int(pads[i + rank])) for i in range(rank)]


def _kernel(site: OnnxSite, x: Ref, weight: Any, bias: Any) -> tuple[AnyArray, AnyArray | None]:
    kernel = site.constant(weight, "weight")
    if kernel.ndim != _rank(site, x) + 2:
        site.refuse(f"a weight of shape {kernel.shape} for an input of shape {x.shape}")
    return kernel, site.optional_constant(bias, "bias")


@lowers(onnx=("Conv",))
def _lower_conv(
    site: OnnxSite, x: Any, weight: Any, bias: Any = None, *, group: int = 1, **window: Any
) -> Ref:
    ref = site.data(x)
    kernel, bias = _kernel(site, ref, weight, bias)
    w = _window(site, ref, **{**window, "kernel_shape": kernel.shape[2:]})
    padding = tuple(n for pair in w.pairs for n in pair)
    conv: Any = analog.Conv1d if kernel.ndim == 3 else analog.Conv2d
    return site.emit(conv(kernel, bias, w.stride, padding, w.dilation, group), ref)


@lowers(onnx=("ConvTranspose",))
def _lower_conv_transpose(
    site: OnnxSite, x: Any, weight: Any, bias: Any = None, *, group: int = 1, **window: Any
) -> Ref:
    ref = site.data(x)
    kernel, bias = _kernel(site, ref, weight, bias)
    rank = kernel.ndim - 2
    stride, dilation = (_each(site, k, window.get(k), rank) for k in ("strides", "dilations"))
    extra = _each(site, "output_padding", window.get("output_padding"), rank, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        site.refuse(f"output_padding {extra} with strides {stride}, expected less than those")
    sizes = zip(ref.shape[1:], kernel.shape[2:], stride, dilation, extra, strict=True)
    full = tuple((n - 1) * s + d * (k - 1) + 1 + e for n, k, s, d, e in sizes)
    expect_few((kernel.shape[1] * group, *full), "makes an activation")
    cuts = _cuts(site, ref, stride, full, **window)
    padding = tuple(min(pair) for pair in cuts)
    conv: Any = analog.ConvTranspose1d if rank == 1 else analog.ConvTranspose2d
    y = site.emit(conv(kernel, bias, stride, padding, extra, dilation, group), ref)
    if all(pair == (p, p) for pair, p in zip(cuts, padding, strict=True)):
        return y
    ranges = [(0, y.shape[0], 1)]
    for (before, after), p, n in zip(cuts, padding, y.shape[1:], strict=True):
        ranges.append((before - p, n - (after - p), 1))
    return site.emit(analog.Slice(tuple(ranges)), y)


def _cuts(
    site: OnnxSite, x: Ref, stride: _Sizes, full: _Sizes, auto_pad: str = "NOTSET", **given: Any
) -> list[tuple[int, int]]:
    """Elements that are cut (before, after) from every spatial dimension of the full result."""
    wanted = given.get("output_shape")
    if wanted and len(wanted) < len(full):
        site.refuse(f"an output_shape {list(wanted)}, expected {len(full)} integers")
    size = wanted or [n * s for n, s in zip(x.shape[1:], stride, strict=True)]
    totals = [have - int(n) for have, n in zip(full, size[-len(full) :], strict=True)]
    if min(totals) < 0 and (wanted or auto_pad.startswith("SAME")):
        site.refuse(f"an output of {list(size)} that is larger than the result {full}")
    return _pairs(site, auto_pad, given.get("pads"), totals, shared=bool(wanted))


@lowers(onnx=("Gemm",))
def _lower_gemm(site: OnnxSite, x: Any, weight: Any, bias: Any = None, **how: Any) -> Ref:
    if how.get("transA"):
        site.refuse("transA: the batch would not be first")
    matrix = site.constant(weight, "weight") * np.float32(how.get("alpha", 1))
    matrix = matrix if how.get("transB") else matrix.T
    if bias is None:
        return moving.contracted(site, site.data(x), 0, matrix, None)
    beta = np.float32(how.get("beta", 1))
    if isinstance(bias, Ref):
        y = moving.contracted(site, site.data(x), 0, matrix, None)
        scaled = moving.spread(site, arithmetic.scaled(site, bias, beta), y.shape)
        return site.data(arithmetic.total(site, y, scaled))
    added = site.constant(bias, "bias") * beta
    if added.size in (1, len(matrix)) and added.shape[-1:] in ((), (1,), matrix.shape[:1]):
        vector = np.broadcast_to(added.reshape(-1), (len(matrix),))
        return moving.contracted(site, site.data(x), 0, matrix, vector)
    y = moving.contracted(site, site.data(x), 0, matrix, None)
    return arithmetic.shifted(site, y, added)


@lowers(onnx=("BatchNormalization",))
def _lower_batch_norm(
    site: OnnxSite, x: Any, *given: Any, epsilon: float = 1e-5, training_mode: int = 0
) -> Ref:
    if training_mode:
        site.refuse("the statistics of the batch (training_mode); export in evaluation mode")
    weight, bias, mean, var = given
    return batch_norm(site, x, mean, var, weight, bias, epsilon)


def _padded(site: OnnxSite, x: Ref, w: _Window) -> tuple[Ref, _Sizes]:
    """What a pooling takes and its padding, which is an operation before it where it is uneven."""
    if w.pooled:
        return x, tuple(before for before, _ in w.pairs)
    return site.emit(analog.Pad(((0, 0), *w.pairs)), x), (0,) * len(w.pairs)


@lowers(onnx=("MaxPool",))
def _lower_max_pool(site: OnnxSite, x: Any, **given: Any) -> Ref:
    ref = site.data(x)
    w = _window(site, ref, **given)
    # A zero is below every activation after a ReLU.
    if w.pooled or site.made(ref).kind in ("relu", "clip"):
        ref, padding = _padded(site, ref, w)
        return site.emit(analog.MaxPool(w.kernel, w.stride, padding, w.ceil, w.dilation), ref)
    return moving.maxima(site, ref, list(w.cells(ref.shape)))


@lowers(onnx=("AveragePool",))
def _lower_avg_pool(site: OnnxSite, x: Any, *, count_include_pad: int = 0, **given: Any) -> Ref:
    ref = site.data(x)
    w, counted = _window(site, ref, **given), bool(count_include_pad)
    if set(w.dilation) == {1} and (w.pooled or counted):
        ref, padding = _padded(site, ref, w)
        return site.emit(analog.AvgPool(w.kernel, w.stride, padding, w.ceil, counted), ref)
    return moving.averages(site, ref, list(w.cells(ref.shape)), counted)


@lowers(onnx=("GlobalAveragePool", "GlobalMaxPool"))
def _lower_global_pool(site: OnnxSite, x: Any) -> Ref:
    ref = site.data(x)
    _rank(site, ref)
    pool = analog.AvgPool if site.operator == "GlobalAveragePool" else analog.MaxPool
    return site.emit(pool(ref.shape[1:], ref.shape[1:]), ref)


@lowers(onnx=("Softmax", "LogSoftmax"))
def _lower_softmax(site: OnnxSite, x: Any, *, axis: int | None = None) -> Ref:
    ref = site.data(x)
    axis = (axis if axis is not None else -1 if site.opset >= 13 else 1) % (len(ref.shape) + 1)
    # Before opset 13 everything from the axis on is one dimension.
    if axis != 1 or (site.opset < 13 and len(ref.shape) > 1):
        behind = " and all behind it (as before opset 13)" if site.opset < 13 else ""
        what = f"softmax over axis {axis}{behind} of {len(ref.shape) + 1}, expected the channels"
        site.refuse(f"{what} alone (1); end the network before it")
    return site.emit(analog.Softmax(site.operator == "LogSoftmax"), ref)


@lowers(onnx=("Upsample",))
def _lower_upsample(
    site: OnnxSite, x: Any, scales: Any = None, *, mode: str = "nearest", **given: Any
) -> Ref:
    return _lower_resize(site, x, None, given.get("scales", scales), mode=mode)


@lowers(onnx=("Resize",))
def _lower_resize(
    site: OnnxSite, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, **how: Any
) -> Ref:
    """One matrix per axis: nearest elements, or linear or cubic interpolation."""
    ref, axes = site.data(x), how.get("axes")
    if site.operator == "Resize" and site.opset < 11:
        # Opset 10 has no region of interest in between.
        scales = roi
    own = (site.batch, *ref.shape)
    chosen = [n % len(own) for n in (range(len(own)) if axes is None else axes)]
    policy = how.get("keep_aspect_ratio_policy", "stretch")
    found = _lengths(site, [own[n] for n in chosen], scales, sizes, policy)
    for axis, (after, _) in zip(chosen, found, strict=True):
        if (axis == 0 and after != own[0]) or after < 1:
            site.refuse("resizing of the batch, or to nothing")
    resized = {
        **dict(enumerate(own)),
        **{axis: n for axis, (n, _) in zip(chosen, found, strict=True)},
    }
    expect_few((n for axis, n in resized.items() if axis), "makes an activation")
    for axis, (after, factor) in zip(chosen, found, strict=True):
        if axis and (after != own[axis] or factor != 1):
            matrix = _resized(site, own[axis], after, factor, **how)
            ref = moving.along(site, ref, axis - 1, matrix)
    return ref


def _resized(site: OnnxSite, n: int, m: int, factor: Fraction, **how: Any) -> AnyArray:
    place = how.get("coordinate_transformation_mode", "half_pixel")
    nearest, mode = how.get("nearest_mode", "round_prefer_floor"), how.get("mode", "nearest")
    if site.operator == "Upsample" or site.opset < 11:
        place, nearest = "asymmetric", "floor"
    if place not in _ORIGINS or nearest not in _NEAREST or mode not in ("nearest", *_REACH):
        site.refuse(f"mode {mode!r}, coordinates {place!r} with {nearest!r}")
    expect_few((m, n), "resamples by a matrix")
    matrix = np.zeros((m, n))
    # Of fewer elements each is an average over as many more.
    width = max(Fraction(1), 1 / factor) if how.get("antialias") else Fraction(1)
    for i in range(m):
        at = _ORIGINS[place](i, n, m, factor)
        if mode == "nearest":
            matrix[i, min(max(_NEAREST[nearest](at), 0), n - 1)] = 1
            continue
        reach = _REACH[mode] * width
        for cell in range(math.floor(at - reach) + 1, math.ceil(at + reach)):
            if 0 <= cell < n or not how.get("exclude_outside"):
                share = _share(mode, float(abs(cell - at) / width), how.get("cubic_coeff_a", -0.75))
                matrix[i, min(max(cell, 0), n - 1)] += share
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix


_REACH = {"linear": 1, "cubic": 2}


def _share(mode: str, far: float, a: float) -> float:
    """What an element counts so far away; cubic ones as in R. Keys, 1981."""
    if mode == "linear":
        return 1 - far
    if far < 1:
        return ((a + 2) * far - (a + 3)) * far**2 + 1
    return ((far - 5) * far + 8) * far * a - 4 * a


def _lengths(
    site: OnnxSite, lengths: list[int], scales: Any, sizes: Any, policy: str
) -> list[tuple[int, Fraction]]:
    """Length of every axis afterwards, and its scale, from the sizes or the scales."""
    if sizes is not None and np.size(sizes):
        after = site.ints(sizes)
        if len(after) != len(lengths):
            site.refuse(f"sizes {after} for {len(lengths)} dimensions")
        factors = [Fraction(n, own) for n, own in zip(after, lengths, strict=True)]
        if policy != "stretch":
            # One scale for all, by which the result is not larger (not smaller) than asked.
            factors = [(min if policy == "not_larger" else max)(factors)] * len(factors)
            after = [math.floor(own * f + _HALF) for own, f in zip(lengths, factors, strict=True)]
        return list(zip(after, factors, strict=True))
    given = np.ravel(site.array(scales) if isinstance(scales, Ref) or scales is None else scales)
    if given.size != len(lengths) or not np.isfinite(given).all():
        site.refuse(f"scales {given.tolist()} for {len(lengths)} dimensions")
    found = [Fraction(float(n)) for n in given]
    return [(math.floor(own * f), f) for own, f in zip(lengths, found, strict=True)]


@lowers(onnx=("ScatterElements", "ScatterND"))
def _lower_scatter(site: OnnxSite, *_: Any, reduction: str = "none", **how: Any) -> Ref:
    """Elements that are put in the place of others."""
    if reduction != "none":
        site.refuse(f"scattered elements with reduction={reduction!r}")
    return moving.moved(site)


@lowers(onnx=("HardSigmoid",))
def _lower_hard_sigmoid(site: OnnxSite, x: Any, alpha: float = 0.2, beta: float = 0.5) -> Ref:
    """``clip(alpha x + beta, 0, 1)``, which for 1/6 and 1/2 has a name."""
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return site.emit(analog.Function("hardsigmoid"), site.data(x))
    y = arithmetic.scaled(site, site.data(x), np.float32(alpha))
    return arithmetic.clamped(site, arithmetic.shifted(site, y, np.float32(beta)), 0.0, 1.0)


@lowers(onnx=("Identity", "Dropout"))
def _lower_identity(site: OnnxSite, x: Any, _ratio: Any = None, training: Any = None) -> Ref:
    if training is not None and site.array(training).any():
        site.refuse("dropout is active; export in evaluation mode")
    return site.data(x)


@lowers(onnx=("Cast", "CastLike"))
def _lower_cast(site: OnnxSite, x: Any, like: Any = None, *, to: int = 1) -> Ref:
    if to not in (1, 9) or (isinstance(like, np.ndarray) and like.dtype != np.float32):
        site.refuse("conversion to another type than float32")
    return site.data(x)
