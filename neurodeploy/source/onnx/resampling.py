"""Lowering of ONNX operators that make tensors larger."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from neurodeploy.source.analog import ConvTranspose1d, ConvTranspose2d, Slice, Upsample
from neurodeploy.source.lowering import Ref
from neurodeploy.source.onnx.layers import spatial_dimensions, window
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx

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


@lowers_onnx("ConvTranspose")
def _lower_conv_transpose(site: OnnxSite) -> Ref:
    x, weight = site.data(), site.array(1)
    rank = spatial_dimensions(site, x)
    if weight.ndim != rank + 2:
        site.refuse(f"a weight of shape {weight.shape} for an input of shape {x.shape}")
    stride = window(site, "strides", rank, 1)
    dilation = window(site, "dilations", rank, 1)
    extra = window(site, "output_padding", rank, 0)
    if any(e < 0 or e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        site.refuse(f"output_padding {extra} with strides {stride}, expected less than those")
    full = tuple(
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, k, s, d, e in zip(
            x.shape[1:], weight.shape[2:], stride, dilation, extra, strict=True
        )
    )
    cuts = _cuts(site, x, stride, full)
    padding = tuple(min(pair) for pair in cuts)
    conv: type[ConvTranspose1d] | type[ConvTranspose2d]
    conv = ConvTranspose1d if rank == 1 else ConvTranspose2d
    group = int(site.get("group", 1))
    op = conv(weight, site.optional(2), stride, padding, extra, dilation, group)
    y = site.emit(op, x)
    ranges = [(0, y.shape[0], 1)]
    for (before, after), p, n in zip(cuts, padding, y.shape[1:], strict=True):
        ranges.append((before - p, n - (after - p), 1))
    if all(pair == (p, p) for pair, p in zip(cuts, padding, strict=True)):
        return y
    return site.emit(Slice(tuple(ranges)), y)


def _cuts(
    site: OnnxSite, x: Ref, stride: tuple[int, ...], full: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Elements that are cut (before, after) from every spatial dimension of the full result."""
    rank = len(full)
    auto = site.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto!r}")
    wanted = site.get("output_shape", None)
    if wanted is None and auto in ("NOTSET", "VALID"):
        pads = site.get("pads", [0] * 2 * rank) if auto == "NOTSET" else [0] * 2 * rank
        if min(pads) < 0:
            site.refuse(f"negative padding {list(pads)}")
        return [(int(pads[i]), int(pads[i + rank])) for i in range(rank)]
    if wanted is None:
        wanted = [n * s for n, s in zip(x.shape[1:], stride, strict=True)]
    totals = [have - int(n) for have, n in zip(full, wanted[-rank:], strict=True)]
    if min(totals) < 0:
        site.refuse(f"an output of shape {list(wanted)} that is larger than the result {full}")
    less_first = auto == "SAME_UPPER"
    return [(t // 2, t - t // 2) if less_first else (t - t // 2, t // 2) for t in totals]


@lowers_onnx("Resize", "Upsample")
def _lower_resize(site: OnnxSite) -> Ref:
    x = site.data()
    mode = site.get("mode", "nearest")
    if mode != "nearest":
        site.refuse(f"mode {mode!r}, expected 'nearest'")
    policy = site.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        site.refuse(f"keep_aspect_ratio_policy {policy!r}, expected 'stretch'")
    own = (site.batch, *x.shape)
    axes = [n % len(own) for n in site.get("axes", range(len(own)))]
    factors = [Fraction(1)] * len(own)
    for axis, factor in zip(axes, _factors(site, [own[n] for n in axes]), strict=True):
        factors[axis] = factor
    if factors[:2] != [1, 1]:
        site.refuse("resizing of the batch or of the channels")
    if any(f < 1 or f.denominator != 1 for f in factors):
        shown = ", ".join(f"{float(f):g}" for f in factors[2:])
        site.refuse(f"resizing by ({shown}), expected whole factors")
    whole = tuple(int(f) for f in factors[2:])
    if all(f == 1 for f in whole):
        return x
    _expect_repeats(site, x, whole)
    return site.emit(Upsample(whole), x)


def _factors(site: OnnxSite, lengths: list[int]) -> list[Fraction]:
    """Scale of every axis, from the sizes or the scales."""
    sizes = site.optional(3)
    if sizes is not None and sizes.size:
        return [Fraction(int(n), own) for n, own in zip(sizes.ravel(), lengths, strict=True)]
    # Opset 10 has no region of interest in between; opset 7 knows attributes only.
    given = site.optional(1 if site.operator == "Upsample" or site.opset < 11 else 2)
    scales = np.asarray(site.get("scales", ()) if given is None else given).ravel()
    if scales.size != len(lengths) or not np.isfinite(scales).all():
        site.refuse(f"scales {scales.tolist()} for {len(lengths)} dimensions")
    return [Fraction(float(n)) for n in scales]


def _expect_repeats(site: OnnxSite, x: Ref, factors: tuple[int, ...]) -> None:
    """Refuse coordinates by which an element does not just repeat ``factor`` times."""
    early = site.operator == "Upsample" or site.opset < 11
    place = site.get("coordinate_transformation_mode", "asymmetric" if early else "half_pixel")
    nearest = site.get("nearest_mode", "floor" if early else "round_prefer_floor")
    if place not in _ORIGINS or nearest not in _NEAREST:
        site.refuse(f"coordinates {place!r} with {nearest!r}")
    for n, factor in zip(x.shape[1:], factors, strict=True):
        taken = [_NEAREST[nearest](_ORIGINS[place](i, n, n * factor)) for i in range(n * factor)]
        if [min(max(i, 0), n - 1) for i in taken] != [i // factor for i in range(n * factor)]:
            site.refuse(
                f"coordinates {place!r} with {nearest!r}, by which elements do not repeat {factor}"
                " times; expected 'asymmetric' with 'floor' or 'half_pixel' with rounding"
            )
