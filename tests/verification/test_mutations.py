"""One number changed in the compiled files of a target: ``verify`` finds it, at the right step.

What it has to find comes from the netlist: the same number is changed there, and two runs of the
reference are compared by plain loops.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import neurodeploy as nd
from neurodeploy.api import stimulus_for
from neurodeploy.errors import ExecutionError
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.registry import TARGETS
from tests.targets.timed_files import (
    Arrays,
    Json,
    edit_arrays,
    edit_json,
    netlist_of,
    quantity,
    weight,
)
from tests.verification.networks import (
    dataset,
    first_difference,
    layered,
    packed,
    with_model,
    with_projection,
)

DATA = dataset()
SOFT = layered()
HARD = layered(reset="zero", initial=0)
READ = layered(membrane=True)

A_TO_B, A_TO_OUT = 1, 3  # positions among the projections
POST, PRE = 2, 0  # the synapse into b whose weight changes
NEURON = 5  # of b, whose threshold changes
FIRST = 1  # of out, whose initial membrane changes

Compiled = Callable[..., Path]


@pytest.fixture
def compiled(tmp_path: Path, request: pytest.FixtureRequest) -> Compiled:
    def make(net: IntegerNetlist, target: str, **options: Any) -> Path:
        if target == "lava":
            request.getfixturevalue("lava_python")
        reason = TARGETS.get(target).unavailable()
        if reason is not None:
            pytest.skip(reason)
        nd.save(nd.compile(packed(net), target, **options), tmp_path / "compiled")
        return tmp_path / "compiled"

    return make


def run(net: IntegerNetlist) -> RunRecord:
    stimulus, _ = stimulus_for(packed(net), DATA)
    return run_reference(net, stimulus, membranes=["a", "b", "out"])


def assert_found(folder: Path, net: IntegerNetlist, mutated: IntegerNetlist, where: str) -> None:
    """``verify`` reports what the reference tells of the two netlists."""
    assert dict(mutated.schedule.depth) == dict(net.schedule.depth)
    wrong, right = run(mutated), run(net)
    expected = first_difference(net, wrong, right)
    assert expected is not None
    sample, step, population, neuron = expected
    assert population == where
    place = (sample, step - net.schedule.depth[population], *neuron)

    result = nd.verify(nd.load(folder, check=False), "reference", DATA)
    assert not result.exact
    found = result.first
    assert found is not None
    assert (found.sample, found.step, found.population, found.neuron) == expected
    assert found.deployment_spike == wrong.spikes[population][place]
    assert found.executor_spike == right.spikes[population][place]
    assert found.deployment_membrane == wrong.membranes[population][place]
    assert found.executor_membrane == right.membranes[population][place]
    for name, count in result.mismatches["reference"].items():
        of = "membranes" if net.by_name[name].model.threshold is None else "spikes"
        assert count == (getattr(wrong, of)[name] != getattr(right, of)[name]).sum(), name


# --- the same change in the netlist --------------------------------------------------------------


def without_weight(net: IntegerNetlist) -> IntegerNetlist:
    old = net.projections[A_TO_B]
    weight = np.array(old.connectivity.weight)
    assert weight[POST, PRE] != 0
    weight[POST, PRE] = 0
    return with_projection(net, A_TO_B, replace(old, connectivity=Dense(weight, (2, 3, 3))))


def higher_threshold(net: IntegerNetlist) -> IntegerNetlist:
    theta = np.array(net.by_name["b"].model.threshold)
    theta[NEURON] += 2
    return with_model(net, "b", threshold=theta)


def earlier_delay(net: IntegerNetlist) -> IntegerNetlist:
    assert net.schedule.delays[A_TO_OUT] == 2
    return with_projection(net, A_TO_OUT, replace(net.projections[A_TO_OUT], delay=1))


def higher_start(net: IntegerNetlist) -> IntegerNetlist:
    start = np.array(net.by_name["out"].model.initial_membrane)
    start[FIRST] += 3
    return with_model(net, "out", initial_membrane=start)


# --- Brian2 and Lava: one integer in an array, or one delay in the structure ---------------------


def timed_weight(folder: Path, name: str) -> None:
    def change(arrays: Arrays) -> None:
        arrays[weight(A_TO_B)][POST, PRE] = 0

    edit_arrays(folder, name, change)


def timed_threshold(folder: Path, name: str) -> None:
    key = quantity(folder, name, "b", "threshold")

    def change(arrays: Arrays) -> None:
        arrays[key][NEURON] += 2

    edit_arrays(folder, name, change)


def timed_start(folder: Path, name: str) -> None:
    key = quantity(folder, name, "out", "initial_membrane")

    def change(arrays: Arrays) -> None:
        arrays[key][FIRST] += 3

    edit_arrays(folder, name, change)


def timed_delay(folder: Path, name: str) -> None:
    def change(header: Json) -> None:
        projection = netlist_of(header)["projections"][A_TO_OUT]["fields"]
        assert (projection["pre"], projection["post"], projection["delay"]) == ("a", "out", 2)
        projection["delay"] = 1

    edit_json(folder, name, change)


CHANGES = {
    "weight": (without_weight, "b"),
    "threshold": (higher_threshold, "b"),
    "delay": (earlier_delay, "out"),
    "start": (higher_start, "out"),
}
EDITS = dict(zip(CHANGES, (timed_weight, timed_threshold, timed_delay, timed_start), strict=True))


def edit_of(target: str, what: str) -> Callable[[Path], None]:
    return lambda folder: EDITS[what](folder, target)


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("target", ["brian2", "lava"])
def test_one_change_in_the_compiled_files(compiled: Compiled, target: str, what: str) -> None:
    folder = compiled(SOFT, target)
    change, where = CHANGES[what]
    edit_of(target, what)(folder)
    assert_found(folder, SOFT, change(SOFT), where)


@pytest.mark.parametrize("what", ["weight", "threshold", "delay"])
def test_one_change_in_stock_processes(compiled: Compiled, what: str) -> None:
    folder = compiled(HARD, "lava", models="stock")
    change, where = CHANGES[what]
    edit_of("lava", what)(folder)
    assert_found(folder, HARD, change(HARD), where)


def test_stock_processes_refuse_an_initial_membrane(compiled: Compiled) -> None:
    folder = compiled(HARD, "lava", models="stock")
    timed_start(folder, "lava")
    with pytest.raises(ExecutionError, match="out: stock processes start at 0, not at v0"):
        nd.verify(nd.load(folder, check=False), "reference", DATA)


@pytest.mark.parametrize("target", ["brian2", "lava"])
def test_a_change_in_what_an_integrator_starts_from(compiled: Compiled, target: str) -> None:
    folder = compiled(READ, target)
    edit_of(target, "start")(folder)
    mutated = higher_start(READ)
    assert_found(folder, READ, mutated, "out")
    # It shows in the very first step of the window, though nothing is emitted.
    assert first_difference(READ, run(mutated), run(READ)) == (0, 3, "out", (FIRST,))


# --- crossbar cores: the number is spread over axon copies and copies of neurons -----------------


class Chip:
    """The saved cores, and which chip neuron is whose copy."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cores.safetensors"
        self.arrays = {k: np.array(v) for k, v in load_file(self.path).items()}
        self.owners = load_file(folder / "populations.safetensors")
        header = json.loads((folder / "populations.json").read_text())
        self.names = [p["name"] for p in header["populations"]]

    def neurons(self, name: str, neuron: int) -> list[tuple[int, int]]:
        """(core, place) of all copies of a neuron."""
        mine = self.owners["population"] == self.names.index(name)
        found = np.argwhere(mine & (self.owners["neuron"] == neuron))
        assert len(found)
        return [(int(c), int(n)) for c, n in found]

    def save(self) -> None:
        save_file(self.arrays, self.path)


def truenorth_weight(folder: Path) -> None:
    chip = Chip(folder)
    cleared = 0
    for core, place in chip.neurons("b", POST):
        for source in chip.neurons("a", PRE):
            if chip.arrays["dest_core"][source] == core:
                axon = chip.arrays["dest_axon"][source]
                bit = 0x80 >> place % 8
                row = chip.arrays["crossbar"][core, axon]
                cleared += bool(row[place // 8] & bit)
                row[place // 8] &= 0xFF ^ bit
    assert cleared
    chip.save()


def truenorth_threshold(folder: Path) -> None:
    chip = Chip(folder)
    for at in chip.neurons("b", NEURON):
        chip.arrays["threshold"][at] += 2
    chip.save()


def truenorth_start(folder: Path) -> None:
    chip = Chip(folder)
    for at in chip.neurons("out", FIRST):
        chip.arrays["initial"][at] += 3
    chip.save()


@cache
def hurried() -> tuple[int, IntegerNetlist]:
    """A neuron of a, and the netlist in which its spikes reach out one step earlier.

    On the chip nothing drops a spike that comes before the window, so it must not emit at once.
    """
    emitted = run(SOFT).spikes["a"].reshape(3, SOFT.timesteps, -1)
    old = SOFT.projections[A_TO_OUT]
    for i in np.flatnonzero(~emitted[:, 0].any(axis=0) & emitted.any(axis=(0, 1))):
        one = np.zeros_like(old.connectivity.weight)
        one[:, i] = old.connectivity.weight[:, i]
        rest = old.connectivity.weight - one
        parts = [replace(old, connectivity=Dense(w, (2, 3, 3))) for w in (rest, one)]
        mutated = with_projection(SOFT, A_TO_OUT, parts[0], replace(parts[1], delay=1))
        if first_difference(SOFT, run(mutated), run(SOFT)) is not None:
            return int(i), mutated
    raise AssertionError("no neuron whose delay matters")


def truenorth_delay(folder: Path) -> None:
    chip = Chip(folder)
    cores = {core for core, _ in chip.neurons("out", 0)}
    changed = 0
    for source in chip.neurons("a", hurried()[0]):
        if int(chip.arrays["dest_core"][source]) in cores:
            assert chip.arrays["dest_delay"][source] == 2
            chip.arrays["dest_delay"][source] = 1
            changed += 1
    assert changed
    chip.save()


@pytest.mark.parametrize(
    ("edit", "mutated", "where"),
    [
        (truenorth_weight, lambda: without_weight(SOFT), "b"),
        (truenorth_threshold, lambda: higher_threshold(SOFT), "b"),
        (truenorth_delay, lambda: hurried()[1], "out"),
        (truenorth_start, lambda: higher_start(SOFT), "out"),
    ],
    ids=list(CHANGES),
)
def test_one_change_in_the_cores(
    compiled: Compiled,
    edit: Callable[[Path], None],
    mutated: Callable[[], IntegerNetlist],
    where: str,
) -> None:
    folder = compiled(SOFT, "truenorth")
    edit(folder)
    assert_found(folder, SOFT, mutated(), where)


@pytest.mark.parametrize(
    ("target", "net", "options"),
    [
        ("brian2", SOFT, {}),
        ("brian2", READ, {}),
        ("lava", SOFT, {}),
        ("lava", HARD, {"models": "stock"}),
        ("truenorth", SOFT, {}),
        ("truenorth", HARD, {}),
    ],
    ids=["brian2", "brian2-membrane", "lava", "lava-stock", "truenorth", "truenorth-hard"],
)
def test_without_a_change_nothing_differs(
    compiled: Compiled, target: str, net: IntegerNetlist, options: dict[str, Any]
) -> None:
    result = nd.verify(compiled(net, target, **options), "reference,engine", DATA)
    assert result.exact
    assert result.first is None
    for name, spikes in result.spikes.items():
        if net.by_name[name].model.threshold is not None:
            assert 0.01 <= spikes / result.compared_neuron_steps[name] <= 0.6, name
