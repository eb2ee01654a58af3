"""The window of a window over the results of another one, where both in turn are one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neurodeploy.ir.geometry import Window


@dataclass(frozen=True, slots=True)
class JointWindow:
    """One window in place of two.

    Parameters
    ----------
    window : Window
    steps : tuple of (int, int)
        Per spatial axis, how far apart in its kernel the cells of the outer kernel stand, and those
        of the inner one: a pair of them acts at the sum of their places.
    """

    window: Window
    steps: tuple[tuple[int, int], ...]

    def at(self, tap: tuple[int, ...], inner: tuple[int, ...]) -> tuple[slice, ...]:
        """Where the inner kernel stands that cell ``tap`` of the outer one sees."""
        return tuple(
            slice(t * a, t * a + b * (k - 1) + 1, b)
            for t, k, (a, b) in zip(tap, inner, self.steps, strict=True)
        )


def joint_window(outer: Window, inner: Window) -> JointWindow | None:
    """The window of ``outer`` over ``inner``; None where both are no window.

    Cells that the outer one finds in its padding are nothing, where the joint window would compute
    what the inner one is there: they must lie between cells, or where the inner one is nothing
    as well. Strides of the inner one and a spacing of its results do not commute. With dilation,
    or between cells further apart than the outer kernel reaches, the joint kernel would be mostly
    holes, which are weights of zero.
    """
    found = [_axis(outer, inner, i) for i in range(len(outer.kernel))]
    axes = [axis for axis in found if axis is not None]
    if len(axes) < len(found):
        return None
    window = Window(
        inner.input_size,
        tuple(a.kernel for a in axes),
        tuple(a.stride for a in axes),
        tuple(a.padding for a in axes),
        tuple(a.dilation for a in axes),
        tuple(a.spacing for a in axes),
    )
    if window.output_size != outer.output_size:
        return None
    return JointWindow(window, tuple(a.steps for a in axes))


@dataclass(frozen=True, slots=True)
class _Axis:
    kernel: int
    stride: int
    padding: tuple[int, int]
    dilation: int
    spacing: int
    steps: tuple[int, int]


def _axis(outer: Window, inner: Window, i: int) -> _Axis | None:
    stride, apart = inner.stride[i], outer.spacing[i]
    if stride > 1 and apart > 1:
        return None
    pads = zip(outer.padding[i], _nothing_beyond(inner, i), strict=True)
    if any(pad >= apart and not nothing for pad, nothing in pads):
        return None
    # Cell t of the outer kernel sees the inner one from place t * reach on, whose cells are ``own``
    # apart there.
    reach, own = outer.dilation[i] * stride, inner.dilation[i] * apart
    k_outer, k_inner = outer.kernel[i], inner.kernel[i]
    if k_inner == 1:
        kernel, dilation, steps = k_outer, reach, (1, 1)
    elif k_outer == 1:
        kernel, dilation, steps = k_inner, own, (1, 1)
    elif (outer.dilation[i], inner.dilation[i]) == (1, 1) and apart <= k_outer:
        kernel, dilation = (k_outer - 1) * reach + (k_inner - 1) * own + 1, 1
        steps = (reach, own)
    else:
        return None
    before, after = (
        p * apart + q * stride for p, q in zip(inner.padding[i], outer.padding[i], strict=True)
    )
    return _Axis(
        kernel,
        stride * outer.stride[i],
        (before, after),
        dilation,
        inner.spacing[i] * apart,
        steps,
    )


def _nothing_beyond(window: Window, i: int) -> Iterator[bool]:
    """Whether places before the first and after the last output would meet no cell."""
    before, stride = window.padding[i][0], window.stride[i]
    last_cell = (window.input_size[i] - 1) * window.spacing[i] + before
    yield window.dilation[i] * (window.kernel[i] - 1) - stride < before
    yield window.output_size[i] * stride > last_cell
