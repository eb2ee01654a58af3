"""Windows: which there are, and which cells they meet, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from neurodeploy.errors import NetlistError
from neurodeploy.ir.connectivity import Conv
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.phases import phases
from tests.ir.strategies import seeds, windows

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
        ({"spacing": (1, 0)}, "dilation and spacing must be at least 1"),
        ({"spacing": (2**30, 2**30), "stride": (2**30, 2**30)}, "at most 2147483647 together"),
        ({"spacing": (2,)}, r"spacing \(2,\) needs 2 entries"),
        ({"spacing": (2, 1.0)}, "window: spacing 1.0; expected a whole number"),
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
        ({"spacing": (3, 2)}, (7, 4)),
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


def test_cells_that_stand_apart() -> None:
    window = Window((3,), (2,), (1,), ((1, 2),), (1,), (3,))
    assert window.padded_size == (10,)
    padded = window.pad(np.array([[4, 5, 6]]), -1)
    assert padded.tolist() == [[-1, 4, -1, -1, 5, -1, -1, 6, -1, -1]]
    assert window.unpad(padded).tolist() == [[4, 5, 6]]
    assert window.taps_per_output().tolist() == [1, 1, 0, 1, 1, 0, 1, 1, 0]
    assert window.taps_per_input().tolist() == [2, 2, 2]


def test_spacing_is_1_by_default() -> None:
    plain = Window(**GIVEN)
    assert (plain.spacing, plain.is_spaced) == ((1, 1), False)
    assert plain == Window(**GIVEN, spacing=(1, 1))
    one = Window((1, 2), (1, 1), (1, 1), ((0, 0),) * 2, (1, 1), (4, 2))
    assert (one.spacing, one.padded_size, one.is_spaced) == ((4, 2), (1, 3), True)
    # One cell alone stands nowhere, but numbers of executors end.
    with pytest.raises(NetlistError, match="at most 2147483647"):
        Window((1,), (3,), (1,), ((2, 2),), (1,), (10**30,))


def test_maxima_are_of_cells_side_by_side() -> None:
    window = Window((2, 2), (2, 2), (1, 1), ((0, 0),) * 2, (1, 1), (1, 2))
    with pytest.raises(NetlistError, match=r"pooling over a spacing of \(1, 2\); expected 1"):
        MaxPool(1, window)


@given(windows(), seeds)
@settings(max_examples=300)
def test_phases_are_the_window_without_spacing(window: Window, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = Conv(rng.integers(-9, 10, (2, 1, *window.kernel)), 2, window, groups=2)
    x = rng.integers(-9, 10, (1, *whole.pre_shape))
    found, synapses = np.zeros((1, *whole.post_shape), dtype=np.int64), 0
    for phase in phases(window):
        assert not phase.window.is_spaced
        part = Conv(whole.weight[(..., *phase.taps)], 2, phase.window, groups=2)
        found[(..., *phase.outputs)] += part.apply(x[(..., *phase.cells)])
        synapses += part.n_synapses
    post, pre, weight = whole.to_coo()
    expected = np.zeros(found.size, dtype=np.int64)
    np.add.at(expected, post, weight * x.reshape(-1)[pre])
    assert found.reshape(-1).tolist() == expected.tolist() == whole.apply(x).reshape(-1).tolist()
    assert synapses == whole.n_synapses
