"""Operators for the evaluator of the onnx package, imported only on demand.

Those of QONNX, and transposed convolution: the package's own takes the wrong weights where there
are groups, does not run with an ``output_shape``, and needs seconds per image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from onnx.reference.op_run import OpRun

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


class Quant(OpRun):  # type: ignore[misc]
    """QONNX: rounded to levels."""

    op_domain = QONNX

    def _run(self, *values: AnyArray, **how: Any) -> tuple[AnyArray]:
        return (folded(type(self).__name__, list(values), **how),)


class BipolarQuant(Quant):
    """QONNX: a scale with the sign of its input."""

    op_domain = QONNX


OPERATORS = (ConvTranspose, Quant, BipolarQuant)
