"""Lowering of ONNX operators that move elements about without computing."""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.source.analog import Concat, Pad, Reshape, Slice
from neurodeploy.source.lowering import Ref
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx


def _reshaped(site: OnnxSite, x: Ref, shape: list[int]) -> Ref:
    """Give ``x`` a shape, batch included, that keeps the batch first."""
    if len(shape) < 2 or shape[0] != site.batch or math.prod(shape[1:]) != math.prod(x.shape):
        site.refuse(
            f"the batch is mixed with other dimensions ({(site.batch, *x.shape)} to {tuple(shape)})"
        )
    new = tuple(shape[1:])
    return x if new == x.shape else site.emit(Reshape(new), x)


@lowers_onnx("Reshape")
def _lower_reshape(site: OnnxSite) -> Ref:
    x = site.data()
    own = (site.batch, *x.shape)
    wanted = site.ints(1, "shape") or []
    if not site.get("allowzero", 0):
        wanted = [own[i] if n == 0 and i < len(own) else n for i, n in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = -math.prod(wanted)
        if rest and math.prod(own) % rest == 0:
            wanted = [math.prod(own) // rest if n == -1 else n for n in wanted]
    return _reshaped(site, x, wanted)


@lowers_onnx("Flatten")
def _lower_flatten(site: OnnxSite) -> Ref:
    x = site.data()
    axis = site.get("axis", 1) % (len(x.shape) + 1)
    own = (site.batch, *x.shape)
    return _reshaped(site, x, [math.prod(own[:axis]), math.prod(own[axis:])])


@lowers_onnx("Squeeze")
def _lower_squeeze(site: OnnxSite) -> Ref:
    x = site.data()
    own = (site.batch, *x.shape)
    axes = site.ints(1, "axes")
    gone = {n % len(own) for n in axes} if axes else {i for i, n in enumerate(own) if n == 1}
    return _reshaped(site, x, [n for i, n in enumerate(own) if i not in gone])


@lowers_onnx("Unsqueeze")
def _lower_unsqueeze(site: OnnxSite) -> Ref:
    x = site.data()
    axes = site.ints(1, "axes") or []
    shape = [site.batch, *x.shape]
    rank = len(shape) + len(axes)
    for axis in sorted(n % rank for n in axes):
        shape.insert(axis, 1)
    return _reshaped(site, x, shape)


@lowers_onnx("Transpose")
def _lower_transpose(site: OnnxSite) -> Ref:
    x = site.data()
    own = (site.batch, *x.shape)
    order = site.get("perm", list(reversed(range(len(own)))))
    moved = [d for d in order if d and own[d] != 1]
    if order[0] != 0 or moved != sorted(moved):
        site.refuse(f"permutation {list(order)} reorders the data of shape {x.shape}")
    return _reshaped(site, x, [own[d] for d in order])


@lowers_onnx("Concat")
def _lower_concat(site: OnnxSite) -> Ref:
    refs = [value for value in site.values if isinstance(value, Ref)]
    rank = len(refs[0].shape) + 1
    if site.get("axis", 1) % rank != 1:
        first = site.builder.node(refs[0])
        wraps = any(ref.name in first.inputs for ref in refs)
        site.refuse(
            f"concatenation along axis {site.get('axis', 1)}, expected the channels (1)"
            + ("; circular padding is exported like this, use zeros" if wraps else "")
        )
    if len(refs) == len(site.values):
        return refs[0] if len(refs) == 1 else site.emit(Concat(), *refs)
    at = next(i for i, value in enumerate(site.values) if value is refs[0])
    constants = [site.array(i) for i in range(len(site.values)) if i != at and len(refs) == 1]
    if len(refs) != 1 or any((values != 0).any() for values in constants):
        site.refuse("concatenation with constants, expected zeros around one activation")
    before, after = (sum(v.shape[1] for v in part) for part in (constants[:at], constants[at:]))
    return site.emit(Pad(((before, after), *[(0, 0)] * (rank - 2))), refs[0])


@lowers_onnx("Slice")
def _lower_slice(site: OnnxSite) -> Ref:
    x = site.data()
    own = (site.batch, *x.shape)
    starts, ends = site.ints(1, "starts") or [], site.ints(2, "ends") or []
    axes = site.ints(3, "axes") or list(range(len(starts)))
    steps = site.ints(4, "steps") or [1] * len(starts)
    ranges = [(0, n, 1) for n in own]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            site.refuse(f"a step of {step}")
        ranges[axis] = slice(start, end, step).indices(own[axis])
    if ranges[0] != (0, own[0], 1):
        site.refuse("slicing of the batch dimension")
    if all(bounds == (0, n, 1) for bounds, n in zip(ranges, own, strict=True)):
        return x
    return site.emit(Slice(tuple(ranges[1:])), x)


@lowers_onnx("Split")
def _lower_split(site: OnnxSite) -> tuple[Ref, ...]:
    x = site.data()
    own = (site.batch, *x.shape)
    axis = site.get("axis", 0) % len(own)
    if axis == 0:
        site.refuse("splitting of the batch dimension")
    sizes = site.ints(1, "split")
    if sizes is None:
        most = -(-own[axis] // site.n_outputs)
        sizes = [min(most, own[axis] - i * most) for i in range(site.n_outputs)]
    parts = []
    for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
        ranges = [(0, n, 1) for n in x.shape]
        ranges[axis - 1] = (end - size, end, 1)
        parts.append(site.emit(Slice(tuple(ranges)), x))
    return tuple(parts)


@lowers_onnx("Pad")
def _lower_pad(site: OnnxSite) -> Ref:
    x = site.data()
    rank = len(x.shape) + 1
    mode = site.get("mode", "constant")
    value = site.optional(2)
    fill = float(site.get("value", 0.0) if value is None else value.ravel()[0])
    if mode != "constant" or fill:
        site.refuse(f"padding mode {mode!r} with value {fill:g}, expected zeros")
    pads = site.ints(1, "pads") or []
    axes = site.ints(3, "axes") or list(range(rank))
    amounts = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        amounts[axis] = (pads[i], pads[i + len(axes)])
    if amounts[0] != (0, 0) or min(map(min, amounts)) < 0:
        site.refuse(f"padding {amounts}, expected none of the batch and none below 0")
    return site.emit(Pad(tuple(amounts[1:])), x) if any(map(any, amounts)) else x


@lowers_onnx("Identity", "Dropout")
def _lower_identity(site: OnnxSite) -> Ref:
    training = site.optional(2) if site.operator == "Dropout" else None
    if training is not None and bool(training):
        site.refuse("dropout is active; export in evaluation mode")
    return site.data()


@lowers_onnx("Cast")
def _lower_cast(site: OnnxSite) -> Ref:
    if site.get("to", 1) != 1:
        site.refuse("conversion to another type than float32")
    return site.data()
