"""Windows: which there are, and which cells they meet, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import NetlistError
from neurodeploy.ir.geometry import Window

GIVEN: dict[str, Any] = {
    "input_size": (3, 5),
    "kernel": (2, 3),
    "stride": (1, 2),
    "padding": ((1, 0), (0, 2)),
    "dilation": (1, 2),
}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kernel": (0, 3)}, "must be at least 1"),
        ({"stride": (1, 0)}, "must be at least 1"),
        ({"dilation": (0, 1)}, "must be at least 1"),
        ({"input_size": (0, 5)}, "must be at least 1"),
        ({"padding": ((1, 0), (0, -1))}, "negative padding"),
        ({"padding": ((1, 0), (0, 1, 2))}, r"expected \(before, after\) for each axis"),
        ({"padding": ((1, 0),)}, r"padding \(\(1, 0\),\) needs 2 entries"),
        ({"kernel": (2,)}, r"kernel \(2,\) needs 2 entries"),
        ({"stride": (1, 1, 1)}, "stride .* needs 2 entries"),
        ({"dilation": (1,)}, "dilation .* needs 2 entries"),
        ({"input_size": (3, 5, 7)}, "3 spatial axes; 1 or 2 are supported"),
        ({"input_size": ()}, "0 spatial axes; 1 or 2 are supported"),
        ({"kernel": (2.0, 3)}, "window: kernel 2.0; expected a whole number"),
        # 5 + 2 padded cells: a kernel of 4 with dilation 2 spans 7 of them, of 5 nine.
        ({"kernel": (2, 5)}, r"kernel \(2, 5\) with dilation \(1, 2\) is larger than the padded"),
        ({"kernel": (5, 3)}, r"larger than the padded input \(4, 7\)"),
    ],
)
def test_windows_that_are_none_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(NetlistError, match=told):
        Window(**GIVEN | fields)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (3, 2)),
        ({"kernel": (4, 4)}, (1, 1)),
        ({"kernel": (1, 1)}, (4, 4)),
        ({"stride": (3, 3)}, (1, 1)),
        ({"stride": (2, 1)}, (2, 3)),
        ({"padding": ((0, 0), (0, 0)), "dilation": (1, 1)}, (2, 2)),
    ],
)
def test_sizes_of_what_comes_out(fields: dict[str, Any], size: tuple[int, ...]) -> None:
    window = Window(**GIVEN | fields)
    assert window.output_size == size
    sums = np.zeros(size)
    for _, where in window.taps():
        sums += window.pad(np.zeros(window.input_size))[where]
    assert not sums.any()


def test_a_kernel_of_one_cell_has_no_dilation() -> None:
    window = Window(**GIVEN | {"kernel": (1, 3), "dilation": (4, 2)})
    assert window.dilation == (1, 2)
    assert Window((4,), (2,), (1,), ((0, 0),), (3,)).dilation == (3,)


def test_cells_that_windows_meet() -> None:
    window = Window(**GIVEN)
    assert (window.padded_size, window.n_taps) == ((4, 7), 6)
    assert [tap for tap, _ in window.taps()] == [(i, j) for i in range(2) for j in range(3)]
    assert window.tap_slices((1, 2)) == (slice(1, 4, 1), slice(4, 7, 2))
    cells = np.arange(1, 16).reshape(3, 5)
    padded = window.pad(cells, -1)
    assert padded.tolist() == [
        [-1] * 7,
        *([*row, -1, -1] for row in cells.tolist()),
    ]
    assert window.unpad(padded).tolist() == cells.tolist()
    # Columns 0, 2, 4 and 2, 4, 6 of rows of which the first is padding.
    assert window.taps_per_output().tolist() == [[3, 2], [6, 4], [6, 4]]
    assert window.taps_per_input().tolist() == [[2, 0, 4, 0, 4], [2, 0, 4, 0, 4], [1, 0, 2, 0, 2]]
