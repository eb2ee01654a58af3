"""Transposed convolution for the evaluator of the onnx package, imported only on demand.

The package's own takes the wrong weights where there are groups, does not run with an
``output_shape``, and needs seconds per image.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from neurodeploy.ir.arrays import AnyArray


class ConvTranspose(OpRun):  # type: ignore[misc]
    """Every input element adds its multiple of the kernel to the result."""

    def _run(
        self,
        x: AnyArray,
        weight: AnyArray,
        bias: AnyArray | None = None,
        auto_pad: str | None = None,
        dilations: Sequence[int] | None = None,
        group: int | None = None,
        kernel_shape: Any = None,
        output_padding: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[AnyArray]:
        rank = x.ndim - 2
        ones, zeros = [1] * rank, [0] * rank
        strides, dilations = strides or ones, dilations or ones
        full = [
            (n - 1) * s + (k - 1) * d + 1 + e
            for n, k, s, d, e in zip(
                x.shape[2:],
                weight.shape[2:],
                strides,
                dilations,
                output_padding or zeros,
                strict=True,
            )
        ]
        groups = group or 1
        parts = [
            _scattered(a, w, full, strides, dilations)
            for a, w in zip(
                np.split(x, groups, axis=1), np.split(weight, groups, axis=0), strict=True
            )
        ]
        y = np.concatenate(parts, axis=1)
        same = auto_pad in ("SAME_UPPER", "SAME_LOWER")
        if same and output_shape is None:
            output_shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        if output_shape is not None:
            cut = np.subtract(full, output_shape[-rank:])
            before = cut // 2 if auto_pad == "SAME_UPPER" else cut - cut // 2
            pads = [*before.tolist(), *(cut - before).tolist()]
        elif pads is None or auto_pad == "VALID":
            pads = zeros * 2
        for axis, (b, e, n) in enumerate(zip(pads[:rank], pads[rank:], full, strict=True), 2):
            y = np.take(y, range(b, n - e), axis)
        if bias is not None:
            y = y + bias.reshape(-1, *ones)
        return (y.astype(x.dtype),)


def _scattered(
    x: AnyArray,
    weight: AnyArray,
    full: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> AnyArray:
    y = np.zeros((len(x), weight.shape[1], *full))
    for tap in itertools.product(*map(range, weight.shape[2:])):
        reached = (
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, n, s in zip(tap, dilations, x.shape[2:], strides, strict=True)
        )
        at: Any = (..., *reached)
        of_tap: Any = (..., *tap)
        y[at] += np.einsum("ni...,io->no...", x, weight[of_tap])
    return y
