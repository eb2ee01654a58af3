"""Energy, time, cores and chips from the exact spikes of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from neurodeploy.boards.board import Board
from neurodeploy.datasets import Dataset
from neurodeploy.energy.comparison import EnergyComparison
from neurodeploy.energy.estimate import EnergyReport, estimate
from neurodeploy.energy.measure import measure_on_each, measure_traffic
from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.record import Progress, Stimulus
from neurodeploy.mapping.allocation import Mapping as Mapped
from neurodeploy.targets.base import Deployment
from neurodeploy.workflow.capacity import smallest_board
from neurodeploy.workflow.compilation import chosen_board
from neurodeploy.workflow.fast import error_of, estimated
from neurodeploy.workflow.loading import load
from neurodeploy.workflow.placing import PlacementRequest
from neurodeploy.workflow.stimulus import stimulus_for

if TYPE_CHECKING:
    from neurodeploy.energy.activity import Activity
    from neurodeploy.energy.traffic import Traffic


Boards = list[str] | list[Board] | list[str | Board] | tuple[str | Board, ...]
"""Boards to compare: names, paths or boards."""


@overload
def estimate_energy(
    network: Deployment | Artifact | str | Path,
    board: str | Board | None,
    data: str | Dataset,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    progress: Progress | None = None,
) -> EnergyReport: ...


@overload
def estimate_energy(
    network: Deployment | Artifact | str | Path,
    board: Boards,
    data: str | Dataset,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    progress: Progress | None = None,
) -> EnergyComparison: ...


def estimate_energy(
    network: Deployment | Artifact | str | Path,
    board: str | Board | Boards | None,
    data: str | Dataset,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    progress: Progress | None = None,
) -> EnergyReport | EnergyComparison:
    """Energy, time, cores and chips per inference, from the exact spikes of a run.

    Boards of neurocores get the netlist partitioned, and its cores placed by the packets of the
    run; boards of crossbar cores get it compiled, and the compiled cores are counted.

    Parameters
    ----------
    network : Deployment, Artifact or path of either
    board : str, Board, list of either, or None
        None: the board that the deployment was compiled for. A list: all of them are compared.
    data : str or Dataset
    samples : int, optional
        The first so many; all by default.
    cross_validate : bool
        Count the real-valued simulation as well.
    objective : {"energy", "time", "pareto", "none"}, optional
        What cores of neurocore boards are placed for: energy if not given.
    placement : path, optional
        A placement file to take instead, for one board.
    save_placement : path, optional
        Where to write the placement, for one board.
    fast : bool
        Estimate the spikes from the source network's activations instead of running all samples;
        two samples are run, to tell the error. For boards of neurocores.

    Returns
    -------
    EnergyReport or EnergyComparison
        A comparison where ``board`` is a list. It names the boards that cannot hold the network
        with the reason.

    Raises
    ------
    CapacityError
        If the board, or every one of several, cannot hold the network; with the smallest board that
        comes with neurodeploy and would.
    FileFormatError
        If the placement file does not fit the network or the board.
    UsageError
        If no board is named and the deployment has none, or two boards have one name; for both an
        objective and a placement file; for any of them on a board of crossbar cores alone, for
        placement files and several boards; for ``fast`` with crossbar cores or ``cross_validate``.
    """
    thing = network
    if isinstance(thing, str | Path):
        thing = load(thing)
    several = isinstance(board, list | tuple)
    asked: Sequence[str | Board | None] = board if isinstance(board, list | tuple) else [board]
    boards = [_energy_board(thing, name) for name in asked]
    names = tuple(b.name for b in boards)
    if not names:
        raise UsageError("energy: an empty list of boards; name one at least")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"energy: two boards are called {twice!r}; give each a name of its own")
    request = PlacementRequest.checked(boards, objective, placement, save_placement)
    if fast:
        _expect_estimable(boards, cross_validate)
    pricing = _Pricing(thing, data, samples, cross_validate, request, fast, progress)
    reports, refused = pricing.reports(boards)
    if not reports:
        raise CapacityError(_refusal(pricing.artifact, boards, refused))
    if not several:
        return reports[names[0]]
    return EnergyComparison(names, reports, refused)


def _refusal(artifact: Artifact, boards: Sequence[Board], refused: Mapping[str, str]) -> str:
    fitting = smallest_board(artifact, {board.kind for board in boards})
    if fitting is None:
        kinds = " or ".join(sorted({board.kind for board in boards}))
        remedy = f"no {kinds} board that comes with neurodeploy holds it"
    else:
        remedy = f"the smallest board that holds it is {fitting}"
    if len(boards) == 1:
        return f"{refused[boards[0].name]}; {remedy}"
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    return f"{artifact.netlist.name}: none of {len(boards)} boards holds it: {reasons}; {remedy}"


class _Pricing:
    """What the boards of one comparison share: the network, the stimulus and the run."""

    def __init__(
        self,
        thing: Deployment | Artifact,
        data: str | Dataset,
        samples: int | None,
        cross_validate: bool,
        request: PlacementRequest,
        fast: bool,
        progress: Progress | None,
    ) -> None:
        self.thing = thing
        self.artifact = thing.artifact if isinstance(thing, Deployment) else thing
        self.stimulus, self.dataset = stimulus_for(self.artifact, data, samples)
        self.request = request
        self.fast = fast
        self.progress = progress
        self.source = None
        if self.artifact.analog is not None:
            from neurodeploy.energy.operations import source_energy
            from neurodeploy.ir.analog import macs

            self.source = source_energy(macs(self.artifact.analog))
        if cross_validate:
            _expect_real(self.artifact)
        self.cross_validate = cross_validate
        self._layers: Any = None

    def reports(self, boards: Sequence[Board]) -> tuple[dict[str, EnergyReport], dict[str, str]]:
        """Reports of the boards that hold the network, and why the others do not."""
        refused: dict[str, str] = {}
        reports: dict[str, EnergyReport] = {}
        mappings: dict[str, Mapped] = {}
        deployments: dict[str, Any] = {}
        for board in boards:
            try:
                if board.kind == "crossbar":
                    deployments[board.name] = _crossbar_deployment(self.thing, board)
                else:
                    mappings[board.name] = self.request.start(self.artifact.integer, board)
            except CapacityError as error:
                refused[board.name] = str(error)
        reports |= self._mapped(mappings)
        for name, deployment in deployments.items():
            reports[name] = self._compiled(deployment)
        return {
            board.name: reports[board.name] for board in boards if board.name in reports
        }, refused

    def _mapped(self, mappings: Mapping[str, Mapped]) -> dict[str, EnergyReport]:
        if not mappings:
            return {}
        if self.fast:
            return self._estimated(mappings)
        netlist, execute = self.artifact.integer, _recorder(self.artifact)
        traffics, activity = measure_on_each(
            list(mappings.values()), netlist, self.stimulus, execute, progress=self.progress
        )

        def measure(other: Mapped) -> Traffic:
            return measure_traffic(other, netlist, self.stimulus, execute)[0]

        reports = {}
        for (name, mapping), started in zip(mappings.items(), traffics, strict=True):
            traffic, placed = self.request.finish(started, mapping, netlist, activity, measure)
            reports[name] = estimate(
                traffic,
                mapping.board,
                network=netlist.name,
                mapping=placed.mapping,
                placement=placed,
                source_network=self.source,
                cross_validation=self._compared(activity),
            )
        return reports

    def _estimated(self, mappings: Mapping[str, Mapped]) -> dict[str, EnergyReport]:
        """Reports from the source network's activations, with their error on a few samples."""
        from neurodeploy.energy.analytic import expected_traffic

        netlist, execute = self.artifact.integer, _recorder(self.artifact)
        found = estimated(self.artifact, self.dataset, self.progress)
        few = {name: x[: found.checked.samples] for name, x in self.stimulus.items()}
        exact, _ = measure_on_each(list(mappings.values()), netlist, few, execute)

        def measure(other: Mapped) -> Traffic:
            return expected_traffic(other, netlist, found.whole)

        reports = {}
        for (name, mapping), run in zip(mappings.items(), exact, strict=True):
            board = mapping.board
            checked = expected_traffic(mapping, netlist, found.checked)
            error = error_of(
                *(estimate(t, board, network=netlist.name, mapping=mapping) for t in (checked, run))
            )
            traffic, placed = self.request.finish(
                measure(mapping), mapping, netlist, found.whole, measure
            )
            report = estimate(
                traffic,
                board,
                network=netlist.name,
                mapping=placed.mapping,
                placement=placed,
                source_network=self.source,
            )
            reports[name] = replace(report, estimate_error=error)
        return reports

    def _compiled(self, deployment: Any) -> EnergyReport:
        deployment.run(self.stimulus, record=(), progress=self.progress)
        return estimate(
            deployment.traffic(),
            deployment.board,
            network=self.artifact.netlist.name,
            source_network=self.source,
            cross_validation=self._compared(),
        )

    def _compared(self, activity: Activity | None = None) -> Any:
        if self.cross_validate and self._layers is None:
            self._layers = _cross_validation(self.artifact, self.stimulus, activity)
        return self._layers


def _expect_estimable(boards: Sequence[Board], cross_validate: bool) -> None:
    crossbar = [board.name for board in boards if board.kind == "crossbar"]
    if crossbar:
        raise UsageError(
            f"board {crossbar[0]}: the events of crossbar cores are counted in a run of the cores; "
            "leave --fast out"
        )
    if cross_validate:
        raise UsageError("--cross-validate compares two runs, --fast makes none; leave one out")


def _energy_board(thing: Deployment | Artifact, board: str | Board | None) -> Board:
    if board is not None:
        return chosen_board(board)
    if isinstance(thing, Deployment) and thing.board is not None:
        return thing.board
    raise UsageError("energy: name a board (--board); 'neurodeploy boards' lists them")


def _crossbar_deployment(thing: Deployment | Artifact, board: Board) -> Any:
    from neurodeploy.targets.registry import TARGETS

    if isinstance(thing, Deployment):
        if thing.target == "truenorth":
            if thing.board == board:
                return thing
            # What was approximated for one board is approximated anew for another.
            given = thing.artifact if thing.given is None else thing.given
            return TARGETS.get("truenorth")().compile(given, board, thing.options)
        thing = thing.artifact
    return TARGETS.get("truenorth")().compile(thing, board)


def _recorder(artifact: Artifact, real: bool = False) -> Any:
    """Runs the netlist with everything that counting events needs: the engine where it can."""
    from neurodeploy.energy.activity import membranes_needed
    from neurodeploy.verify.executors import fastest_executor

    netlist = artifact.real if real else artifact.integer
    assert netlist is not None
    watched, execute = membranes_needed(netlist), fastest_executor(netlist)
    return lambda stimulus: execute(stimulus, watched)


def _expect_real(artifact: Artifact) -> None:
    if artifact.real is None:
        raise UsageError(
            f"{artifact.netlist.name}: no real-valued netlist in the file to cross-validate with; "
            "quantize it from a converted network"
        )


def _cross_validation(artifact: Artifact, stimulus: Stimulus, whole: Activity | None = None) -> Any:
    """Compare with the real-valued run; ``whole`` is the integer run's activity where known."""
    from neurodeploy.energy.cross_validation import cross_validate
    from neurodeploy.energy.measure import measure_activity

    assert artifact.real is not None
    if whole is None:
        whole = measure_activity(artifact.integer, stimulus, _recorder(artifact))
    real = measure_activity(artifact.real, stimulus, _recorder(artifact, real=True))
    return cross_validate(artifact.integer, whole, artifact.real, real)
