"""Whether a target computes what integer netlists mean, spike for spike."""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import (
    CapacityError,
    NeurodeployError,
    TargetUnavailableError,
    UnknownNameError,
    UsageError,
)
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network, load_network
from neurodeploy.targets.base import Deployment, Target, Violation
from neurodeploy.targets.folder import ARTIFACT_FILE
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.registry import TARGETS
from neurodeploy.testing.cases import CASES, Case, case, stateful
from neurodeploy.testing.features import WITHOUT_CASE, features
from neurodeploy.verification.compare import first_divergence, integrators


@dataclass(frozen=True)
class Subject:
    """A target, board and options that are held to the cases.

    Parameters
    ----------
    target : Target
    board : Board or None
    options : mapping
    membranes : bool
        Whether the membranes of all neurons are compared, or only of outputs that integrate.
    refuses : set of str or None
        See :func:`assert_conforms`.
    """

    target: Target
    board: Board | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    membranes: bool = True
    refuses: frozenset[str] | None = None

    def violations(self, netlist: IntegerNetlist) -> list[Violation]:
        """Why the target refuses a netlist."""
        complete = self.target.complete_options(self.options)
        return self.target.violations(netlist, self.board, complete)

    def compile(self, netlist: IntegerNetlist) -> Deployment:
        """Compile a netlist."""
        return self.target.compile(Network(netlist), self.board, self.options)

    def watched(self, netlist: IntegerNetlist) -> list[str]:
        """Populations whose membranes are compared."""
        return stateful(netlist) if self.membranes else integrators(netlist)

    def expected_to_refuse(self, c: Case) -> bool | None:
        """Result of ``refuses`` for a case; None where it is not given."""
        return None if self.refuses is None else bool({c.name, *features(c.netlist)} & self.refuses)


def assert_conforms(
    target: Target | type[Target] | str,
    *,
    board: Board | str | None = None,
    options: Mapping[str, Any] | None = None,
    refuses: Collection[str] | None = None,
    membranes: bool = True,
    cases: Iterable[str] | None = None,
    together: bool = False,
) -> None:
    """Hold a target to the conformance cases: exact on each, or refused with its reasons.

    A case that :meth:`Target.violations` has nothing against must compile, and give every spike and
    membrane of the reference: as compiled, and once more after it was saved and loaded. All others
    must be refused by ``compile`` in one line, and each violation say where and what.

    Parameters
    ----------
    target : Target, subclass of Target, or str
        A name is looked up among the targets that are installed.
    board : Board or str, optional
        Default: the target's own.
    options : mapping, optional
        Of the target.
    refuses : set of str, optional
        Features (:func:`~neurodeploy.testing.features.features`) and names of cases that are
        refused, and nothing else. Without it whatever the target refuses is right, as long as two
        cases are left.
    membranes : bool
        Whether the target can return the membranes of all neurons, or only of outputs.
    cases : iterable of str, optional
        Names of :data:`~neurodeploy.testing.cases.CASES`; default: all.
    together : bool
        Whether cases run as parts of one netlist, for targets that are slow to start.

    Raises
    ------
    AssertionError
        With one line for every case that failed; where spikes differ, it is the first divergence.
    TargetUnavailableError
        If the target's software is not installed here.
    UsageError
        For something else than a target, and for no cases.
    UnknownNameError
        For a case, or a feature that is refused, that there is not.
    """
    found = _subject(target, board, options, refuses, membranes)
    reason = found.target.unavailable()
    if reason is not None:
        raise TargetUnavailableError(f"target {found.target.name}: {reason}")
    names = list(CASES) if cases is None else _names(cases, "cases")
    unknown = next((name for name in names if name not in CASES), None)
    if unknown is not None:
        raise UnknownNameError("conformance case", unknown, CASES)
    chosen = [case(name) for name in names]
    if not chosen:
        raise UsageError("cases: an empty list; nothing would be compared")
    _expect_known(found.refuses or frozenset(), chosen)
    wrong = [line for c in chosen for line in refusal_faults(found, c)]
    runs = [c for c in chosen if not found.violations(c.netlist)]
    if cases is None and sum(not c.silent for c in runs) < 2:
        wrong.append(f"{len(runs)} of {len(chosen)} cases are left: the target refuses the rest")
    for c in _joined(runs) if together else runs:
        wrong += run_faults(found, c)
    if wrong:
        raise AssertionError("\n".join([f"target {found.target.name} does not conform:", *wrong]))


def _names(given: Iterable[str], what: str) -> list[str]:
    """Names in a list, and no single one."""
    if isinstance(given, str):
        raise UsageError(f"{what} {given!r}: expected a list of names, as [{given!r}]")
    return list(given)


def _expect_known(refuses: frozenset[str], chosen: Sequence[Case]) -> None:
    """A name that nothing has would refuse nothing, and be believed to."""
    known = {*CASES, *WITHOUT_CASE}
    for some in (chosen, map(case, CASES)):
        if refuses <= known:
            return
        known |= {feature for c in some for feature in features(c.netlist)}
    unknown = sorted(refuses - known)
    if unknown:
        raise UnknownNameError("feature that is refused", unknown[0], known - {*CASES})


def _subject(
    target: Target | type[Target] | str,
    board: Board | str | None,
    options: Mapping[str, Any] | None,
    refuses: Collection[str] | None,
    membranes: bool,
) -> Subject:
    made = TARGETS.get(target) if isinstance(target, str) else target
    if isinstance(made, type) and issubclass(made, Target):
        if inspect.isabstract(made):
            missing = ", ".join(sorted(made.__abstractmethods__))
            raise UsageError(f"target {made.__name__}: lacks {missing}; see 'Add a target'")
        made = made()
    if not isinstance(made, Target):
        raise UsageError(f"target {target!r}: pass a subclass of Target, an instance, or a name")
    if board is None:
        board = made.default_board
    on = load_board(board) if isinstance(board, str | Path) else board
    if not isinstance(on, Board | None):
        raise UsageError(
            f"board: got a value of type {type(on).__name__}; pass a board, its name or its file"
        )
    told = None if refuses is None else frozenset(_names(refuses, "refuses"))
    return Subject(made, on, dict(options or {}), membranes, told)


def refusal_faults(subject: Subject, c: Case) -> list[str]:
    """Fault of the refusal of a case, or of its absence."""
    violations = subject.violations(c.netlist)
    expected = subject.expected_to_refuse(c)
    if not violations:
        return [f"{c.name}: was expected to be refused and is not"] if expected else []
    wrong = []
    if expected is False:
        wrong.append(f"is refused against expectation: {violations[0]}")
    for violation in violations:
        if not _names_a_place(violation.where, c.netlist):
            wrong.append(f"a violation names no population, projection or board: {violation}")
        if not violation.resource or "\n" in str(violation):
            wrong.append(f"a violation does not say in one line what it is: {violation}")
    try:
        subject.compile(c.netlist)
        wrong.append(f"compiles in spite of: {violations[0]}")
    except CapacityError as error:
        if not str(error).startswith(f"target {subject.target.name} refuses ") or "\n" in str(
            error
        ):
            wrong.append(f"is refused by compile, but not for its violations: {error}")
    return [f"{c.name}: {line}" for line in wrong]


def _names_a_place(where: str, netlist: IntegerNetlist) -> bool:
    names = {netlist.name, "board", "netlist", *netlist.by_name}
    return bool(names & set(where.replace("->", " ").replace("[", " ").replace(":", " ").split()))


def run_faults(subject: Subject, c: Case, *, twice: bool = True) -> list[str]:
    """How the runs of a case that is not refused part from the reference.

    Once as compiled, and once after it was saved and loaded, or the latter alone.
    """
    watched = subject.watched(c.netlist)
    want = run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))
    try:
        deployment = subject.compile(c.netlist)
        wrong = _differing(deployment, c, want, watched) if twice else []
        json.dumps(deployment.utilization(), allow_nan=False)
        with tempfile.TemporaryDirectory() as folder:
            loaded = _saved_and_loaded(subject, deployment, Path(folder) / "deployment")
            after = _differing(loaded, c, want, watched)
        wrong += [f"saved and loaded: {line}" for line in after]
    except NeurodeployError as error:
        wrong = [f"{type(error).__name__}: {error}"]
    except TypeError as error:
        if "JSON" not in str(error):
            raise
        wrong = [f"utilization() returns what is no JSON: {error}"]
    return [f"{c.name}: {line}" for line in wrong]


def _saved_and_loaded(subject: Subject, deployment: Deployment, folder: Path) -> Deployment:
    deployment.save(folder)
    target = subject.target
    if target.name in TARGETS.entries() and TARGETS.get(target.name) is type(target):
        return load_deployment(folder)
    options = target.complete_options(subject.options)
    return target.load(folder, load_network(folder / ARTIFACT_FILE), subject.board, options)


def _differing(
    deployment: Deployment, c: Case, want: RunRecord, watched: Collection[str]
) -> list[str]:
    got = deployment.run(c.stimulus, membranes=watched)
    silent = integrators(c.netlist)
    found = differences(want, got, [n for n in want.spikes if n not in silent], watched)
    if not found:
        return []
    first = first_divergence(
        c.netlist,
        "the reference",
        got,
        want,
        lambda names: deployment.run(c.stimulus, membranes=set(names) & {*watched, *silent}),
        lambda names: want,
    )
    return [str(first)] if first is not None else found[:1]


def differences(
    want: RunRecord, got: RunRecord, spiking: Collection[str], membranes: Collection[str]
) -> list[str]:
    """One line for every population that differs, with its first divergence."""
    found = []
    pairs = [(n, "spikes", want.spikes, got.spikes) for n in spiking]
    pairs += [(n, "membrane", want.membranes, got.membranes) for n in membranes]
    for name, what, ours, theirs in pairs:
        if name not in theirs:
            found.append(f"{name}: no {what} were returned")
            continue
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        if a.shape != b.shape:
            found.append(f"{name}: {what} of shape {b.shape}, expected {a.shape}")
        elif (a != b).any():
            where = np.argwhere(a != b)
            first = tuple(where[where[:, 1].argmin()].tolist())
            found.append(
                f"{name}: {len(where)} of {a.size} {what} differ, first at (sample, step, neuron) "
                f"{first}: expected {a[first]}, got {b[first]}"
            )
    return found


def _joined(cases: Sequence[Case]) -> Iterator[Case]:
    for timesteps in sorted({c.netlist.timesteps for c in cases}):
        yield union([c for c in cases if c.netlist.timesteps == timesteps], f"T{timesteps}")


def union(cases: Sequence[Case], name: str) -> Case:
    """Several cases as one netlist of unconnected parts, for executors that are slow to start.

    Populations are called ``<case>.<population>``. T and the batch size must be the same.
    """
    populations, projections, outputs = [], [], []
    stimulus: dict[str, IntArray] = {}
    silent = set()
    for c in cases:
        lead = f"{c.name}."
        populations += [replace(p, name=lead + p.name) for p in c.netlist.populations]
        projections += [
            replace(q, pre=lead + q.pre, post=lead + q.post) for q in c.netlist.projections
        ]
        outputs += [replace(o, population=lead + o.population) for o in c.netlist.outputs]
        stimulus |= {lead + n: x for n, x in c.stimulus.items()}
        silent |= {lead + n for n in c.silent}
    (timesteps,) = {c.netlist.timesteps for c in cases}
    netlist = IntegerNetlist(
        name, tuple(populations), tuple(projections), tuple(outputs), timesteps
    )
    return Case(name, netlist, stimulus, frozenset(silent))
