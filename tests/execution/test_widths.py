"""Where 32 bits end, and where nothing is proved: the last number and the next."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from neurodeploy.errors import CapacityError
from neurodeploy.execution.native.widths import needs_64_bits
from neurodeploy.execution.pytorch.engine import Engine
from neurodeploy.execution.pytorch.precision import Precision, prove_precision
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Conv, Dense, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import integrator, neuron, pool, spikes, window

TOP = 2**31
Fields = dict[str, Any]


def alone(cell: Population, timesteps: int = 1, high: int = 0, weight: int = 1) -> IntegerNetlist:
    """One neuron, and a synapse from an input up to ``high``; without any where that is 0."""
    link = IntegerProjection("x", "h", Dense(np.array([[weight]]), (1,)), weight_bits=16)
    parts = (spikes("x", (1,), 0, max(high, 1)), cell)
    return IntegerNetlist("net", parts, (link,) if high else (), (), timesteps)


def wide(netlist: IntegerNetlist) -> bool:
    return needs_64_bits(netlist, netlist.timesteps, prove_bounds(netlist))


def proved(netlist: IntegerNetlist) -> Precision:
    return prove_precision(netlist, netlist.timesteps)


def cell(value: int, fields: Fields) -> Population:
    given = {k: (value if v is ... else -value if v is None else v) for k, v in fields.items()}
    return neuron("h", (1,), given.pop("threshold", 1), **given)


# Fields, ... being the number and None its negative; steps; and the numbers from which on the
# native engine and the one in PyTorch take 64 bits.
NUMBERS: dict[str, tuple[Fields, int, int, int]] = {
    "threshold": ({"threshold": ...}, 1, TOP, TOP),
    "negative threshold": ({"negative_threshold": ...}, 1, TOP, TOP),
    "threshold times a gain": ({"threshold": ..., "firing_gain": (2,)}, 1, TOP // 2, TOP // 2),
    "threshold of a comparison": (
        {"threshold": ..., "firing_gain": (1,), "comparison": (8192,)},
        *(1, TOP // 2, TOP // 2),
    ),
    # The membrane is it, and it is added once more; in PyTorch a reset may take as much again.
    "bias": ({"bias": None}, 1, TOP // 2, -(-TOP // 3)),
    "bias times a gain": ({"bias": None, "input_gain": (2,)}, 1, TOP // 4, -(-TOP // 5)),
    "initial membrane": ({"initial_membrane": None}, 1, TOP, TOP // 2),
    "floor": ({"floor": None}, 1, TOP, TOP // 2),
    "reset value": ({"reset": "value", "reset_value": None}, 1, TOP, TOP // 2),
    "memory": (
        {"payload_max": ..., "memory": True, "negative_threshold": 1, "firing_gain": (512, 1024)},
        *(2, 2**20, 2**20),
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_32_bits_hold_numbers_up_to_their_limit(name: str) -> None:
    fields, steps, native, in_torch = NUMBERS[name]
    assert [wide(alone(cell(native + i, fields), steps)) for i in (-1, 0)] == [False, True]
    found = [proved(alone(cell(in_torch + i, fields), steps)).states["h"] for i in (-1, 0)]
    assert found == [torch.int32, torch.int64]


def test_a_membrane_before_it_saturates_has_its_place() -> None:
    def saturated(at: int, high: int) -> IntegerNetlist:
        return alone(integrator("h", (1,), saturation=at), 2, high)

    assert not wide(saturated(TOP // 2 - 1, TOP // 2))
    assert wide(saturated(TOP // 2, TOP // 2))
    found = [proved(saturated(TOP // 4 + i, TOP // 4)).states["h"] for i in (-1, 0)]
    assert found == [torch.int32, torch.int64]


@pytest.mark.parametrize("at", [TOP // 2, TOP, 2**44])
def test_a_saturation_that_no_state_reaches_needs_no_place(at: int) -> None:
    netlist = alone(integrator("h", (1,), saturation=at), 2, 1)
    stimulus = {"x": np.ones((1, 2, 1), int)}
    records = [
        f(stimulus, membranes=["h"]) for f in (partial(run_reference, netlist), Engine(netlist).run)
    ]
    for record in records:
        np.testing.assert_array_equal(record.membranes["h"].ravel(), [1, 2])


def test_quotients_of_32_bits_end_at_payloads_of_22() -> None:
    assert not wide(alone(neuron("h", (1,), 1, payload_max=2**22 - 1)))
    assert wide(alone(neuron("h", (1,), 1, payload_max=2**22)))


def test_payloads_that_no_raster_holds_are_refused() -> None:
    assert wide(alone(neuron("h", (1,), 1, payload_max=TOP - 1)))
    with pytest.raises(CapacityError, match=f"h: worst-case payload {TOP} is not proved below"):
        wide(alone(neuron("h", (1,), 1, payload_max=TOP)))
    both: Fields = {"payload_max": TOP, "negative_threshold": 1}
    with pytest.raises(CapacityError, match=f"h: worst-case payload {TOP} is not"):
        wide(alone(neuron("h", (1,), 1, **both)))
    proved(alone(neuron("h", (1,), 1, payload_max=2**44 - 1)))
    with pytest.raises(CapacityError, match=f"h: worst-case payload {2**44} is not proved"):
        proved(alone(neuron("h", (1,), 1, payload_max=2**44)))


def test_neuron_steps_of_a_sample_are_counted_in_32_bits() -> None:
    assert not wide(alone(integrator("h", (1,)), 2**32 - 2))
    with pytest.raises(CapacityError, match=f"1 neurons over {2**32 - 1} steps exceed {2**32 - 1}"):
        wide(alone(integrator("h", (1,)), 2**32 - 1))
    with pytest.raises(CapacityError, match="x: 2 neurons over"):
        wide(IntegerNetlist("net", (spikes("x", (2,)),), (), (), TOP))


def test_states_that_no_double_holds_are_refused() -> None:
    assert wide(alone(integrator("h", (1,), bias=2**43 - 1)))
    with pytest.raises(CapacityError, match=f"h: worst-case state {2**44} is not proved below"):
        wide(alone(integrator("h", (1,), bias=2**43)))
    assert proved(alone(integrator("h", (1,), bias=2**44 - 1))).states["h"] == torch.int64
    with pytest.raises(CapacityError, match=f"h: worst-case state {2**44} is not proved below"):
        proved(alone(integrator("h", (1,), bias=2**44)))


def test_sums_of_rows_that_no_double_holds_are_refused() -> None:
    for sign in (1, -1):
        proved(alone(integrator("h", (1,)), 1, 2**30, sign * (2**14 - 1)))
        with pytest.raises(CapacityError, match=f"x->h: worst-case row sum {2**44} is not proved"):
            proved(alone(integrator("h", (1,)), 1, 2**30, sign * 2**14))


def test_what_memory_adds_up_to_stays_below_62_bits() -> None:
    def remembers(payload: int) -> IntegerNetlist:
        given: Fields = {"memory": True, "negative_threshold": 1, "firing_gain": (2**20,)}
        return alone(neuron("h", (1,), 1, payload_max=payload, **given))

    assert proved(remembers(2**42 - 1)).states["h"] == torch.int64
    with pytest.raises(CapacityError, match="h: threshold 1048576 times gain exceeds"):
        proved(remembers(2**42))


@pytest.mark.parametrize(
    "fields",
    [{"initial_membrane": None}, {"floor": None}, {"reset": "value", "reset_value": None}],
)
def test_decays_of_membranes_of_20_bits_take_32(fields: Fields) -> None:
    found = [proved(alone(cell(2**19 + i, fields))).decays["h"] for i in (-1, 0)]
    assert found == [torch.int32, torch.int64]


@pytest.mark.parametrize(
    ("payload", "negative", "expected"),
    [
        (127, None, torch.int8),
        (128, None, torch.int16),
        (128, 1, torch.int16),
        (2**15 - 1, 1, torch.int16),
        (2**15, None, torch.int32),
        (2**31, None, torch.int64),
    ],
)
def test_rasters_have_the_narrowest_type(
    payload: int, negative: int | None, expected: torch.dtype
) -> None:
    fires = neuron("h", (1,), 1, payload_max=payload, negative_threshold=negative)
    found = proved(alone(fires))
    assert found.rasters["h"] == expected
    assert found.payloads["h"] == (-payload if negative else 0, payload)


@pytest.mark.parametrize(
    ("rule", "gains", "high", "expected"),
    [
        ("maximum", (), 31, torch.int8),
        ("maximum", (), 32, torch.int16),
        ("now", (), 31, torch.int8),
        ("now", (), 32, torch.int16),
        # 8 + 4 + 1 + 1: a step counts once at least.
        ("maximum", (8, 4, 0, 1), 9, torch.int8),
        ("maximum", (8, 4, 0, 1), 10, torch.int16),
    ],
)
def test_every_cell_of_a_pool_accumulates(
    rule: Any, gains: tuple[int, ...], high: int, expected: torch.dtype
) -> None:
    pools = pool("h", 1, window((2,), 2), rule, input_gain=gains)
    link = IntegerProjection("x", "h", identity((1, 2)))
    netlist = IntegerNetlist("net", (spikes("x", (1, 2), 0, high), pools), (link,), (), 4)
    assert proved(netlist).states["h"] == expected


@pytest.mark.parametrize(("gain", "expected"), [(127, torch.int8), (128, torch.int16)])
def test_a_pool_that_hears_nothing_has_room_for_its_gains(gain: int, expected: torch.dtype) -> None:
    pools = pool("h", 1, window((2,), 2), input_gain=(gain, 1, 1, 1))
    link = IntegerProjection("x", "h", Conv(np.zeros((1, 1, 1), np.int64), 1, window((2,), 1)))
    netlist = IntegerNetlist("net", (spikes("x", (1, 2)), pools), (link,), (), 4)
    assert proved(netlist).states["h"] == expected
    stimulus = {"x": np.ones((1, 4, 1, 2), np.int64)}
    assert not Engine(netlist).run(stimulus).spikes["h"].any()
