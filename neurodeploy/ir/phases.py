"""A window over cells that stand apart as plain windows, one for each set of outputs alike.

Between the cells there is nothing, so most of a kernel meets nothing at any one place. Outputs that
are as many steps apart as it takes to come back to a cell meet the same taps of the kernel: over
them it is an ordinary window of the cells themselves, with those taps alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from neurodeploy.ir.geometry import Window


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the plain windows.

    Parameters
    ----------
    outputs, taps, cells : tuple of slice
        The spatial places of the output, cells of the kernel and cells of the input that it is of.
    window : Window
        Over these cells, without spacing.
    """

    outputs: tuple[slice, ...]
    taps: tuple[slice, ...]
    cells: tuple[slice, ...]
    window: Window


def phases(window: Window) -> Iterator[Phase]:
    """The plain windows of a window; outputs of none of them meet no cell at all."""
    n = len(window.kernel)
    for axes in itertools.product(*(list(_axis_phases(window, i)) for i in range(n))):
        yield Phase(
            tuple(a.outputs for a in axes),
            tuple(a.taps for a in axes),
            tuple(a.cells for a in axes),
            Window(
                tuple(a.cells.stop - a.cells.start for a in axes),
                tuple(a.kernel for a in axes),
                tuple(a.stride for a in axes),
                tuple(a.padding for a in axes),
                tuple(a.dilation for a in axes),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Axis:
    outputs: slice
    taps: slice
    cells: slice
    kernel: int
    stride: int
    padding: tuple[int, int]
    dilation: int


def _axis_phases(window: Window, i: int) -> Iterator[_Axis]:
    size, n_out, apart = window.input_size[i], window.output_size[i], window.spacing[i]
    kernel, stride, dilation = window.kernel[i], window.stride[i], window.dilation[i]
    before = window.padding[i][0]
    every, each = apart // math.gcd(stride, apart), apart // math.gcd(dilation, apart)
    for output in range(min(every, n_out)):
        at = output * stride - before
        tap = next((t for t in range(min(each, kernel)) if (at + t * dilation) % apart == 0), None)
        if tap is None:
            continue
        count, taps = -(-(n_out - output) // every), -(-(kernel - tap) // each)
        step, spread = every * stride // apart, each * dilation // apart
        first = (at + tap * dilation) // apart
        end = first + (count - 1) * step + (taps - 1) * spread + 1
        start, stop = max(first, 0), min(end, size)
        if start >= stop:
            continue
        yield _Axis(
            slice(output, None, every),
            slice(tap, None, each),
            slice(start, stop),
            taps,
            step,
            (start - first, end - stop),
            spread,
        )
