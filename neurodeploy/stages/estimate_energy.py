"""Energy, time, cores and chips from the exact spikes of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from neurodeploy.datasets import SamplesLike
from neurodeploy.errors import CapacityError, UnknownNameError, UsageError
from neurodeploy.execution.batches import EncodedInput
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import ACCOUNTS, Account
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.fit import Verdict, Violation, judge, judged_with_cut
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_on_each, measure_traffic
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.hardware.search import PlacementRequest
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.compile import board_list, chosen_board, names_several
from neurodeploy.stages.fast_estimate import error_of, estimated
from neurodeploy.stages.load import opened
from neurodeploy.stages.samples import given_samples
from neurodeploy.stages.verdict import with_remedy
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.registry import TARGETS, target_for

if TYPE_CHECKING:
    from neurodeploy.hardware.price.activity import Activity
    from neurodeploy.hardware.price.traffic import Traffic


Boards = list[str] | list[Board] | list[str | Board] | tuple[str | Board, ...]
"""Boards to compare: names, paths or boards."""


@overload
def estimate_energy(
    network: Deployment | Network | str | Path,
    board: str | Board | None,
    data: SamplesLike,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    account: str = "share",
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    target: str | None = None,
    progress: Progress | None = None,
) -> EnergyReport: ...


@overload
def estimate_energy(
    network: Deployment | Network | str | Path,
    board: Boards,
    data: SamplesLike,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    account: str = "share",
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    target: str | None = None,
    progress: Progress | None = None,
) -> EnergyComparison: ...


@shows_progress("energy")
def estimate_energy(
    network: Deployment | Network | str | Path,
    board: str | Board | Boards | None,
    data: SamplesLike,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    account: str = "share",
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    fast: bool = False,
    target: str | None = None,
    progress: Progress | None = None,
) -> EnergyReport | EnergyComparison:
    """Energy, time, cores and chips per inference, from the exact spikes of a run.

    Boards of neurocores get the netlist partitioned, and its cores placed by the packets of the
    run; for boards of other cores a target compiles it, and its cores are counted.

    Parameters
    ----------
    network : Deployment, Network or path of either
    board : str, Board, list of either, or None
        None: the board that the deployment was compiled for. A list, names separated by commas, or
        ``all`` that come with neurodeploy: they are compared.
    data : Samples or what they are made from
        Or integers by input, as :func:`neurodeploy.run` takes them.
    samples : int, optional
        The first so many; all by default.
    cross_validate : bool
        Count the real-valued simulation as well.
    account : {"dynamic", "share", "chip"}
        What the energy holds: events; used cores and processors as well; the whole chip.
    objective : {"energy", "time", "pareto", "none"}, optional
        What cores of neurocore boards are placed for: energy if not given.
    placement : path, optional
        A placement file to take instead, or a table of neurons and cores (.csv), for one board.
    save_placement : path, optional
        Where to write the placement, for one board; as a table if it ends in .csv.
    fast : bool
        Estimate the spikes from the source network's activations instead of running all samples;
        two samples are run, to tell the error. For boards of neurocores.
    target : str, optional
        Which target compiles for the boards that it runs; by default the deployment's, else the
        first one of the board's kind of cores.

    Returns
    -------
    EnergyReport or EnergyComparison
        A comparison where ``board`` is several. It names the boards that cannot run the network
        with the reason.

    Raises
    ------
    CapacityError
        If the board, or every one of several, cannot run the network; with what would make it fit.
    FileFormatError
        If the placement file does not fit the network or the board.
    UnknownNameError
        For another account or objective.
    UsageError
        If no board is named and the deployment has none, or two boards have one name; for both an
        objective and a placement file; for any of them on a board of crossbar cores alone, for
        placement files and several boards; for ``fast`` with crossbar cores or ``cross_validate``.
    """
    if account not in ACCOUNTS:
        raise UnknownNameError("account", account, list(ACCOUNTS))
    thing = opened(network, "energy")
    several = names_several(board)
    asked: Sequence[str | Board | None] = [None] if board is None else board_list(board)
    boards = [_energy_board(thing, name) for name in asked]
    names = tuple(b.name for b in boards)
    if not names:
        raise UsageError("energy: an empty list of boards; name one at least")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"energy: two boards are called {twice!r}; give each a name of its own")
    if target is not None and all(target_for(b, target) != target for b in boards):
        raise UsageError(
            f"energy: target {target} does not run board {' or '.join(names)}; choose another"
        )
    request = PlacementRequest.checked(boards, objective, placement, save_placement)
    if fast:
        _expect_estimable(thing, target, boards, cross_validate)

    pricing = _Pricing(
        thing, data, samples, cross_validate, account, request, fast, target, progress
    )
    reports, refused = pricing.reports(boards)
    if not reports:
        raise CapacityError(_refusal(pricing.network, boards, refused))
    if not several:
        return reports[names[0]]
    return EnergyComparison(names, reports, refused)


def _refusal(net: Network, boards: Sequence[Board], refused: Mapping[str, Verdict]) -> str:
    told = {name: f"{v}; {v.remedy}" if v.remedy else str(v) for name, v in refused.items()}
    if len(boards) == 1:
        return f"{net.netlist.name}: {told[boards[0].name]}"
    reasons = "; ".join(f"{name}: {reason}" for name, reason in told.items())
    return f"{net.netlist.name}: none of {len(boards)} boards runs it: {reasons}"


class _Pricing:
    """The common part of the boards of one comparison: the network, the stimulus and the run."""

    def __init__(
        self,
        thing: Deployment | Network,
        data: SamplesLike,
        samples: int | None,
        cross_validate: bool,
        account: Account,
        request: PlacementRequest,
        fast: bool,
        target: str | None,
        progress: Progress | None,
    ) -> None:
        self.thing = thing
        self.named = _named(thing, target)
        self.network = thing.network if isinstance(thing, Deployment) else thing
        self.stimulus, self.dataset = given_samples(self.network, data, samples)
        self.account = account
        self.request = request
        self.fast = fast
        self.progress = progress
        self.source = None
        if self.network.analog is not None:
            from neurodeploy.hardware.price.operations import source_energy
            from neurodeploy.source.analog import macs

            self.source = source_energy(macs(self.network.analog))
        if cross_validate:
            _expect_real(self.network)
        self.cross_validate = cross_validate
        self._layers: Any = None
        self.verdicts: dict[str, Verdict] = {}

    def reports(
        self, boards: Sequence[Board]
    ) -> tuple[dict[str, EnergyReport], dict[str, Verdict]]:
        """Reports of the boards that run the network, and the verdicts on the others."""
        mappings: dict[str, CoreMap] = {}
        deployments: dict[str, Deployment] = {}
        for board in boards:
            try:
                if _is_cut(self.named, board):
                    # The cores are judged where the cut for this objective is made.
                    netlist = self.network.integer
                    found = judge(netlist, board, cut=False)
                    if found.fits:
                        mappings[board.name] = cut = self.request.start(netlist, board)
                        found = judged_with_cut(found, netlist, cut, board)
                else:
                    deployments[board.name] = _compiled_for(board, self.thing, self.named)
                    found = Verdict(board.name)
            except CapacityError as error:
                where = f"board {board.name}"
                found = Verdict(board.name, (Violation(where, str(error)),))
            self.verdicts[board.name] = with_remedy(
                found, self.network, board, self.named, self.dataset
            )
        fitting = {name: m for name, m in mappings.items() if self.verdicts[name].fits}
        reports = self._mapped(fitting)
        for board in boards:
            if board.name in deployments:
                reports[board.name] = self._compiled(deployments[board.name], board)
        refused = {name: v for name, v in self.verdicts.items() if not v.fits}
        return {b.name: reports[b.name] for b in boards if b.name in reports}, refused

    def _mapped(self, mappings: Mapping[str, CoreMap]) -> dict[str, EnergyReport]:
        if not mappings:
            return {}
        if self.fast:
            return self._estimated(mappings)
        netlist, execute = self.network.integer, _recorder(self.network)
        traffics, activity = measure_on_each(
            list(mappings.values()), netlist, self.stimulus, execute, progress=self.progress
        )

        def measure(other: CoreMap) -> Traffic:
            return measure_traffic(other, netlist, self.stimulus, execute)[0]

        reports = {}
        for (name, mapping), started in zip(mappings.items(), traffics, strict=True):
            traffic, placed = self.request.finish(started, mapping, netlist, activity, measure)
            compared = self._compared(activity)
            reports[name] = self._priced(
                traffic, mapping.board, placed.mapping, placement=placed, cross_validation=compared
            )
        return reports

    def _estimated(self, mappings: Mapping[str, CoreMap]) -> dict[str, EnergyReport]:
        """Reports from the source network's activations, with their error on a few samples."""
        from neurodeploy.hardware.price.analytic import expected_traffic

        netlist, execute = self.network.integer, _recorder(self.network)
        if self.dataset is None:
            raise UsageError("energy: --fast estimates from activations; give data, not integers")
        found = estimated(self.network, self.dataset, self.progress)
        few = {name: x[: found.checked.samples] for name, x in self.stimulus.items()}
        exact, _ = measure_on_each(list(mappings.values()), netlist, few, execute)

        def measure(other: CoreMap) -> Traffic:
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
            reports[name] = self._priced(
                traffic, board, placed.mapping, placement=placed, estimate_error=error
            )
        return reports

    def _compiled(self, deployment: Deployment, board: Board) -> EnergyReport:
        whole = {n: values[:] for n, values in self.stimulus.items()}
        deployment.run(whole, record=(), progress=self.progress)
        return self._priced(deployment.traffic(), board, None, cross_validation=self._compared())

    def _priced(
        self, traffic: Traffic, board: Board, mapping: CoreMap | None, **shown: Any
    ) -> EnergyReport:
        return estimate(
            traffic,
            board,
            network=self.network.netlist.name,
            account=self.account,
            mapping=mapping,
            source_network=self.source,
            verdict=self.verdicts[board.name],
            **shown,
        )

    def _compared(self, activity: Activity | None = None) -> Any:
        if self.cross_validate and self._layers is None:
            self._layers = _cross_validation(self.network, self.stimulus, activity)
        return self._layers


def _named(thing: Deployment | Network, target: str | None) -> str | None:
    """The target that was named, by name or by what it compiled."""
    return thing.target if target is None and isinstance(thing, Deployment) else target


def _is_cut(named: str | None, board: Board) -> bool:
    """Whether netlists are cut into the cores of a board here; else the target has its own."""
    return TARGETS.get(target_for(board, named)).board_kind == "neurocore"


def _expect_estimable(
    thing: Deployment | Network, target: str | None, boards: Sequence[Board], cross_validate: bool
) -> None:
    compiled = [b for b in boards if not _is_cut(_named(thing, target), b)]
    if compiled:
        raise UsageError(
            f"board {compiled[0].name}: the events of {compiled[0].kind} cores are counted in a "
            "run of the cores; leave --fast out"
        )
    if cross_validate:
        raise UsageError("--cross-validate compares two runs, --fast makes none; leave one out")


def _energy_board(thing: Deployment | Network, board: str | Board | None) -> Board:
    if board is not None:
        return chosen_board(board)
    if isinstance(thing, Deployment) and thing.board is not None:
        return thing.board
    raise UsageError("energy: name a board (--board); 'neurodeploy boards' lists them")


def _compiled_for(board: Board, thing: Deployment | Network, named: str | None) -> Deployment:
    name = target_for(board, named)
    if not isinstance(thing, Deployment):
        return TARGETS.get(name)().compile(thing, board)
    if thing.target != name:
        return TARGETS.get(name)().compile(thing.network, board)
    if thing.board == board:
        return thing
    # What was approximated for one board is approximated anew for another.
    given = thing.network if thing.given is None else thing.given
    return TARGETS.get(name)().compile(given, board, thing.options)


def _recorder(net: Network, real: bool = False) -> Any:
    """Runs the netlist with everything that counting events needs: the engine where it can."""
    from neurodeploy.hardware.price.activity import membranes_needed
    from neurodeploy.verification.executors import fastest_executor

    netlist = net.real if real else net.integer
    assert netlist is not None
    watched, execute = membranes_needed(netlist), fastest_executor(netlist)
    return lambda stimulus: execute(stimulus, watched)


def _expect_real(net: Network) -> None:
    if net.real is None:
        raise UsageError(
            f"{net.netlist.name}: no real-valued netlist in the file to cross-validate with; "
            "quantize it from a converted network"
        )


def _cross_validation(
    net: Network, stimulus: Mapping[str, EncodedInput], whole: Activity | None = None
) -> Any:
    """Compare with the real-valued run; ``whole`` is the integer run's activity where known."""
    from neurodeploy.hardware.price.cross_validation import cross_validate
    from neurodeploy.hardware.price.measure import measure_activity

    assert net.real is not None
    if whole is None:
        whole = measure_activity(net.integer, stimulus, _recorder(net))
    real = measure_activity(net.real, stimulus, _recorder(net, real=True))
    return cross_validate(net.integer, whole, net.real, real)
