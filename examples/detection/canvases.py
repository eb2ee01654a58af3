"""Canvases of 64 x 64 pixels with one to four handwritten digits and some clutter between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from boxes import CELL

from neurodeploy.datasets import Samples, as_samples

SIDE = 64
SMALLEST, LARGEST = 14, 28
MOST_DIGITS = 4
SCRAPS = 5
SCRAP = 6
INK = 0.1
# Share of the smaller box that two boxes may have in common.
MAX_COMMON = 0.1
PLACES_TRIED = 20

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Canvases:
    """Images and what is on them.

    Parameters
    ----------
    x : array, float32, ``[N, 1, 64, 64]``
        In [0, 1], multiples of 1 / 255.
    boxes : array, float32, ``[M, 6]``
        Rows of (image, class, x0, y0, x1, y1), the corners in pixels; tight around the ink.
    """

    x: Floats
    boxes: Floats


def digits(mnist: str | None, split: str) -> Samples:
    """MNIST from the folder of its four files, or the digits that scikit-learn carries."""
    return as_samples(f"digits@{split}" if mnist is None else f"mnist:{mnist}@{split}", "test")


def draw(source: Samples, n: int, seed: int) -> Canvases:
    """``n`` canvases of digits taken from ``source``; the same for the same seed."""
    assert source.y is not None
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 1, SIDE, SIDE), np.float32)
    boxes: list[tuple[float, ...]] = []
    for image in range(n):
        canvas = x[image, 0]
        for _ in range(SCRAPS):
            _scrap(canvas, source, rng)
        placed: list[tuple[int, int, int, int]] = []
        for _ in range(rng.integers(1, MOST_DIGITS + 1)):
            chosen = int(rng.integers(len(source)))
            digit = resized(cropped(source.x[chosen, 0]), int(rng.integers(SMALLEST, LARGEST + 1)))
            corners = _free_place(digit.shape, placed, rng)
            if corners is None:
                continue
            x0, y0, x1, y1 = corners
            # A scrap below a digit would change what it is.
            canvas[y0:y1, x0:x1] = digit
            placed.append(corners)
            boxes.append((image, int(source.y[chosen]), *corners))
    np.round(x * 255, out=x)
    x /= 255
    return Canvases(x, np.array(boxes, np.float32).reshape(-1, 6))


def cropped(digit: Floats) -> Floats:
    """The part of an image that holds ink."""
    rows = np.flatnonzero((digit > INK).any(axis=1))
    columns = np.flatnonzero((digit > INK).any(axis=0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resized(digit: Floats, longest: int) -> Floats:
    """Bilinear; the longer side becomes ``longest`` pixels."""
    scale = longest / max(digit.shape)
    height, width = (max(3, round(n * scale)) for n in digit.shape)
    rows = np.linspace(0, digit.shape[0] - 1, height)
    columns = np.linspace(0, digit.shape[1] - 1, width)
    top = np.clip(rows.astype(int), 0, max(digit.shape[0] - 2, 0))
    left = np.clip(columns.astype(int), 0, max(digit.shape[1] - 2, 0))
    down = (rows - top)[:, None]
    right = (columns - left)[None]
    below, beside = (
        np.minimum(top + 1, digit.shape[0] - 1),
        np.minimum(left + 1, digit.shape[1] - 1),
    )
    upper = digit[top][:, left] * (1 - right) + digit[top][:, beside] * right
    lower = digit[below][:, left] * (1 - right) + digit[below][:, beside] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _scrap(canvas: Floats, source: Samples, rng: np.random.Generator) -> None:
    """A piece of some digit: ink that is no digit."""
    digit = resized(cropped(source.x[int(rng.integers(len(source))), 0]), LARGEST)
    height, width = (min(SCRAP, n) for n in digit.shape)
    row = int(rng.integers(digit.shape[0] - height + 1))
    column = int(rng.integers(digit.shape[1] - width + 1))
    y, x = (int(rng.integers(SIDE - SCRAP + 1)) for _ in range(2))
    piece = digit[row : row + height, column : column + width]
    canvas[y : y + height, x : x + width] = piece


def _free_place(
    shape: tuple[int, ...], placed: list[tuple[int, int, int, int]], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    height, width = shape
    for _ in range(PLACES_TRIED):
        x0 = int(rng.integers(SIDE - width + 1))
        y0 = int(rng.integers(SIDE - height + 1))
        corners = (x0, y0, x0 + width, y0 + height)
        if not any(_collide(corners, other) for other in placed):
            return corners
    return None


def _collide(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    """Whether two boxes have too much in common, or their centres share a cell of the grid."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    if across > 0 and down > 0 and across * down > MAX_COMMON * smaller:
        return True
    return cell_of(*a) == cell_of(*b)


def cell_of(x0: float, y0: float, x1: float, y1: float) -> tuple[int, int]:
    """Row and column of the cell that holds the centre of a box."""
    return int((y0 + y1) / 2 // CELL), int((x0 + x1) / 2 // CELL)
