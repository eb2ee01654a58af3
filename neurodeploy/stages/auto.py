"""The ``auto`` method: the cheapest conversion that meets a budget, measured on calibration data.

Codes are tried from the shortest run to the longest, and of one length from the most telling spike
to the binary one. Each is converted, quantized to 8 bits, checked against the target and its board,
and run on training samples that its thresholds have not seen. The first length at which a code
meets the budget ends the search; of the codes that do, the one with the fewest spikes is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import Samples
from neurodeploy.errors import (
    CapacityError,
    ConversionError,
    NeurodeployError,
    QuantizationError,
    UsageError,
)
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS, target_for
from neurodeploy.verification.statistics import wilson

if TYPE_CHECKING:
    from neurodeploy.verification.accuracy import Evaluation

LADDER: tuple[tuple[int, tuple[str, ...]], ...] = (
    (1, ("graded",)),
    (2, ("graded",)),
    (4, ("graded",)),
    (8, ("signed-memory", "rate")),
    (16, ("signed-memory", "rate")),
    (32, ("rate",)),
    (64, ("rate",)),
    (128, ("rate",)),
)
LENGTHS = (8, 16, 32, 64, 128)
"""Time steps that are tried with the methods of a target that has its own."""
"""Time steps, and the methods that are worth trying at them."""

AUTO_METHODS = tuple(sorted({name for _, names in LADDER for name in names}))

MAX_LOSS = 1.0
MAX_ERROR = 2.0
JUDGED_SAMPLES = 512
WEIGHT_BITS = 8
# Images on which the networks differ are right and wrong about equally often: many more of them
# than the budget are no loss yet, but a sign that the measured loss is luck.
DISAGREEMENT = 5.0
UNITS = {
    "points": "points",
    "disagreement": "% of samples answered otherwise",
    "error": "% of the outputs' spread",
    "": "points",
}
"""What losses are counted in, by measure."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What ``auto`` has to meet.

    Parameters
    ----------
    target : str or None
        The target that has to compute it exactly; None: any.
    board : str, Board or None
        That has to hold it.
    max_loss : float
        Points of accuracy that may be lost against the source network; of classes without labels
        a fifth of the samples that may be answered otherwise.
    max_timesteps : int or None
        Longest run.
    max_error : float
        Where answers are no classes: error of the worst output in per cent of its spread.
    """

    target: str | None = None
    board: str | Board | None = None
    max_loss: float = MAX_LOSS
    max_timesteps: int | None = None
    max_error: float = MAX_ERROR

    def __post_init__(self) -> None:
        if not 0 <= self.max_loss <= 100:
            raise UsageError(f"max loss {self.max_loss}: expected 0 to 100 points")
        if not self.max_error > 0:
            raise UsageError(f"max error {self.max_error}: expected per cent above 0")
        if self.max_timesteps is not None and self.max_timesteps < 1:
            raise UsageError(f"max timesteps {self.max_timesteps}: at least 1 is needed")

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that the target restricts to; none: the ladder's."""
        return () if self.target is None else TARGETS.get(self.target).methods

    @property
    def chosen_board(self) -> Board | None:
        """The board, by default the target's."""
        from neurodeploy.stages.compile import chosen_board

        named = self.board
        if named is None and self.target is not None:
            named = TARGETS.get(self.target).default_board
        return None if named is None else chosen_board(named)

    @property
    def binary_board(self) -> str | None:
        """The board, if its cores send spikes that carry no more than that they happened."""
        board = self.chosen_board
        if board is None:
            return None
        binary = board.kind == "crossbar" or board.limit("payload_bits") == 1
        return board.name if binary else None

    @property
    def crossbar(self) -> bool:
        """Whether crossbar cores have to run it, which take and send spikes alone."""
        board = self.chosen_board
        return board is not None and board.kind == "crossbar"


@dataclass(frozen=True, slots=True)
class Tried:
    """One conversion that was measured, or why it was not.

    Parameters
    ----------
    method : str
    timesteps : int
    measure : {"points", "disagreement", "error"} or None
        What ``loss`` counts: points of accuracy lost, per cent of samples answered otherwise, or
        the error of the worst output in per cent of its spread.
    loss : float or None
    most : float or None
        Upper end of its 95 % interval; None where it has none.
    agreement, spikes : float or None
    text : str
        What was measured, in words.
    refused : str or None
    """

    method: str
    timesteps: int
    measure: str | None = None
    loss: float | None = None
    most: float | None = None
    agreement: float | None = None
    spikes: float | None = None
    text: str = ""
    refused: str | None = None

    def meets(self, budget: Budget) -> bool:
        """Whether its estimate is within the budget."""
        if self.loss is None:
            return False
        differ = 0.0 if self.agreement is None else 100 * (1 - self.agreement)
        alike = differ <= DISAGREEMENT * max(budget.max_loss, 0.2)
        return self.loss <= self.allowed(budget) and alike

    def allowed(self, budget: Budget) -> float:
        """How much of its measure the budget allows."""
        if self.measure == "error":
            return budget.max_error
        return budget.max_loss * (DISAGREEMENT if self.measure == "disagreement" else 1)

    def __str__(self) -> str:
        if self.loss is None:
            return f"{self.method} at T = {self.timesteps} is refused: {self.refused}"
        return (
            f"{self.method} at T = {self.timesteps} {self.text}, {self.spikes:.0f} spikes an "
            "inference"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why.

    Parameters
    ----------
    chosen : Tried
    met : bool
        Whether the budget is met.
    tried : tuple of Tried
        In order.
    judged : int
        Samples on which it was measured.
    """

    chosen: Tried
    met: bool
    tried: tuple[Tried, ...]
    judged: int

    def reason(self, budget: Budget) -> str:
        """One sentence: what, why, and, where the budget is not met, by how much and what would."""
        what = f"auto chose {self.chosen} ({self.judged} calibration samples)"
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
        """Where the budget is met by the estimate, but not by the end of its interval."""
        most, allowed = self.chosen.most, self.chosen.allowed(budget)
        if not self.met or most is None or most <= allowed:
            return None
        unit = UNITS[self.chosen.measure or ""]
        return (
            f"auto: {self.judged} samples do not tell a loss of {self.chosen.loss:.1f} {unit} from "
            f"one of {most:.1f} (95 % interval), more than the {allowed:g} allowed; evaluate on "
            "more samples"
        )

    def to_dict(self, budget: Budget) -> dict[str, Any]:
        """JSON values for the provenance."""
        return {
            "reason": self.reason(budget),
            "met": self.met,
            "max_loss": budget.max_loss,
            "max_error": budget.max_error,
            "max_timesteps": budget.max_timesteps,
            "target": budget.target,
            "board": budget.board.name if isinstance(budget.board, Board) else budget.board,
            "judged_samples": self.judged,
            "tried": [asdict(t) for t in self.tried],
        }


Convert = Callable[[str, int, Progress | None], Network]
"""Converts with a method, for so many steps."""


def choose(
    convert: Convert,
    judge: Samples,
    budget: Budget,
    timesteps: int | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _: None,
    emits: Callable[[str], str] = lambda _: "binary",
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

    Raises
    ------
    NeurodeployError
        If every code is refused, with the last refusal.
    """
    tried: list[Tried] = []
    networks: dict[int, Network] = {}
    refusal: NeurodeployError | None = None
    binary = budget.binary_board
    full = False
    for steps, methods in _ladder(budget, timesteps):
        if full:
            break
        fitting: list[Tried] = []
        for method in methods:
            if binary is not None and emits(method) != "binary":
                reason = f"{binary} sends binary spikes, {method} {emits(method)} ones"
                tried.append(Tried(method, steps, refused=reason))
                tell(f"auto: {tried[-1]}")
                continue
            tell(f"auto: trying {method} at T = {steps}")
            try:
                network = convert(method, steps, progress)
                measured = _measured(network, judge, budget, method, steps)
            except NeurodeployError as error:
                refusal = error
                tried.append(Tried(method, steps, refused=str(error)))
                tell(f"auto: {tried[-1]}")
                # Longer runs take as many axons and wider states.
                full = budget.crossbar and isinstance(error, (CapacityError, QuantizationError))
                continue
            if measured.refused is None:
                networks[len(tried)] = network
            tried.append(measured)
            tell(f"auto: {measured}")
            if measured.meets(budget):
                fitting.append(measured)
        if fitting:
            best = min(fitting, key=lambda t: t.spikes or 0.0)
            return networks[tried.index(best)], Choice(best, True, tuple(tried), len(judge))
    if not networks:
        if refusal is not None:
            raise refusal
        raise ConversionError(
            f"auto: all {len(tried)} conversions are refused, the last one ({tried[-1]}); choose "
            "another target or board, or name a --method"
        )
    nearest = min(networks, key=lambda i: (tried[i].loss or 0.0, -(tried[i].agreement or 0.0)))
    return networks[nearest], Choice(tried[nearest], False, tuple(tried), len(judge))


def _ladder(budget: Budget, timesteps: int | None) -> tuple[tuple[int, tuple[str, ...]], ...]:
    if budget.methods:
        steps = LENGTHS if timesteps is None else (timesteps,)
        most = steps[-1] if budget.max_timesteps is None else budget.max_timesteps
        return tuple((t, budget.methods) for t in steps if t <= most)
    if timesteps is not None:
        longer = [methods for steps, methods in LADDER if steps >= timesteps]
        methods = dict.fromkeys(("graded", "signed-memory", "rate"))
        return ((timesteps, tuple(methods) if longer else ("rate",)),)
    most = LADDER[-1][0] if budget.max_timesteps is None else budget.max_timesteps
    return tuple(step for step in LADDER if step[0] <= most)


def _measured(network: Network, judge: Samples, budget: Budget, method: str, steps: int) -> Tried:
    from neurodeploy.stages.compile import check, chosen_board
    from neurodeploy.stages.quantize import quantize
    from neurodeploy.stages.samples import encoded_samples, source_samples
    from neurodeploy.verification.accuracy import evaluate_network

    target = budget.target
    # The widest numbers that the board has; crossbars take weights that fit their axons.
    fit = budget.board
    if fit is None and budget.crossbar:
        fit = TARGETS.get(str(target)).default_board
    integer = quantize(network, WEIGHT_BITS, fit=fit, target=target)
    if budget.board is not None:
        target = target or target_for(chosen_board(budget.board))
    if target is not None:
        violations = check(integer, target, budget.board)
        if violations:
            return Tried(method, steps, refused=f"{target}: {violations[0]}")
    stimulus, data = encoded_samples(integer, judge, None)
    found = evaluate_network(integer, stimulus, source_samples(integer, data), data.y)
    return _judged(integer, found, method, steps)


def _judged(net: Network, found: Evaluation, method: str, steps: int) -> Tried:
    """What was measured, by what the answers are."""
    agreement, spikes = found.agreement, found.spikes_per_inference
    if found.loss is not None and agreement is not None:
        text = f"loses {found.loss}, agrees on {100 * agreement:.1f} %"
        loss, most = found.loss.loss, found.loss.interval[1]
        return Tried(method, steps, "points", loss, most, agreement, spikes, text)
    if agreement is not None:
        n = found.samples
        differing = n - round(agreement * n)
        low, high = (100 * share for share in wilson(differing, n))
        share = 100 * differing / n
        text = f"answers {share:.1f} % of samples otherwise ({low:.1f} .. {high:.1f})"
        return Tried(method, steps, "disagreement", share, high, None, spikes, text)
    errors = found.relative_error
    if len(errors) < len(net.netlist.outputs):
        raise UsageError(
            f"{net.netlist.name}: an output is constant on the calibration data, so auto cannot "
            "judge it; name a --method"
        )
    name = max(errors, key=lambda output: errors[output].worst)
    text = f"is off by {errors[name]} of the spread of {name}"
    if found.task == "maps" and (r := found.layer_correlation.get(name)) is not None:
        text += f" (correlation {r:.4f})"
    return Tried(method, steps, "error", 100 * errors[name].worst, None, None, spikes, text)
