"""Which arrays describe cores: at every end of a range, and one beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.network import Network
from neurodeploy.targets.truenorth.cores import Cores, HostLines, _header_problem, _problem
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import chain

TOP = 2**31


@pytest.fixture(scope="module")
def cores() -> Cores:
    deployment = TrueNorthTarget().compile(Network(chain([[3, -2], [1, 1]])))
    assert isinstance(deployment, TrueNorthDeployment)
    return deployment.cores


def changed(array: Any, value: int, where: Any = 0) -> Any:
    found = np.array(array)
    found.reshape(-1)[where] = value
    return found


def first_on_chip(cores: Cores) -> int:
    return int(np.flatnonzero(cores.dest_core.reshape(-1) >= 0)[0])


def test_what_is_compiled_has_no_problem(cores: Cores) -> None:
    assert _problem(cores) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"count": 0}, "lines of 'in' with count 0; expected 1 or more"),
        ({"first": 0, "count": 2}, None),
        ({"first": 1, "count": 2}, "lines of 'in' outside 0..1"),
        ({"first": -1}, "lines of 'in' outside 0..1"),
        ({"count": -1}, "lines of 'in' with count -1; expected 1 or more"),
        ({"kind": "constant"}, None),
        ({"period": 1}, None),
        ({"period": 0}, "lines of 'in' with period 0"),
        ({"period": TOP - 1}, None),
        ({"period": TOP}, f"lines of 'in' with period {TOP}"),
        *(
            (
                {name: sign * (TOP - 1 + more)},
                f"lines of 'in' at ticks beyond {TOP}" if more else None,
            )
            for name in ("offset", "open", "close")
            for sign in (1, -1)
            for more in (0, 1)
        ),
    ],
)
def test_lines_of_the_host(cores: Cores, fields: dict[str, Any], told: str | None) -> None:
    (line,) = (block for block in cores.lines if block.name == "in")
    assert isinstance(line, HostLines)
    assert (line.first, line.count, cores.line_start.size) == (0, 2, 3)
    assert _header_problem(replace(cores, lines=(replace(line, **fields),))) == told


@pytest.mark.parametrize(
    ("name", "legal", "illegal", "told"),
    [
        ("axon_type", "G-1", "G", "axon_type outside 0..{G-1}"),
        ("line_core", "0", "-1", "line_core outside 0..{C-1}"),
        ("line_core", "C-1", "C", "line_core outside 0..{C-1}"),
        ("line_axon", "A-1", "A", "line_axon outside 0..{A-1}"),
        ("line_axon", "0", "-1", "line_axon outside 0..{A-1}"),
        ("dest_core", "-2", "-3", "dest_core outside 0..{C-1}"),
        ("dest_core", "C-1", "C", "dest_core outside 0..{C-1}"),
        ("dest_axon", "A-1", "A", "dest_axon outside 0..{A-1}"),
        ("dest_axon", "0", "-1", "dest_axon outside 0..{A-1}"),
        ("dest_delay", "1", "0", "dest_delay below 1"),
        ("floor", "F", "F-1", "floor below {F}"),
        ("reset", "1", "2", "reset outside 0..1"),
        ("used", "1", "2", "used outside 0..1"),
    ],
)
def test_values_of_arrays(cores: Cores, name: str, legal: str, illegal: str, told: str) -> None:
    sizes = {
        "G": cores.weight.shape[2],
        "C": cores.n_cores,
        "A": cores.axons,
        "F": cores.membrane_floor,
    }

    def value(text: str) -> int:
        letter, _, less = text.partition("-") if text[0].isalpha() else ("", "", "")
        return sizes[letter] - int(less or 0) if letter else int(text)

    where = first_on_chip(cores) if name.startswith("dest") else 0
    for text, expected in ((legal, None), (illegal, told)):
        array = changed(getattr(cores, name), value(text), where)
        inside = told.partition("{")[2].partition("}")[0]
        message = told.replace(f"{{{inside}}}", str(value(inside))) if inside else told
        found = _problem(replace(cores, **{name: array}))
        assert found == (message if expected else None)


def test_delays_to_the_first_core_count(cores: Cores) -> None:
    where = first_on_chip(cores)
    first = replace(cores, dest_core=changed(cores.dest_core, 0, where))
    assert _problem(first) is None
    late = replace(first, dest_delay=changed(cores.dest_delay, 0, where))
    assert _problem(late) == "dest_delay below 1"


def test_axons_of_what_leaves_the_chip_do_not_count(cores: Cores) -> None:
    off = np.flatnonzero(cores.dest_core.reshape(-1) < 0)
    axons = changed(cores.dest_axon, -9, off)
    delays = changed(cores.dest_delay, 0, off)
    assert _problem(replace(cores, dest_axon=axons, dest_delay=delays)) is None


@pytest.mark.parametrize(
    ("floor", "most", "legal"),
    [
        (-TOP, TOP - 1, True),
        (-TOP - 1, TOP - 1, False),
        (-TOP, TOP, False),
        (-7, -7, True),
        (-6, -7, False),
    ],
)
def test_membranes_are_of_32_bits(cores: Cores, floor: int, most: int, legal: bool) -> None:
    array = np.full_like(cores.floor, max(floor, -TOP), dtype=np.int64)
    made = replace(cores, membrane_floor=floor, membrane_max=most, floor=array)
    assert _header_problem(made) == (None if legal else f"membranes of {floor} .. {most}")


def test_targets_of_lines_are_counted_on(cores: Cores) -> None:
    start = cores.line_start
    for wrong in (start[:0], start + 1, changed(start, start[-1] + 1, 1), changed(start, 99, -1)):
        told = _problem(replace(cores, lines=(), line_start=wrong))
        assert told == "line_start is not an index into line_core"
    assert _problem(replace(cores, lines=(), line_start=start)) is None


@pytest.mark.parametrize("name", ["axon_type", "crossbar", "leak", "dest_axon", "place"])
def test_arrays_have_the_sizes_of_each_other(cores: Cores, name: str) -> None:
    array = getattr(cores, name)
    for wrong in (array[..., :-1], array[None]):
        assert _problem(replace(cores, **{name: wrong})) == f"{name} of shape {wrong.shape}"
