"""One conversion that ``auto`` tries: quantized, checked against what has to run it, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import Samples
from neurodeploy.errors import CapacityError, NeurodeployError, QuantizationError, UsageError
from neurodeploy.hardware.boards.abilities import ABILITIES
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.network import Network
from neurodeploy.stages.budget import Budget
from neurodeploy.targets.registry import TARGETS, target_for
from neurodeploy.verification.statistics import wilson

if TYPE_CHECKING:
    from neurodeploy.verification.accuracy import Evaluation

WEIGHT_BITS = 8
FEW_BITS = (3, 2)
"""Weight bits that are tried where cores hold a layer in parts alone: each costs axons."""
# Images on which the networks differ are right and wrong about equally often: many more of them
# than the budget are no loss yet, but a sign that the measured loss is luck.
DISAGREEMENT = 5.0
UNITS = {
    "points": "points",
    "disagreement": "% of samples answered otherwise",
    "error": "% of the outputs' spread",
    "": "points",
}
"""Unit of losses, by measure."""


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
    conversion : mapping
        Options of ``convert`` beside the usual ones.
    quantization, options : mapping
        Of ``quantize`` and of the target, where it takes others than the usual ones.
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
    conversion: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The method and what it was given, as one would type it."""
        given = (f"--{k.replace('_', '-')} {v}" for k, v in self.conversion.items())
        return f"{' '.join((self.method, *given))} at T = {self.timesteps}"

    @property
    def commands(self) -> str:
        """What the commands after ``convert`` have to be given; empty where nothing."""
        if not self.options:
            return ""
        widths = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in self.quantization.items())
        chosen = " ".join(f"--option {k}={v}" for k, v in self.options.items())
        return f"'quantize {widths}', then 'compile {chosen}'"

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
            return f"{self.code} is refused: {self.refused}"
        return (
            f"{self.code} {self.text}, {self.spikes:.0f} spikes an "
            f"inference{f' with {self.commands}' if self.options else ''}"
        )


def measured(
    network: Network,
    judge: Samples,
    budget: Budget,
    method: str,
    steps: int,
    tell: Callable[[str], None],
) -> Tried:
    """Quantize a conversion for what has to run it, and measure it, or tell why that is refused.

    Raises
    ------
    NeurodeployError
        If it cannot be quantized, or what it answers cannot be judged.
    """
    from neurodeploy.stages.compile import check, chosen_board
    from neurodeploy.stages.quantize import quantize

    target = budget.target
    # The widest numbers that the board has; crossbars take weights that fit their axons.
    fit = budget.board
    if fit is None and budget.crossbar:
        fit = TARGETS.get(str(target)).default_board
    try:
        integer = quantize(network, WEIGHT_BITS, fit=fit, target=target)
    except CapacityError as error:
        found = _in_parts(network, judge, budget, Tried(method, steps), error, tell)
        if found is None:
            raise
        return found
    if budget.board is not None:
        target = target or target_for(chosen_board(budget.board))
    if target is not None:
        violations = check(integer, target, budget.board)
        if violations:
            return Tried(method, steps, refused=f"{target}: {violations[0]}")
    return _evaluated(integer, judge, method, steps)


def lasting_refusal(sketch: Network, budget: Budget) -> str | None:
    """Why a board of neurocores cannot run a code at any number of time steps; None if it may.

    Parameters
    ----------
    sketch : Network
        Of the code at some number of steps, not refined yet: its populations are the same at all,
        and its widths are not judged.
    """
    from neurodeploy.quantization.integers import Quantization
    from neurodeploy.stages.fit import within

    board = budget.chosen_board
    if board is None or not isinstance(sketch.netlist, RealNetlist):
        return None
    name = target_for(board, budget.target)
    target = TARGETS.get(name)()
    if not target.judges(board):
        return None
    needed = {} if budget.target is None else TARGETS.get(budget.target).quantization
    try:
        integer, _ = within(Quantization(WEIGHT_BITS, **needed), board)(sketch.netlist)
    except NeurodeployError:
        return None
    lasting = {f"board {board.name}", *ABILITIES.values()}
    for violation in target.verdict(integer, board).violations:
        if violation.where in lasting or violation.resource in lasting:
            return f"{name}: {replace(violation, remedy='')}"
    return None


def _in_parts(
    network: Network,
    judge: Samples,
    budget: Budget,
    tried: Tried,
    whole: CapacityError,
    tell: Callable[[str], None],
) -> Tried | None:
    """What layers that no core holds come to in parts, approximately; None if that is no way.

    With the most weight bits that fit; the last refusal where none does.
    """
    from neurodeploy.stages.compile import stated
    from neurodeploy.stages.fit import crossbar_state_bits
    from neurodeploy.stages.quantize import quantize

    board = budget.chosen_board
    if board is None or not budget.crossbar:
        return None
    target = target_for(board, budget.target)
    found: Tried | None = None
    for options in TARGETS.get(target).approximations:
        for bits in FEW_BITS:
            widths: dict[str, Any] = {
                "weight_bits": bits,
                "state_bits": crossbar_state_bits(board),
                "max_fraction_bits": 0,
            }
            found = replace(tried, quantization=widths, options=options)
            tell(f"auto: {str(whole).partition(';')[0]}; trying {found.commands}")
            try:
                integer = quantize(network, target=target, **widths)
                approximate, violations = stated(integer, target, budget.board, **options)
            except (CapacityError, QuantizationError) as error:
                found = replace(found, refused=f"with {found.commands}: {error}")
                continue
            if violations:
                found = replace(found, refused=f"with {found.commands}: {violations[0]}")
                continue
            result = _evaluated(approximate, judge, tried.method, tried.timesteps)
            return replace(result, quantization=widths, options=options)
    return found


def _evaluated(net: Network, judge: Samples, method: str, steps: int) -> Tried:
    from neurodeploy.stages.samples import encoded_samples, source_samples
    from neurodeploy.verification.accuracy import evaluate_network

    stimulus, data = encoded_samples(net, judge, None)
    found = evaluate_network(net, stimulus, source_samples(net, data), data.y)
    return _judged(net, found, method, steps)


def _judged(net: Network, found: Evaluation, method: str, steps: int) -> Tried:
    """Measured loss, by kind of answer."""
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
