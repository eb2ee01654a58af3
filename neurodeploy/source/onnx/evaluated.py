"""Operators for the evaluator of the onnx package, imported only on demand.

Those of QONNX, and those that the package's own evaluate wrongly or not at all: transposed
convolution (the wrong weights where there are groups, no ``output_shape``, seconds per image),
batch normalization before opset 14 (statistics of the batch are mixed in), maxima (padding of
``SAME_LOWER``, one spatial dimension), resampling before opset 11, and padding that cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_resize import Resize as ResizeOfThePackage

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.onnx.quantized import QONNX, folded


class ConvTranspose(OpRun):  # type: ignore[misc]
    """The whole result by torch, of which the padding is cut as ONNX says."""

    def _run(
        self, x: AnyArray, weight: AnyArray, bias: AnyArray | None = None, **how: Any
    ) -> tuple[AnyArray]:
        rank = x.ndim - 2
        ones, zeros = [1] * rank, [0] * rank
        conv: Any = (torch.conv_transpose1d, torch.conv_transpose2d)[rank - 1]
        x64, w64, *b64 = (torch.tensor(v).double() for v in (x, weight, bias) if v is not None)
        strides, dilations = (how.get(name) or ones for name in ("strides", "dilations"))
        y = conv(
            *(x64, w64, b64[0] if b64 else None),
            *(strides, zeros, zeros, how.get("group") or 1, dilations),
        ).numpy()
        # What output_padding adds at the end, no input reaches.
        extra = [(0, 0), (0, 0), *((0, n) for n in how.get("output_padding") or zeros)]
        end = 0.0 if bias is None else bias.reshape(-1, *ones).astype(np.float64)
        y = np.pad(y - end, extra) + end
        auto_pad, output_shape, pads = map(how.get, ("auto_pad", "output_shape", "pads"))
        if auto_pad in ("SAME_UPPER", "SAME_LOWER") and output_shape is None:
            output_shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        if output_shape is not None:
            cut = np.subtract(y.shape[2:], output_shape[-rank:])
            before = cut // 2 if auto_pad == "SAME_UPPER" else cut - cut // 2
            pads = [*before.tolist(), *(cut - before).tolist()]
        elif pads is None or auto_pad == "VALID":
            pads = zeros * 2
        for axis, (b, e) in enumerate(zip(pads[:rank], pads[rank:], strict=True), 2):
            y = np.take(y, range(b, y.shape[axis] - e), axis)
        return (y.astype(x.dtype),)


class BatchNormalization(OpRun):  # type: ignore[misc]
    """With stored statistics in every opset; what else it may return is those."""

    def _run(
        self, x: AnyArray, *given: AnyArray, epsilon: float | None = None, **_: Any
    ) -> tuple[AnyArray, ...]:
        shape = (1, -1, *(1,) * (x.ndim - 2))
        scale, bias, mean, var = (v.astype(np.float64).reshape(shape) for v in given)
        eps = 1e-5 if epsilon is None else epsilon
        y = (x - mean) / np.sqrt(var + eps) * scale + bias
        results = (y.astype(x.dtype), *given[2:], *given[2:])
        return results[: len(self.onnx_node.output)]


class GlobalMaxPool(OpRun):  # type: ignore[misc]
    """Over any number of spatial dimensions."""

    def _run(self, x: AnyArray) -> tuple[AnyArray]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class MaxPool(OpRun):  # type: ignore[misc]
    """One spatial dimension after the other."""

    def _run(self, x: AnyArray, *, kernel_shape: Sequence[int], **how: Any) -> tuple[AnyArray, ...]:
        rank = len(kernel_shape)
        pads = how.get("pads") or [0] * 2 * rank
        strides, dilations = (how.get(name) or [1] * rank for name in ("strides", "dilations"))
        y = x.astype(np.float64)
        for i, kernel in enumerate(kernel_shape):
            n, step, apart = x.shape[2 + i], strides[i], dilations[i]
            width = (kernel - 1) * apart + 1
            before, after = pads[i], pads[i + rank]
            if how.get("auto_pad") == "VALID":
                before = after = 0
            if how.get("auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
                total = max((-(-n // step) - 1) * step + width - n, 0)
                less, more = total // 2, total - total // 2
                before, after = (less, more) if how["auto_pad"] == "SAME_UPPER" else (more, less)
            count = (n + before + after - width) // step + 1
            if how.get("ceil_mode"):
                count = -(-(n + before + after - width) // step) + 1
                count -= (count - 1) * step >= n + before
                after = max(after, (count - 1) * step + width - n - before)
            around = [(0, 0)] * x.ndim
            around[2 + i] = (before, after)
            y = np.moveaxis(np.pad(y, around, constant_values=-np.inf), 2 + i, 0)
            starts = (j * apart for j in range(kernel))
            cells = (y[start : start + (count - 1) * step + 1 : step] for start in starts)
            y = np.moveaxis(reduce(np.maximum, cells), 0, 2 + i)
        # Nothing that is converted takes the positions.
        nowhere = [np.full(y.shape, -1, np.int64)] * (len(self.onnx_node.output) - 1)
        return (y.astype(x.dtype), *nowhere)


class Pad(OpRun):  # type: ignore[misc]
    """Negative amounts, which the package's own does not know, cut off elements."""

    def _run(
        self, x: AnyArray, *given: AnyArray | None, mode: str | None = None, **how: Any
    ) -> tuple[AnyArray]:
        pads, constant, axes = [*given, None, None, None][:3]
        amounts = [int(n) for n in np.ravel(how["pads"] if pads is None else pads)]
        where = range(x.ndim) if axes is None else [int(n) % x.ndim for n in np.ravel(axes)]
        around, kept = [(0, 0)] * x.ndim, [slice(None)] * x.ndim
        for axis, before, after in zip(
            where, amounts[: len(where)], amounts[len(where) :], strict=True
        ):
            around[axis] = (max(before, 0), max(after, 0))
            kept[axis] = slice(max(-before, 0), max(x.shape[axis] + min(after, 0), 0))
        if mode in ("reflect", "edge", "wrap"):
            copied: Any = mode
            return (np.pad(x[tuple(kept)], around, copied),)
        value = how.get("value") or 0 if constant is None else np.ravel(constant)[0]
        return (np.pad(x[tuple(kept)], around, constant_values=value),)


class Resize(ResizeOfThePackage):  # type: ignore[misc]
    """The package's own, which knows opset 11 and later."""

    def _run(self, x: AnyArray, *given: AnyArray | None, **how: Any) -> tuple[AnyArray]:
        if self.run_params["opsets"][""] < 11:
            place, scales = {"coordinate_transformation_mode": "asymmetric"}, given[-1:]
            how = {"mode": how.get("mode"), "nearest_mode": "floor", **place}
            given = (None, *(scales or (np.asarray(self.scales, np.float32),)))
        result: tuple[AnyArray] = super()._run(x, *given, **how)
        return result


class Upsample(Resize):
    """Of opsets 7 (scales are an attribute) to 9."""


class Quant(OpRun):  # type: ignore[misc]
    """QONNX: rounded to levels."""

    op_domain = QONNX

    def _run(self, *values: AnyArray, **how: Any) -> tuple[AnyArray]:
        return (folded(type(self).__name__, list(values), **how),)


class BipolarQuant(Quant):
    """QONNX: a scale with the sign of its input."""

    op_domain = QONNX


OPERATORS = (
    BatchNormalization,
    BipolarQuant,
    ConvTranspose,
    GlobalMaxPool,
    MaxPool,
    Pad,
    Quant,
    Resize,
    Upsample,
)
