"""Whether a board of neurocores can run a netlist: what its neurons can do, its widths, its cores.

One verdict, for everybody who asks: it fits, it fits under assumptions, each named, or it does not,
with every limit that it exceeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.abilities import ABILITIES, abilities_of
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import RESOURCES, on_chip
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.cut.profiles import PROFILES, crowded_tables
from neurodeploy.hardware.cut.units import beyond_a_bias, inexact, unit_shift, weight_exponent
from neurodeploy.hardware.cut.windows import active_outside
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds, spike_range
from neurodeploy.ir.connectivity import Conv, SumPool
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.json_values import Result

NAMED = 3
"""Populations that an assumption names, before it counts the others."""

_WIDTHS = (
    "weight_bits",
    "weight_exponent_max",
    "delay_max",
    "payload_bits",
    "state_bits",
    "threshold_mantissa_bits",
    "bias_mantissa_max",
    *PROFILES,
)
_RECODED = frozenset({"signed", "memory", "gains", "comparison", "maximum", "maximum_winner"})
"""Abilities that other codes do without."""


@dataclass(frozen=True, slots=True)
class Violation(Result):
    """One reason why a netlist does not fit a target or a board.

    Parameters
    ----------
    where : str
        Population or projection.
    resource : str
        What is exceeded or not supported.
    used, limit : int, str or None
        What the netlist needs and what there is, where numbers or words say it.
    remedy : str
    """

    where: str
    resource: str
    used: int | str | None = None
    limit: int | str | None = None
    remedy: str = ""

    def __str__(self) -> str:
        numbers = "" if self.used is None else f" {self.used}"
        numbers += "" if self.limit is None else f" against {self.limit}"
        return f"{self.where}: {self.resource}{numbers}" + (
            f"; {self.remedy}" if self.remedy else ""
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a board can run a netlist.

    Parameters
    ----------
    board : str
    violations : tuple of Violation
        All reasons why not.
    assumptions : tuple of str
        What the verdict rests on beside what the board is known to do.
    remedy : str
        What would make it fit, where it does not, and what that costs.
    """

    board: str
    violations: tuple[Violation, ...] = ()
    assumptions: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def fits(self) -> bool:
        """Whether the board can run it, under the assumptions."""
        return not self.violations

    @property
    def remedied_by_widths(self) -> bool:
        """Whether other widths of the same netlist may be all that it takes to fit."""
        where = f"board {self.board}"
        return all("quantize with" in v.remedy or v.where == where for v in self.violations)

    @property
    def answer(self) -> str:
        """``fits``, ``fits with N assumptions`` or ``does not fit``."""
        if self.violations:
            return "does not fit"
        n = len(self.assumptions)
        return f"fits with {n} assumption{'s' * (n != 1)}" if n else "fits"

    def __str__(self) -> str:
        if self.fits:
            return f"{self.answer} on board {self.board}"
        more = len(self.violations) - 1
        others = f" (and {more} more: 'neurodeploy compile --check' lists all)" * bool(more)
        first = str(self.violations[0]).removeprefix(f"board {self.board}: ")
        return f"board {self.board} cannot run it: {first}{others}"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "board": self.board,
            "answer": self.answer,
            "fits": self.fits,
            "violations": [v.to_dict() for v in self.violations],
            "assumptions": list(self.assumptions),
            "remedy": self.remedy,
        }


def judge(netlist: IntegerNetlist, board: Board, *, cut: bool = True) -> Verdict:
    """The verdict on a netlist and a board of neurocores.

    Parameters
    ----------
    netlist : IntegerNetlist
    board : Board
    cut : bool
        Whether to cut it into cores as well; without, cores, axons, synapse memory and the tables
        of cores are not judged (:func:`judged_with_cut`).

    Raises
    ------
    UsageError
        For a board of other cores.
    """
    needed = _needed(netlist, board)
    violations = list(_unable(needed, board))
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        if on_chip(netlist, projection):
            violations += _projection_violations(netlist, projection, delay, board)
    widths = list(violations)
    bounds = prove_bounds(netlist)
    for population in netlist.populations:
        violations += _payload_violations(population, bounds, board)
        if isinstance(population.model, IntegerNeuron):
            violations += _neuron_violations(netlist, population, bounds[population.name], board)
    if cut and not any(v.resource in ("weight bits", "delay") for v in widths):
        try:
            violations += _cut_violations(netlist, partition(netlist, board), board)
        except CapacityError as error:
            violations.append(Violation(f"board {board.name}", str(error)))
    assumptions = (*_assumptions(netlist, needed, board), *_outside(netlist, bounds))
    return Verdict(board.name, tuple(violations), assumptions)


def quantization_for(board: Board) -> dict[str, int]:
    """Options of the quantization with which a netlist keeps a board's widths, by name."""
    shift = board.limit("threshold_exponent") or 0
    found: dict[str, int] = {}
    if (weights := board.limit("weight_bits")) is not None:
        found["weight_bits"] = min(8, weights)
    if (state := board.limit("state_bits")) is not None:
        found["state_bits"] = min(24, state - shift)
    if (threshold := board.limit("threshold_mantissa_bits")) is not None:
        found["threshold_bits"] = min(23, threshold)
    if (bias := board.limit("bias_mantissa_max")) is not None:
        found["bias_bits"] = min(24, bias.bit_length() + 1)
    if (profiles := board.limit("threshold_profiles")) is not None:
        # One is left for the second compartments of neurons.
        found["max_thresholds"] = max(1, profiles - 1)
    if shift:
        found["max_fraction_bits"] = 0
    return found


def _needed(netlist: IntegerNetlist, board: Board) -> dict[str, list[str]]:
    """Populations and projections by the ability that they need."""
    found: dict[str, list[str]] = {}

    def add(ability: str, where: str) -> None:
        found.setdefault(ability, []).append(where)

    for population in netlist.populations:
        for ability in abilities_of(population):
            add(ability, population.name)
    plan = netlist.schedule
    for name in sorted(plan.cyclic):
        add("recurrence", name)
    for q, delay in zip(netlist.projections, plan.delays, strict=True):
        if delay != plan.depth[q.post] - plan.depth[q.pre]:
            add("misaligned_delay", q.label)
        if not on_chip(netlist, q):
            continue
        if weight_exponent(netlist, q, board):
            add("weight_exponent", q.label)
        # Over cells that stand apart it is synapses like any others to what computes convolutions.
        if isinstance(q.connectivity, Conv | SumPool) and not q.connectivity.window.is_spaced:
            if delay > 1:
                add("delayed_convolution", q.label)
            if any(before != after for before, after in q.connectivity.window.padding):
                add("uneven_padding", q.label)
    return {name: found[name] for name in ABILITIES if name in found}


def _recode(board: Board) -> str:
    return f"convert with --board {board.asked_as}, or choose another board"


def _unable(needed: dict[str, list[str]], board: Board) -> Iterator[Violation]:
    for name, places in needed.items():
        ability = board.neurons.get(name)
        if ability is None or ability.compartments:
            continue
        remedy = _recode(board) if name in _RECODED else "choose another board"
        limit = "what its neurons do"
        if name.startswith("reset_"):
            able = [
                n for n, a in board.neurons.items() if n.startswith("reset_") and a.compartments
            ]
            limit = " or ".join(ABILITIES[n] for n in able)
        for where in places:
            yield Violation(where, ABILITIES[name], None, limit, remedy)


def _projection_violations(
    netlist: IntegerNetlist, projection: IntegerProjection, delay: int, board: Board
) -> Iterator[Violation]:
    for what, used, limit, remedy in (
        (
            "weight bits",
            projection.weight_bits,
            board.limit("weight_bits"),
            f"quantize with --fit {board.asked_as}",
        ),
        (
            "weight exponent",
            weight_exponent(netlist, projection, board),
            board.limit("weight_exponent_max"),
            f"quantize with --fit {board.asked_as}",
        ),
        ("delay", delay, board.limit("delay_max"), "shorten the path beside it"),
    ):
        if limit is not None and used > limit:
            yield Violation(
                projection.label, what, used, limit, f"{remedy} or choose another board"
            )
    mixed, weight = board.limit("signed_weight_bits"), projection.connectivity.weight
    if mixed is None or not weight.size:
        return
    low, high = int(weight.min()), int(weight.max())
    if low < 0 < high and not -(2 ** (mixed - 1)) <= low <= high < 2 ** (mixed - 1):
        yield Violation(
            projection.label,
            "weights of both signs, bits",
            1 + max(high, -low - 1).bit_length(),
            mixed,
            f"quantize with --fit {board.asked_as} or choose another board",
        )


def judged_with_cut(
    found: Verdict, netlist: IntegerNetlist, mapping: CoreMap, board: Board
) -> Verdict:
    """A verdict of :func:`judge` without cut, and what the cores of this cut lack."""
    lacking = _cut_violations(netlist, mapping, board)
    return replace(found, violations=(*found.violations, *lacking))


def _cut_violations(netlist: IntegerNetlist, mapping: CoreMap, board: Board) -> Iterator[Violation]:
    """What cores of a cut lack beside what every cut has to keep: entries of their tables."""
    for table in crowded_tables(netlist, mapping, board):
        remedy = "choose another board"
        if table.resource == "threshold_profiles":
            remedy = f"quantize with --fit {board.asked_as}"
        what = PROFILES[table.resource]
        yield Violation(table.population, what, table.used, table.limit, remedy)


def _payload_violations(
    population: Population, bounds: Mapping[str, PopulationBounds], board: Board
) -> Iterator[Violation]:
    limit = board.limit("payload_bits")
    if limit is None or population.is_current_input or population.is_integrator:
        return
    if isinstance(population.model, MaxPool):
        proved = bounds[population.name]
        low, high = proved.spike_low, proved.spike_high
    else:
        low, high = spike_range(population)
    most = max(high, -low)
    bits = most.bit_length() + (low < 0 and most > 1)
    if bits > limit:
        yield Violation(population.name, "graded spikes, payload bits", bits, limit, _recode(board))


def _neuron_violations(
    netlist: IntegerNetlist, population: Population, bounds: PopulationBounds, board: Board
) -> Iterator[Violation]:
    name, model = population.name, population.model
    assert isinstance(model, IntegerNeuron)
    shift, exponent = (
        unit_shift(netlist, population, board),
        board.limit("threshold_exponent") or 0,
    )
    remedy = f"quantize with --fit {board.asked_as}"
    if shift and (model.leaks or model.has_current_memory):
        yield Violation(
            name,
            "leak or current memory in units",
            f"of 1/{2**shift}",
            "whole ones",
            "choose another board",
        )
    state = board.limit("state_bits")
    if state is not None:
        top = 2 ** (state - 1) - 1
        if model.saturation is not None and int(model.saturation) << shift != top:
            yield Violation(
                name, "saturation", int(model.saturation), top >> shift, "choose another board"
            )
        if bounds.magnitude > top >> shift:
            yield Violation(name, "worst-case state", bounds.magnitude, top >> shift, remedy)
    bits = board.limit("threshold_mantissa_bits")
    if bits is not None and model.threshold is not None:
        # theta - 1 is what is stored, in units of 2^exponent; gains and comparisons of steps make
        # more of it, which a register of the same width has to hold.
        highest = model.highest(int(model.threshold.max()))
        stored, most = (highest - 1) << shift, (2**bits - 1) << exponent
        if stored > most:
            plain = model.highest_level == DECAY_ONE
            what = "threshold" if plain else "highest threshold of a step"
            yield Violation(name, what, stored >> shift, most >> shift, remedy)
    most_bias = board.limit("bias_mantissa_max")
    if most_bias is not None:
        wrong = inexact(model.bias << shift, most_bias, board.limit("bias_exponent_max") or 0)
        if wrong.any():
            worst = int(np.abs(model.bias[wrong]).max())
            yield Violation(name, "bias, with its exponent", worst, most_bias, remedy)


def _assumptions(
    netlist: IntegerNetlist, needed: dict[str, list[str]], board: Board
) -> Iterator[str]:
    for name, places in needed.items():
        ability = board.neurons.get(name)
        where, what = _some(places), ABILITIES[name]
        if ability is None:
            yield f"{where}: {what}: board {board.name} does not tell whether its neurons can"
        elif ability.compartments and ability.assumed:
            many = f"{ability.compartments} compartments a neuron: " * (ability.compartments > 1)
            how = ability.construction or "as the board file assumes"
            yield f"{where}: {what}: {many}{how} ({ability.basis}: {ability.source})"
    wide = list(beyond_a_bias(netlist, board))
    if wide:
        yield (
            f"{_some(wide)}: what the current input adds in a step exceeds a bias: the host sends "
            "the bits of its values as spikes in every step, an axon each, with exponents for "
            "their weights; these spikes, axons and synapses are not counted"
        )
    unknown = [n for n in (*_WIDTHS, *RESOURCES) if board.limit(n) is None]
    if unknown:
        words = ", ".join(n.replace("_", " ") for n in unknown)
        yield f"not checked, as board {board.name} does not tell them: {words}"


def _outside(netlist: IntegerNetlist, bounds: Mapping[str, PopulationBounds]) -> Iterator[str]:
    early, late = active_outside(netlist, bounds)
    if early:
        yield (
            f"{_some(early)}: biases or spikes before the window opens, which cores do not know: "
            "a process has to hold them until then; its time and energy are not counted"
        )
    if late:
        yield (
            f"{_some(late)}: could fire after the window closes, which cores do not know: such "
            "spikes are no part of the netlist, and not counted"
        )


def _some(places: list[str]) -> str:
    shown, more = places[:NAMED], len(places) - NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
