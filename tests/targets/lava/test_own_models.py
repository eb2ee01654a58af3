"""Own Lava models in a real worker: spike for spike the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, DataError, UnknownNameError, UsageError
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.lava.target import LavaTarget, Run, run_all
from neurodeploy.targets.loading import load_deployment
from tests.targets.lava.networks import (
    SAMPLES,
    assert_exact,
    chain,
    chain_stimulus,
    compiled,
    computing,
    neuron,
    random_net,
    rates,
)
from tests.targets.timed_files import Arrays, edit_arrays, edit_json, netlist_of, quantity, weight

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]

SEEDS = range(8)


def test_random_netlists_equal_the_reference() -> None:
    nets = [random_net(seed, recurrent=seed % 2 == 1) for seed in SEEDS]
    runs = [
        Run(
            compiled(netlist, samples_side_by_side=(None, 1, 2)[i % 3]),
            stimulus,
            membranes=computing(netlist),
        )
        for i, (netlist, stimulus) in enumerate(nets)
    ]
    for (netlist, stimulus), found in zip(nets, run_all(runs), strict=True):
        expected = run_reference(netlist, stimulus, membranes=computing(netlist))
        assert set(found.spikes) == set(expected.spikes)
        assert set(found.membranes) == set(expected.membranes)
        assert_exact(netlist, found, expected)
        measured = rates(netlist, expected)
        assert all(0.01 <= rate <= 0.6 for rate in measured.values()), measured


def test_three_samples_back_to_back_equal_three_runs() -> None:
    netlist, stimulus = random_net(101, recurrent=True)
    alone = [{k: v[i : i + 1] for k, v in stimulus.items()} for i in range(SAMPLES)]
    deployment = compiled(netlist, samples_side_by_side=1)
    together, *apart = run_all([Run(deployment, s) for s in (stimulus, *alone)])
    for name, spikes in together.spikes.items():
        np.testing.assert_array_equal(spikes, np.concatenate([r.spikes[name] for r in apart]))


def test_one_process_per_population() -> None:
    netlist, stimulus = random_net(3, recurrent=True)
    deployment = compiled(netlist)
    found = deployment.run(stimulus, record=["answer"])
    assert set(found.spikes) == {"answer"}
    assert set(found.membranes) == {"sum"}
    assert sorted(p.name for p in deployment.processes) == sorted(netlist.by_name)
    assert len(deployment.processes) == deployment.utilization()["processes"]
    assert all(
        p.process.startswith("neurodeploy.targets.lava.processes.") for p in deployment.processes
    )


def test_parts_that_are_not_connected_run_too() -> None:
    a = chain(9)
    names = {"in": "in2", "a": "a2", "b": "b2", "out": "out2"}
    copies = tuple(replace(p, name=names[p.name]) for p in a.populations)
    wires = tuple(replace(q, pre=names[q.pre], post=names[q.post]) for q in a.projections)
    lonely = Population("lonely", (2,), neuron(7, bias=3))
    netlist = replace(
        a,
        populations=(*a.populations, *copies, lonely),
        projections=(*a.projections, *wires),
        outputs=(*a.outputs, Output("lonely", "counts")),
    )
    stimulus = {"in": chain_stimulus(2)["in"], "in2": chain_stimulus(2)["in"][::-1]}
    found = compiled(netlist).run(stimulus, membranes=["lonely"])
    assert_exact(netlist, found, run_reference(netlist, stimulus, membranes=["lonely"]))
    assert found.spikes["lonely"].any()


def mutated(folder: Path, population: str, what: str) -> None:
    """Edit the compiled files: one more in every value of an array, or in a delay."""
    if what == "delay":
        edit_json(
            folder, "lava", lambda h: netlist_of(h)["projections"][1]["fields"].update(delay=2)
        )
        return
    key = weight(1) if what == "weight" else quantity(folder, "lava", population, what)

    def more(arrays: Arrays) -> None:
        arrays[key] += 1

    edit_arrays(folder, "lava", more)


def test_a_change_in_the_compiled_files_shows_at_its_population(tmp_path: Path) -> None:
    netlist, stimulus = chain(40), chain_stimulus(3)
    expected = run_reference(netlist, stimulus, membranes=["a", "b", "out"])
    changes = {
        "weight": "b",
        "threshold": "b",
        "initial_membrane": "a",
        "bias": "out",
        "delay": "b",
    }
    runs = []
    for i, (what, where) in enumerate(changes.items()):
        compiled(netlist).save(tmp_path / str(i))
        mutated(tmp_path / str(i), where, what)
        edited = load_deployment(tmp_path / str(i), check=False)
        runs.append(Run(edited, stimulus, membranes=["a", "b", "out"]))  # type: ignore[arg-type]
    upstream = ["in", "a", "b", "out"]
    for (key, where), found in zip(changes.items(), run_all(runs), strict=True):
        wrong = [n for n in upstream[1:] if (found.membranes[n] != expected.membranes[n]).any()]
        assert wrong[0] == where, key
        assert any((found.spikes[n] != expected.spikes[n]).any() for n in upstream), key
        if "initial" in key or "bias" in key:
            differs = (found.membranes[where] != expected.membranes[where]).any(axis=(0, 2))
            assert differs.argmax() == 0, key


def test_save_and_load_run_the_same(tmp_path: Path) -> None:
    netlist, stimulus = random_net(7, recurrent=True)
    deployment = compiled(netlist)
    deployment.save(tmp_path / "net")
    again = load_deployment(tmp_path / "net")
    assert again.options == deployment.options
    expected = run_reference(netlist, stimulus)
    assert_exact(netlist, again.run(stimulus), expected)


def test_progress_rises_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    compiled(chain(200)).run(
        chain_stimulus(2), progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {203}
    assert seen[-1][0] == 203


def test_a_batch_of_nothing() -> None:
    found = compiled(chain(5)).run({"in": np.zeros((0, 4), dtype=np.int64)})
    assert found.spikes["out"].shape == (0, 5, 2)


def test_wrong_stimulus_and_names_are_refused_before_a_worker_starts() -> None:
    deployment = compiled(chain(5))
    with pytest.raises(DataError, match="in"):
        deployment.run({"in": np.zeros((1, 3), dtype=np.int64)})
    with pytest.raises(UnknownNameError, match="unknown population 'nobody'"):
        deployment.run(chain_stimulus(1), record=["nobody"])


def test_bound_is_refused() -> None:
    big = IntegerNetlist(
        "big",
        (
            Population("in", (4,), Input("current", 0, 2**20)),
            Population("out", (1,), neuron(5, reset="none")),
        ),
        (IntegerProjection("in", "out", Dense(np.full((1, 4), 9), (4,))),),
        (Output("out", "counts"),),
        10,
    )
    with pytest.raises(CapacityError, match="out: worst-case 24-bit state over T = 10"):
        compiled(big)
    assert len(LavaTarget().check(big, None, {})) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": "best"}, "models='best'; expected own or stock"),
        ({"execution": "here"}, "execution='here'"),
        ({"time_limit_s": 0}, "time_limit_s=0; expected a positive number"),
        ({"samples_side_by_side": "x"}, "samples_side_by_side='x'"),
        ({"speed": 1}, "no option 'speed'"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compiled(chain(3), **options)


def test_utilization() -> None:
    used = compiled(chain(3)).utilization()
    assert (used["inputs"], used["neurons"]) == (4, 8)
    assert used["synapses"] == 12 + 9 + 6
    assert used["populations"]["b"] == {"neurons": 3, "synapses": 9, "parameters": 9}
    assert used["models"] == "own"
