"""Windows over images ``[N, H, W, C]`` of the engine's layout; one axis is H = 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from neurodeploy.ir.geometry import Window


def two(values: tuple[int, ...], first: int) -> tuple[int, int]:
    """One or two values of spatial axes as two."""
    return (values[0], values[1]) if len(values) == 2 else (first, values[0])


def padded_image(x: torch.Tensor, window: Window, channels: int, fill: float = 0) -> torch.Tensor:
    """``[N, n]`` as images ``[N, H, W, C]`` padded with ``fill``; without padding, a view."""
    image = x.reshape(-1, *two(window.input_size, 1), channels)
    if max(map(max, window.padding)) == 0:
        return image
    before_after = [n for pair in reversed(window.padding) for n in pair]
    return F.pad(image, (0, 0, *before_after), value=fill)


def window_cells(image: torch.Tensor, window: Window) -> list[torch.Tensor]:
    """Each cell of the window over ``[N, H, W, C]``, in C-order: views ``[N, *output, C]``."""
    cells = [image]
    for axis in range(len(window.kernel)):
        cells = [part for cell in cells for part in _along(cell, window, axis)]
    return cells


def reduce_windows(
    image: torch.Tensor,
    window: Window,
    operation: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Combine the cells of every window of ``[N, H, W, C]``, one axis after the other.

    The result is never a view of ``image``: it may be changed in place.
    """
    result = image
    for axis in range(len(window.kernel)):
        result, *parts = _along(result, window, axis)
        for part in parts:
            result = operation(result, part)
    return result.clone() if window.n_taps == 1 else result


def _along(image: torch.Tensor, window: Window, axis: int) -> list[torch.Tensor]:
    """The cells of every window along one spatial axis, as views."""
    stride, dilation = window.stride[axis], window.dilation[axis]
    length = stride * (window.output_size[axis] - 1) + 1
    at = 3 - len(window.kernel) + axis
    every = (slice(None),) * at + (slice(None, None, stride),)
    return [image.narrow(at, i * dilation, length)[every] for i in range(window.kernel[axis])]
