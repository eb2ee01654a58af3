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
from neurodeploy.errors import ConversionError, NeurodeployError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS, target_for

if TYPE_CHECKING:
    from neurodeploy.ir.netlist import IntegerNetlist
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
JUDGED_SAMPLES = 256
WEIGHT_BITS = 8
# Images on which the networks differ are right and wrong about equally often: many more of them
# than the budget are no loss yet, but a sign that the measured loss is luck.
DISAGREEMENT = 5.0


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
        Points of accuracy that may be lost against the source network; without labels a fifth of
        the disagreement, of outputs that are no classes per cent of their variance.
    max_timesteps : int or None
        Longest run.
    """

    target: str | None = None
    board: str | Board | None = None
    max_loss: float = MAX_LOSS
    max_timesteps: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_loss <= 100:
            raise UsageError(f"max loss {self.max_loss}: expected 0 to 100 points")
        if self.max_timesteps is not None and self.max_timesteps < 1:
            raise UsageError(f"max timesteps {self.max_timesteps}: at least 1 is needed")

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that the target restricts to; none: the ladder's."""
        return () if self.target is None else TARGETS.get(self.target).methods

    @property
    def crossbar(self) -> bool:
        """Whether crossbar cores have to run it, which take and send spikes alone."""
        from neurodeploy.stages.compile import chosen_board

        if self.board is None:
            return self.target is not None and TARGETS.get(self.target).board_kind == "crossbar"
        return chosen_board(self.board).kind == "crossbar"


@dataclass(frozen=True, slots=True)
class Tried:
    """One conversion that was measured, or why it was not."""

    method: str
    timesteps: int
    loss: float | None = None
    agreement: float | None = None
    spikes: float | None = None
    refused: str | None = None

    def meets(self, budget: Budget) -> bool:
        """Whether it is within the budget."""
        if self.loss is None:
            return False
        differ = 0.0 if self.agreement is None else 100 * (1 - self.agreement)
        return self.loss <= budget.max_loss and differ <= DISAGREEMENT * max(budget.max_loss, 0.2)

    def __str__(self) -> str:
        if self.loss is None:
            return f"{self.method} at T = {self.timesteps} is refused: {self.refused}"
        agrees = "" if self.agreement is None else f", agrees on {100 * self.agreement:.1f} %"
        return (
            f"{self.method} at T = {self.timesteps} loses {self.loss:.1f} points{agrees}, "
            f"{self.spikes:.0f} spikes an inference"
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
        if self.met:
            return f"{what}: the shortest run within {budget.max_loss:g} points"
        remedy = "raise --max-loss"
        if budget.max_timesteps is not None and budget.max_timesteps < LADDER[-1][0]:
            remedy = "allow more --max-timesteps"
        elif any(t.refused for t in self.tried):
            remedy = "choose a target or board that takes graded or signed spikes"
        return f"{what}: nothing met the budget of {budget.max_loss:g} points; {remedy}"

    def to_dict(self, budget: Budget) -> dict[str, Any]:
        """JSON values for the provenance."""
        return {
            "reason": self.reason(budget),
            "met": self.met,
            "max_loss": budget.max_loss,
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

    Raises
    ------
    NeurodeployError
        If every code is refused, with the last refusal.
    """
    tried: list[Tried] = []
    networks: dict[int, Network] = {}
    refusal: NeurodeployError | None = None
    for steps, methods in _ladder(budget, timesteps):
        fitting: list[Tried] = []
        for method in methods:
            try:
                network = convert(method, steps, progress)
                measured = _measured(network, judge, budget, method, steps)
            except NeurodeployError as error:
                refusal = error
                tried.append(Tried(method, steps, refused=str(error)))
                continue
            if measured.refused is None:
                networks[len(tried)] = network
            tried.append(measured)
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

    target, board = budget.target, None
    # Crossbars take the widest weights that fit their axons.
    fit = (budget.board or TARGETS.get(str(target)).default_board) if budget.crossbar else None
    integer = quantize(network, WEIGHT_BITS, fit=fit, target=target)
    if budget.board is not None:
        board = chosen_board(budget.board)
        target = target or target_for(board)
        spike = _wider_than_binary(integer.integer)
        if spike is not None and board.limit("payload_bits") == 1:
            reason = f"{board.name}: {spike} sends graded or signed spikes, its cores binary ones"
            return Tried(method, steps, refused=reason)
    if target is not None:
        violations = check(integer, target, budget.board)
        if violations:
            return Tried(method, steps, refused=f"{target}: {violations[0]}")
    stimulus, data = encoded_samples(integer, judge, None)
    found = evaluate_network(integer, stimulus, source_samples(integer, data), data.y)
    if found.accuracy is None or found.source_accuracy is None:
        loss = _loss_without_labels(integer, found)
    else:
        loss = 100 * (found.source_accuracy - found.accuracy)
    return Tried(method, steps, loss, found.agreement, found.spikes_per_inference)


def _wider_than_binary(netlist: IntegerNetlist) -> str | None:
    """A population of neurons whose spikes carry more than that they happened."""
    for population in netlist.populations:
        model = population.model
        if isinstance(model, IntegerNeuron) and (model.signed or model.payload_max > 1):
            return population.name
    return None


def _loss_without_labels(net: Network, found: Evaluation) -> float:
    """Points that stand for a loss: of disagreement, or per cent of the outputs' variance."""
    if found.agreement is not None:
        return 100 * (1 - found.agreement) / DISAGREEMENT
    outputs = [found.layer_correlation.get(o.population) for o in net.netlist.outputs]
    known = [r for r in outputs if r is not None]
    if len(known) < len(outputs):
        raise UsageError(
            f"{net.netlist.name}: an output is constant on the calibration data, so auto cannot "
            "judge it; name a --method"
        )
    return max(100 * (1 - max(r, 0.0) ** 2) for r in known)
