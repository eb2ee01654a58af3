"""Counts that are pooled as they are: their weights, and the width these need."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import RealProjection
from neurodeploy.quantization.assembly import counted


@pytest.mark.parametrize(
    ("weight", "bits"), [(0, 2), (1, 2), (-1, 2), (2, 3), (3, 3), (4, 4), (-4, 4), (127, 8)]
)
def test_weights_into_a_pool_have_the_width_they_need(weight: int, bits: int) -> None:
    found = counted(RealProjection("h", "pool", identity((3, 2), float(weight)), delay=4))
    assert (found.weight_bits, found.delay, int(found.exponent)) == (bits, 4, 0)
    assert found.connectivity == identity((3, 2), weight)


def test_weights_that_are_not_whole_are_refused_by_the_first() -> None:
    broken = identity((3,), np.array([1.0, 0.5, 0.25]))
    with pytest.raises(QuantizationError, match=r"h->pool: .* by 0\.5; only whole weights"):
        counted(RealProjection("h", "pool", broken))
