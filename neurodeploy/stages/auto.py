"""The ``auto`` method: the cheapest conversion that meets a budget, measured on calibration data.

Codes are tried from the shortest run to the longest, and of one length from the most telling spike
to the binary one. Each is converted, quantized to 8 bits, checked against the target and its board,
and run on training samples that its thresholds have not seen. The first length at which a code
meets the budget ends the search; of the codes that do, the one with the fewest spikes is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from neurodeploy.conversion.calibration.thresholds import SilentLayerError
from neurodeploy.datasets import Samples
from neurodeploy.errors import CapacityError, NeurodeployError, QuantizationError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.stages.budget import Budget
from neurodeploy.stages.trial import UNITS, Tried, lasting_refusal, measured

LADDER: tuple[tuple[int, tuple[str, ...]], ...] = (
    (1, ("graded",)),
    (2, ("graded",)),
    (4, ("graded",)),
    (8, ("signed-memory", "rate")),
    (10, ("momentum",)),
    (12, ("radix",)),
    (16, ("radix", "signed-memory", "rate")),
    (32, ("rate",)),
    (64, ("rate",)),
    (128, ("rate",)),
)
"""Time steps, and the methods that are worth trying at them."""
LENGTHS = (8, 16, 32, 64, 128)
"""Time steps that are tried with the methods of a target that has its own."""

OPTIONAL_METHODS = ("momentum", "radix")
"""Those that are left out where they have no use for an option that the others take."""
LISTENING_LENGTHS = range(8, 25)
"""Time steps at which they are worth trying, where only one length is wanted."""

AUTO_METHODS = tuple(sorted({name for _, names in LADDER for name in names}))

JUDGED_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class Choice:
    """Chosen configuration and the reasons.

    Parameters
    ----------
    chosen : Tried
    met : bool
        Whether the budget is met.
    tried : tuple of Tried
        In order.
    judged : int
        Samples on which it was measured.
    target : str or None
        That has to compute it.
    """

    chosen: Tried
    met: bool
    tried: tuple[Tried, ...]
    judged: int
    target: str | None = None

    def reason(self, budget: Budget) -> str:
        """One sentence: what, why, and, where the budget is not met, by how much and what would."""
        aim = "" if self.target == budget.target else f"target {self.target}: "
        what = f"auto chose {aim}{self.chosen} ({self.judged} calibration samples)"
        allowed = f"{self.chosen.allowed(budget):g} {UNITS[self.chosen.measure or '']}"
        if self.met:
            return f"{what}: the shortest run within {allowed}"
        remedy = "raise --max-error" if self.chosen.measure == "error" else "raise --max-loss"
        if budget.max_timesteps is not None and budget.max_timesteps < LADDER[-1][0]:
            remedy = "allow more --max-timesteps"
        elif any(t.refused for t in self.tried):
            remedy = "choose a target or board that takes graded or signed spikes"
        return f"{what}: nothing met the budget of {allowed}; {remedy}"

    def doubt(self, budget: Budget) -> str | None:
        """Warning where the estimate meets the budget and the end of its interval does not."""
        most, allowed = self.chosen.most, self.chosen.allowed(budget)
        if not self.met or most is None or most <= allowed:
            return None
        unit = UNITS[self.chosen.measure or ""]
        return (
            f"auto: {self.judged} samples do not tell a loss of {self.chosen.loss:.1f} {unit} from "
            f"one of {most:.1f} (95 % interval), more than the {allowed:g} allowed; evaluate on "
            "more samples"
        )

    @property
    def agreeing(self) -> tuple[int, int] | None:
        """Judged samples that it answers as its source, and all of them; None without classes."""
        chosen, n = self.chosen, self.judged
        if chosen.measure == "disagreement" and chosen.loss is not None:
            return n - round(chosen.loss * n / 100), n
        return None if chosen.agreement is None else (round(chosen.agreement * n), n)

    def to_dict(self, budget: Budget) -> dict[str, Any]:
        """JSON values for the provenance."""
        return {
            "reason": self.reason(budget),
            "met": self.met,
            "max_loss": budget.max_loss,
            "max_error": budget.max_error,
            "max_timesteps": budget.max_timesteps,
            "target": self.target,
            "board": budget.board.name if isinstance(budget.board, Board) else budget.board,
            "judged_samples": self.judged,
            "chosen": asdict(self.chosen),
            "tried": [asdict(t) for t in self.tried],
        }


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Convert(Protocol):
    """Converts with a method, for so many steps, with options beside those given."""

    def __call__(
        self,
        method: str,
        steps: int,
        advance: Progress | None,
        refined: bool = True,
        options: Mapping[str, Any] = NOTHING,
    ) -> Network:
        """The network; without what refines it on real spikes, where ``refined`` is false."""


def choose(
    convert: Convert,
    judge: Samples,
    budget: Budget,
    timesteps: int | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _: None,
    emits: Callable[[str], str] = lambda _: "binary",
    alternatives: Callable[[str], tuple[Mapping[str, Any], ...]] = lambda _: (),
) -> tuple[Network, Choice]:
    """The cheapest conversion within a budget, or the nearest to it.

    Parameters
    ----------
    convert : callable
    judge : Samples
        Training samples to measure on.
    budget : Budget
    timesteps : int, optional
        The only length to consider.
    tell : callable
        Told what is tried and what came of it, a line each.
    emits : callable
        What the spikes of a method carry: ``binary``, ``signed`` or ``graded``.
    alternatives : callable
        Options of a method that are worth trying where it misses the budget without them.

    Raises
    ------
    NeurodeployError
        If every code is refused, with the last refusal; at once, where a layer is silent.
    """
    tried: list[Tried] = []
    networks: dict[int, Network] = {}
    refusal: NeurodeployError | None = None
    binary = budget.binary_board
    full = False
    # What a board's neurons cannot do, and cores that it lacks, are the same for any T.
    hopeless: set[str] = set()
    judgeable: set[str] = set()
    unsendable: list[Tried] = []
    for steps, methods in _ladder(budget, timesteps):
        if full:
            break
        fitting: list[Tried] = []
        codes = ((method, extra) for method in methods for extra in ({}, *alternatives(method)))
        for method, extra in codes:
            asked = Tried(method, steps, conversion=extra)
            kind = asked.code.partition(" at T")[0]
            # More neurons are for budgets that are missed.
            if {method, kind} & hopeless or any(t.method == method for t in fitting):
                continue
            if binary is not None and emits(method) != "binary":
                reason = f"{binary} sends binary spikes, {method} {emits(method)} ones"
                tried.append(replace(asked, refused=reason))
                unsendable.append(tried[-1])
                tell(f"auto: {tried[-1]}")
                continue
            tell(f"auto: trying {asked.code}")
            try:
                if budget.neurocores and kind not in judgeable:
                    sketch = convert(method, steps, progress, False, extra)
                    lasting = lasting_refusal(sketch, budget)
                    if lasting is not None:
                        hopeless.add(kind)
                        tried.append(replace(asked, refused=lasting))
                        tell(f"auto: {tried[-1]}; so it is with more steps")
                        continue
                    judgeable.add(kind)
                network = convert(method, steps, progress, True, extra)
                found = measured(network, judge, budget, method, steps, tell)
            except SilentLayerError:
                raise
            except NeurodeployError as error:
                refusal = error
                tried.append(replace(asked, refused=str(error)))
                tell(f"auto: {tried[-1]}")
                # Longer runs take as many axons and wider states.
                full = budget.crossbar and isinstance(error, (CapacityError, QuantizationError))
                continue
            found = replace(found, conversion=extra)
            if found.refused is None:
                networks[len(tried)] = network
            full = budget.crossbar and found.refused is not None
            tried.append(found)
            tell(f"auto: {found}")
            if found.meets(budget):
                fitting.append(found)
        if fitting:
            best = min(fitting, key=lambda t: t.spikes or 0.0)
            return networks[tried.index(best)], Choice(
                best, True, tuple(tried), len(judge), budget.target
            )
    for name in () if networks else budget.others:
        tell(f"auto: no code fits so far; trying those of target {name}")
        aimed = replace(budget, target=name)
        try:
            found_there, choice = choose(
                convert, judge, aimed, timesteps, progress, tell, emits, alternatives
            )
        except NeurodeployError as error:
            refusal = error
            continue
        return found_there, replace(choice, tried=(*tried, *choice.tried))
    if not networks:
        if refusal is not None:
            raise refusal
        # What stopped the plainest code says more than which spikes and inputs a board lacks.
        really = [t for t in tried if t not in unsendable] or tried
        last = max(really, key=lambda t: (t.method == "rate", t.timesteps))
        raise CapacityError(
            f"auto: all {len(tried)} conversions are refused, the last one ({last}); choose "
            "another target or board, or name a --method"
        )
    nearest = min(networks, key=lambda i: (tried[i].loss or 0.0, -(tried[i].agreement or 0.0)))
    return networks[nearest], Choice(tried[nearest], False, tuple(tried), len(judge), budget.target)


def _ladder(budget: Budget, timesteps: int | None) -> tuple[tuple[int, tuple[str, ...]], ...]:
    if budget.methods:
        steps = LENGTHS if timesteps is None else (timesteps,)
        most = steps[-1] if budget.max_timesteps is None else budget.max_timesteps
        return tuple((t, budget.methods) for t in steps if t <= most)
    if timesteps is not None:
        longer = [methods for steps, methods in LADDER if steps >= timesteps]
        methods = dict.fromkeys(("graded", "signed-memory", "rate"))
        if timesteps in LISTENING_LENGTHS:
            methods = dict.fromkeys((*methods, *OPTIONAL_METHODS))
        return ((timesteps, tuple(methods) if longer else ("rate",)),)
    most = LADDER[-1][0] if budget.max_timesteps is None else budget.max_timesteps
    return tuple(step for step in LADDER if step[0] <= most)
