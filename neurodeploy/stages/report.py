"""Everything about a network in one page: what it is, what it loses, what it costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neurodeploy.datasets import Samples, SamplesLike, as_data
from neurodeploy.errors import NeurodeployError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.ir.files import as_path, expect_writable
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.provenance import without_folders
from neurodeploy.network import Network
from neurodeploy.notebook import expect_matplotlib
from neurodeploy.stages.compile import board_list, chosen_board, compile
from neurodeploy.stages.deploy_record import is_deployed
from neurodeploy.stages.deployed import Deployed, read_deployed
from neurodeploy.stages.diagnose import diagnose
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.fingerprints import MeasuredOn
from neurodeploy.stages.load import opened, wrong_kind
from neurodeploy.stages.reported import Changed, Counts, Measured, Report
from neurodeploy.stages.samples import encoded_samples
from neurodeploy.stages.verdict import verdict
from neurodeploy.stages.verify import verify
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.registry import TARGETS

if TYPE_CHECKING:
    from neurodeploy.datasets import EventSamples
    from neurodeploy.stages.kept_results import KeptResults
    from neurodeploy.verification.accuracy import Evaluation
    from neurodeploy.verification.verification import Verification

BOARDS = ("loihi1", "loihi2")
SHOWN_CHANGES = 12

Tell = Callable[[str], None]


def report(
    thing: Network | Deployment | str | Path,
    data: SamplesLike | None = None,
    path: str | Path | None = None,
    *,
    samples: int | None = None,
    board: str | Sequence[str | Board] | None = None,
    target: str | Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """Measure a network on a few samples, and put everything about it into one page.

    Parameters
    ----------
    thing : Network, Deployment, or path of either, or of a folder of ``deploy``
        What ``deploy`` verified is taken from its folder.
    data : Samples or what they are made from, optional
        Their test split unless they say otherwise. Without data the page tells what the file does.
    path : path, optional
        Where to write the page: one HTML file, which needs no other.
    samples : int >= 1, optional
        The accuracy is that of the first so many, 256 if not given, and the other parts take fewer
        of them. A folder of ``deploy`` has its own numbers.
    board : sequence of str or Board, optional
        Boards whose verdict, energy and cores are shown, or ``all``: loihi1 and loihi2 if not
        given, and the one that the network was converted for; of a folder of ``deploy``, its own.
    target : sequence of str, optional
        Targets that the network is compiled for, and verified on against reference and engine.
    tell : callable
        Told what is done next.

    Returns
    -------
    Report
        ``save`` writes it; a notebook shows it.

    Raises
    ------
    UsageError
        For another kind of thing, or a page that cannot be written.
    UnknownNameError
        For a board or a target that there is not.
    DataError
        For data of another network.
    TargetUnavailableError
        If matplotlib, which draws the page, is not installed.
    """
    if path is not None:
        expect_matplotlib()
        expect_page(as_path(path))
    given = Path(thing) if isinstance(thing, str | os.PathLike) else None
    names = () if target is None else _names(target)
    deployed = None
    if given is not None and is_deployed(given):
        deployed = read_deployed(given)
    if data is None:
        dataset = None
        tell("no data: accuracy, losses, spikes and energy are left out of the page")
    else:
        dataset = as_data(data, "test")
    counts, refused = Counts(), {}
    if deployed is not None:
        counts = _counts_of(deployed)
    if samples is not None:
        counts = replace(counts, evaluated=samples)
    if deployed is not None:
        chosen = _some_of(deployed, board)
        measured = tuple(_deployed(deployed, chosen, dataset, counts, names, tell))
        refused = {n: why for n, why in _refused(deployed).items() if n in chosen}
    else:
        found = opened(thing, "report")
        measured = (_measured(found, given, dataset, counts, board, names, tell),)
    name = given.name or str(given.resolve().name) if given is not None else measured[0].name
    spec = data if isinstance(data, str) else None if dataset is None else dataset.name
    shown = None if spec is None else without_folders(spec)
    command = _command(name, shown, samples, board, names)
    result = Report(name, shown, measured, command, counts, refused)
    if path is not None:
        tell("the page")
        result.save(path)
    return result


def expect_page(path: Path) -> None:
    """Refuse, before any work, a name that hides what will be in it or cannot be written.

    Raises
    ------
    UsageError
    """
    if path.suffix not in (".html", ".htm"):
        raise UsageError(f"report: {path}: choose a name that ends in .html")
    expect_writable(path)


def _names(given: object) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise wrong_kind("report", given, "names of targets as target")
    found = tuple(dict.fromkeys(n.strip() for n in names if n.strip()))
    for name in found:
        TARGETS.get(name)
    return found


def _command(
    name: str,
    data: str | None,
    samples: int | None,
    board: str | Sequence[str | Board] | None,
    targets: Sequence[str],
) -> tuple[str, ...]:
    words = ["neurodeploy", "report", name]
    words += ["--data", data] if data is not None else []
    words += ["--samples", str(samples)] if samples is not None else []
    if board is not None:
        words += ["--board", ",".join(_board_names(board))]
    words += ["--target", ",".join(targets)] if targets else []
    return (*words, "-o", "report.html")


def _boards(given: str | Sequence[str | Board] | None, network: Network) -> dict[str, Board]:
    if given is None:
        own = network.provenance.get("auto", {})
        named = own.get("board") if isinstance(own, dict) else None
        given = [n for n in dict.fromkeys((named, *BOARDS)) if n in board_names()]
    boards = [chosen_board(one) for one in board_list(given)]
    return {board.name: board for board in boards}


def _board_names(given: str | Sequence[str | Board]) -> list[str]:
    listed = [given] if given == "all" else board_list(given)
    return [one.name if isinstance(one, Board) else str(one) for one in listed]


class _Parts:
    """Parts of the page as they are found, and why others are not."""

    def __init__(self, tell: Tell, name: str) -> None:
        self.missing: dict[str, str] = {}
        self._tell = tell
        self._name = name

    @contextmanager
    def part(self, name: str, told: str) -> Iterator[None]:
        """A part that may not be possible; the reason then stands in its place."""
        self._tell(f"{self._name}: {told}")
        try:
            yield
        except NeurodeployError as error:
            self.missing[name] = str(error)
            self._tell(f"{self._name}: {name} left out: {error}")


def _measured(
    thing: Network | Deployment,
    path: Path | None,
    dataset: Samples | EventSamples | None,
    counts: Counts,
    board: str | Sequence[str | Board] | None,
    targets: Sequence[str],
    tell: Tell,
) -> Measured:
    network = thing.network if isinstance(thing, Deployment) else thing
    name = path.name if path is not None else f"{network.netlist.name}.ndn"
    if isinstance(thing, Deployment) and board is None and thing.board is not None:
        board = [thing.board]
    parts = _Parts(tell, name)
    deployments: dict[str, Deployment] = {}
    if isinstance(thing, Deployment):
        deployments[thing.target] = thing
    for target in targets:
        if target not in deployments:
            with parts.part(f"verification on {target}", f"compilation for {target}"):
                deployments[target] = compile(network, target)
    measured = Measured(name, name, network, boards=_boards(board, network))
    return _all_of(parts, measured, dataset, counts, deployments)


def _some_of(deployed: Deployed, board: str | Sequence[str | Board] | None) -> tuple[str, ...]:
    """The boards of a folder of ``deploy``, or those of them that were named."""
    if board is None or board == "all":
        return deployed.boards
    names = _board_names(board)
    for name in names:
        if name not in deployed.boards:
            raise UnknownNameError("board of this folder", name, deployed.boards)
    return tuple(dict.fromkeys(names))


def _deployed(
    deployed: Deployed,
    chosen: Sequence[str],
    dataset: Samples | EventSamples | None,
    counts: Counts,
    targets: Sequence[str],
    tell: Tell,
) -> Iterator[Measured]:
    """One for each board that has a network, with what ``deploy`` verified and measured."""
    from neurodeploy.stages.kept_results import KeptResults
    from neurodeploy.verification.stored import stored_verification

    on = None if dataset is None else MeasuredOn(dataset)
    for name in chosen:
        network = deployed.network(name)
        if network is None:
            continue
        parts = _Parts(tell, name)
        verifications: dict[str, Verification] = {}
        for target in deployed.compiled(name):
            step = deployed.step("verify", name, target)
            told = deployed.result(step)
            if told is not None and (not targets or target in targets):
                with parts.part(f"verification on {target}", f"verification on {target}, read"):
                    verifications[target] = stored_verification(told, network.integer)
            elif step is not None:
                parts.missing[f"verification on {target}"] = step.line
        if deployed.refusal(name) is not None:
            parts.missing["verification"] = "the board does not run it"
        measured = Measured(
            name,
            deployed.integer_name(name) or name,
            network,
            verifications=verifications,
            boards={name: deployed.board(name)},
        )
        kept = None if on is None else KeptResults(deployed, name, on)
        yield _all_of(parts, measured, dataset, counts, {}, kept)


def _refused(deployed: Deployed) -> dict[str, str]:
    """Boards without a network, and what the step that ended them said."""
    return {
        name: next(
            (s.line for s in reversed(deployed.steps) if s.board == name and s.status != "done"),
            "not there yet",
        )
        for name in deployed.boards
        if deployed.network(name) is None
    }


def _counts_of(deployed: Deployed) -> Counts:
    """The numbers of samples that ``deploy`` took: its figures are those of the page."""
    counts, told = Counts(), deployed.record.arguments
    evaluated, priced = (
        told[name] if isinstance(told.get(name), int) else default
        for name, default in (
            ("samples", counts.evaluated),
            ("energy_samples", counts.priced),
        )
    )
    # Of several networks fewer rasters stand in the page.
    return replace(counts, evaluated=evaluated, priced=priced, shown=2)


def _all_of(
    parts: _Parts,
    found: Measured,
    dataset: Samples | EventSamples | None,
    counts: Counts,
    deployments: Mapping[str, Deployment],
    kept: KeptResults | None = None,
) -> Measured:
    network, boards = found.network, found.boards
    whole = isinstance(network.netlist, IntegerNetlist)
    if whole:
        with parts.part("boards", f"verdicts of {', '.join(boards)}"):
            known = None if kept is None else kept.verdict()
            verdicts = {n: known or verdict(network, b) for n, b in boards.items()}
            found = replace(found, verdicts=verdicts)
    else:
        parts.missing["quantization"] = "the netlist is real-valued; 'neurodeploy quantize' it"
        parts.missing["boards"] = "boards run integers; 'neurodeploy quantize' the netlist"
    if dataset is None:
        for part in ("accuracy", "conversion", "spikes", "energy"):
            parts.missing.setdefault(part, "no data were given; --data names them")
        return replace(found, missing=parts.missing)
    first = dataset.first(min(counts.evaluated, len(dataset)))
    # Data of another network are an error, not a part that is missing.
    encoded_samples(network, first, 1)
    found = _answers(parts, found, first, kept)
    with parts.part("conversion", "losses by layer and cause"):
        diagnosis = diagnose(network, first, min(counts.diagnosed, len(first)))
        found = replace(found, diagnosis=diagnosis)
    n = min(counts.watched, len(first))
    with parts.part("spikes", f"spikes of {n} samples"):
        from neurodeploy.verification.spike_activity import watch

        stimulus, _ = encoded_samples(network, first, n)
        found = replace(found, activity=watch(network.netlist, stimulus, counts.shown))
    fitting = [boards[n] for n, v in found.verdicts.items() if v.fits]
    if fitting:
        n = min(counts.priced, len(first))
        with parts.part("energy", f"energy on {', '.join(b.name for b in fitting)}, {n} samples"):
            known_energy = None if kept is None else kept.energy(n)
            if known_energy is None:
                energy = estimate_energy(network, fitting, first, n)
            else:
                name = known_energy.board
                energy = EnergyComparison((name,), {name: known_energy}, {})
            found = replace(found, energy=energy)
    elif whole:
        parts.missing["energy"] = "none of the boards runs it"
    for target, deployment in deployments.items():
        n = min(counts.verified, len(first))
        with parts.part(f"verification on {target}", f"verification on {target}, {n} samples"):
            result = verify(deployment, ("reference", "engine"), first, n)
            found = replace(found, verifications={**found.verifications, target: result})
    return replace(found, missing=parts.missing)


def _answers(
    parts: _Parts, found: Measured, data: Samples | EventSamples, kept: KeptResults | None
) -> Measured:
    """Accuracies of the real-valued and of the integer netlist, and what changed its class."""
    network = found.network
    netlists: dict[Literal["spiking", "integer"], Network] = {"spiking": network}
    if isinstance(network.netlist, IntegerNetlist):
        netlists = {"integer": network}
        if network.real is not None:
            netlists = {"spiking": replace(network, netlist=network.real), **netlists}
    evaluations: dict[str, Evaluation] = {}
    with parts.part("accuracy", f"accuracy of {len(data)} samples"):
        for kind, one in netlists.items():
            known = None if kept is None else kept.evaluation(kind, data)
            evaluations[kind] = evaluate(one, data) if known is None else known
    found = replace(found, evaluations=evaluations, labels=data.y)
    return replace(found, changed=_changed(found, data))


def _changed(found: Measured, data: Samples | EventSamples) -> Changed | None:
    evaluation = found.evaluation
    if evaluation is None or evaluation.decided is None or evaluation.source_decided is None:
        return None
    after, before = evaluation.decided, evaluation.source_decided
    places = (after != before).nonzero()[0]
    few = places[:SHOWN_CHANGES]
    labels = [-1] * len(few) if data.y is None else [int(data.y[i]) for i in few]
    assert isinstance(data, Samples)
    return Changed(
        len(places),
        tuple(int(data.indices[i]) for i in few),
        tuple(labels),
        tuple(int(before[i]) for i in few),
        tuple(int(after[i]) for i in few),
        data.x[few],
    )
