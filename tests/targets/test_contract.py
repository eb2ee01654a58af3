"""What a deployment promises whatever its target: names, arrays and events, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.errors import DataError, ExecutionError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.traffic import Traffic
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.registry import TARGETS, target_for
from neurodeploy.targets.request import RunRequest
from tests.verification.networks import SAMPLES, layered

WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "lava": ("lava", {}),
    "lava-stock": ("lava-stock", {}),
    "brian2": ("brian2", {}),
    "truenorth": ("truenorth", {}),
}
NETLIST = layered(reset="zero", initial=0)
STIMULUS = {"in": np.random.default_rng(3).integers(0, 2, (SAMPLES, 12, 1, 4, 4)).astype(np.int8)}


def deployed(way: str, board: str | None = None, netlist: IntegerNetlist = NETLIST) -> Deployment:
    name, options = WAYS[way]
    target = TARGETS.get(name)
    reason = target.unavailable()
    if reason is not None:
        pytest.skip(f"{way}: {reason}")
    wanted = board or target.default_board
    chosen = None if wanted is None else load_board(wanted)
    return target().compile(Network(netlist), chosen, options)


def test_every_target_is_here() -> None:
    assert {name for name, _ in WAYS.values()} == set(TARGETS.built_in)


@pytest.mark.parametrize("way", WAYS)
def test_run_is_that_of_the_base(way: str) -> None:
    cls = type(deployed(way))
    assert cls.run is Deployment.run
    assert cls._run is not Deployment._run


@pytest.mark.parametrize("way", WAYS)
def test_a_record_is_whole_and_of_one_type(way: str) -> None:
    deployment = deployed(way)
    want = run_reference(NETLIST, STIMULUS, membranes=["a", "b"])
    found = deployment.run(STIMULUS, membranes=["a", "b"])
    assert list(found.spikes) == [p.name for p in NETLIST.populations]
    assert list(found.membranes) == ["a", "b"]
    for name, values in found.spikes.items():
        assert values.dtype == np.int64, name
        np.testing.assert_array_equal(values, want.spikes[name], err_msg=name)
        assert values.any(), name
    for name, values in found.membranes.items():
        assert values.dtype == np.int64, name
    assert found.timesteps == NETLIST.timesteps
    assert dict(found.latency) == dict(deployment.latency)
    found.spikes["in"][:] = 7
    assert STIMULUS["in"].max() == 1


@pytest.mark.parametrize("way", WAYS)
def test_only_what_is_asked_for_is_returned(way: str) -> None:
    found = deployed(way).run(STIMULUS, record=["out", "in", "out"])
    assert list(found.spikes) == ["out", "in"]
    assert not found.membranes
    nothing = deployed(way).run({"in": STIMULUS["in"][:0]})
    shapes = {n: v.shape for n, v in nothing.spikes.items()}
    assert shapes == {p.name: (0, 12, *p.shape) for p in NETLIST.populations}


@pytest.mark.parametrize("way", ["lava", "brian2"])
def test_integrators_among_the_outputs_bring_their_membranes(way: str) -> None:
    netlist = layered(membrane=True)
    found, want = deployed(way, None, netlist).run(STIMULUS), run_reference(netlist, STIMULUS)
    assert list(found.membranes) == ["out"]
    np.testing.assert_array_equal(found.membranes["out"], want.membranes["out"])
    assert found.spikes["out"].shape == want.spikes["out"].shape
    assert not found.spikes["out"].any()


@pytest.mark.parametrize("way", WAYS)
def test_wrong_names_and_stimuli_are_refused_alike(way: str) -> None:
    deployment = deployed(way)
    text = "unknown population 'aa'; known: a, b, in, out; did you mean 'a'?"
    for asked in ({"record": ["a", "aa"]}, {"membranes": ["aa"]}):
        with pytest.raises(UnknownNameError) as unknown:
            deployment.run(STIMULUS, **asked)
        assert str(unknown.value) == text
    with pytest.raises(UsageError) as refused:
        deployment.run(STIMULUS, membranes=["a", "in"])
    assert str(refused.value) == (
        "population 'in' is an input and has no membrane; record its spikes, or name populations "
        "of neurons"
    )
    for alone in ({"record": "in"}, {"membranes": "a"}):
        with pytest.raises(UsageError, match="expected a list of names, as "):
            deployment.run(STIMULUS, **alone)
    for wrong in (STIMULUS["in"][:, :3], STIMULUS["in"] * 2):
        with pytest.raises(DataError, match=r"^input 'in'"):
            deployment.run({"in": wrong})


class Returning(Deployment):
    """Returns what it is given."""

    target = "returning"
    found = RunRecord(NETLIST.timesteps, {}, {})

    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        return self.found

    def utilization(self) -> dict[str, object]:
        return {}

    def write_files(self, folder: object) -> None:
        raise NotImplementedError


def returning(**fields: Mapping[str, np.ndarray]) -> Returning:
    deployment = Returning(Network(NETLIST), None, {})
    deployment.found = replace(Returning.found, **fields)
    return deployment


def test_what_a_target_leaves_out_was_silent_and_wrong_shapes_are_told() -> None:
    quiet = returning().run(STIMULUS)
    assert not quiet.spikes["b"].any()
    assert quiet.spikes["b"].shape == (SAMPLES, 12, 7)
    np.testing.assert_array_equal(quiet.spikes["in"], STIMULUS["in"])
    with pytest.raises(
        ExecutionError, match=r"^target returning: b: .* \(3, 7\), expected \(3, 12"
    ):
        returning(spikes={"b": np.zeros((3, 7), int)}).run(STIMULUS)
    # Cut to integers, 0.4 were no spike.
    with pytest.raises(ExecutionError, match="b: the run returned float64, expected integers"):
        returning(spikes={"b": np.full((SAMPLES, 12, 7), 0.4)}).run(STIMULUS)
    nothing = returning()
    nothing.found = None  # type: ignore[assignment]
    with pytest.raises(ExecutionError, match="the run returned NoneType, expected a RunRecord"):
        nothing.run(STIMULUS)
    with pytest.raises(ExecutionError, match="target returning: b: the run returned no membranes"):
        returning().run(STIMULUS, membranes=["b"])


@pytest.mark.parametrize("way", WAYS)
def test_the_events_of_the_last_run(way: str) -> None:
    name, _ = WAYS[way]
    board = load_board(TARGETS.get(name).default_board or "loihi1")
    assert target_for(board, name) == name
    deployment = deployed(way, board.name)
    with pytest.raises(ExecutionError, match="no events before the first run; call run"):
        deployment.traffic()
    spikes = deployment.run(STIMULUS).spikes
    traffic = deployment.traffic()
    assert isinstance(traffic, Traffic)
    assert traffic.samples == SAMPLES
    fired = sum(int(s.sum()) for n, s in spikes.items() if n != "in")
    events = traffic.events()
    assert fired > 0
    # Crossbars count the copies of a neuron as well.
    assert events["spikes"] == fired if board.kind == "neurocore" else events["spikes"] >= fired
    assert estimate(traffic, board, network=NETLIST.name).events["synops"] > 0


def test_without_a_board_there_are_no_events() -> None:
    deployment = returning()
    deployment.run(STIMULUS)
    with pytest.raises(UsageError, match="target returning: compiled for no board"):
        deployment.traffic()


def test_targets_tell_what_fits() -> None:
    for name in TARGETS.built_in:
        target = TARGETS.get(name)()
        board = load_board(target.default_board or "loihi1")
        assert target.fits(NETLIST, board) == []
        grid = replace(board.grid, tiles_x=1, tiles_y=1, cores_per_tile=1)
        (violation, *_) = target.fits(NETLIST, replace(board, name="tiny", grid=grid))
        assert "cores" in str(violation)


def test_targets_tell_what_they_found() -> None:
    for name in TARGETS.built_in:
        found = TARGETS.get(name).readiness()
        assert found.works == (TARGETS.get(name).unavailable() is None)
        assert found.detail
