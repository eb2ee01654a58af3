"""Proved bounds: intervals that no input of the declared range can leave.

Interval arithmetic over the window, neuron by neuron: weights, exponents, payload ranges, T,
biases, initial membranes, leak and reset enter; nothing is measured. Outside these intervals
nothing can happen, so wrapping, clipping and saturation cannot differ between executors. Intervals
stop growing at :data:`PROVABLE`: what reaches it is not proved, and no executor runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.fixed_point import trunc0_decay
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neuron import MAX_QUANTITY
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.resets import after_comparison, after_reset, most_emitted, reset_later

STATE_LIMIT = 2**23 - 1
"""V: the largest magnitude of any state of the contract."""

PROVABLE = MAX_QUANTITY
"""Magnitude that no proved value reaches: 64 bits hold every sum and product of those below."""

KEPT_NEURONS = 100_000
"""Proofs of netlists up to here are kept as long as the netlist: every stage asks for them."""


@dataclass(frozen=True, slots=True)
class PopulationBounds:
    """Intervals per neuron, each an int64 array of the population's shape.

    ``a``: synaptic input of one step. ``u``: current, times the gain of its step. ``v``: membrane
    after integration and saturation, before the reset (and after it where it is none of the soft,
    the hard and no reset). For pooling, ``a`` and ``u`` are of
    ``input_shape``, u is the accumulated input (with rule ``now`` the present one) and v its
    maximum. ``spike_low``, ``spike_high``: payload range of the population. ``emitted``: the most
    that m of a neuron with memory can count. ``unclipped``: the largest magnitude of a membrane
    before it saturates. ``settled``: the intervals hold for any number of steps: they came to one
    that changed none of them.
    """

    a_low: IntArray
    a_high: IntArray
    u_low: IntArray
    u_high: IntArray
    v_low: IntArray
    v_high: IntArray
    spike_low: int
    spike_high: int
    emitted: int = 0
    unclipped: int = 0
    settled: bool = False

    def __post_init__(self) -> None:
        # One proof is handed to many.
        for interval in (self.a_low, self.a_high, self.u_low, self.u_high, self.v_low, self.v_high):
            interval.setflags(write=False)

    @property
    def magnitude(self) -> int:
        """Largest magnitude of a, u and v."""
        both = (self.a_low, self.a_high, self.u_low, self.u_high, self.v_low, self.v_high)
        return max(int(np.abs(x).max()) for x in both)

    @property
    def proved(self) -> bool:
        """Whether every value stays below :data:`PROVABLE`: the intervals then hold."""
        return max(self.magnitude, self.emitted, self.unclipped) < PROVABLE


def spike_range(population: Population) -> tuple[int, int]:
    """Declared range of a population's emitted values, before any proof narrows it."""
    model = population.model
    if isinstance(model, Input):
        return model.low, model.high
    if isinstance(model, IntegerNeuron):
        if not model.fires:
            return 0, 0
        return (-model.payload_max if model.signed else 0), model.payload_max
    raise TypeError(f"{population.name}: the range of max-pooling follows from its input")


def proved_range(population: Population, bounds: Mapping[str, PopulationBounds]) -> tuple[int, int]:
    """Range of what a population is proved to emit: of an input, what it is declared to."""
    if isinstance(population.model, Input):
        return population.model.low, population.model.high
    proved = bounds[population.name]
    return proved.spike_low, proved.spike_high


def projection_interval(
    projection: IntegerProjection, low: int, high: int
) -> tuple[IntArray, IntArray]:
    """Interval of ``(W . s) << e`` for every ``s`` in [low, high]: ``post_shape`` each."""
    positive, negative = projection.connectivity.row_sums()
    # Terms of one sign: doubles are exact wherever the result stays below PROVABLE.
    least = positive.astype(np.float64) * low + negative.astype(np.float64) * high
    most = positive.astype(np.float64) * high + negative.astype(np.float64) * low
    scale = 2.0 ** projection.shift()
    return _clipped(least * scale), _clipped(most * scale)


def _clipped(interval: AnyArray) -> IntArray:
    # np.clip looks up the limits of the dtype first, for longer than such arrays take.
    clipped: IntArray = np.minimum(np.maximum(interval, -PROVABLE), PROVABLE).astype(np.int64)
    return clipped


def _times(values: IntArray, factor: int) -> IntArray:
    """The clipped product, which may exceed 64 bits; doubles are exact below PROVABLE."""
    return _clipped(values * float(factor))


def prove_bounds(
    netlist: IntegerNetlist,
    timesteps: int | None = None,
    populations: Collection[str] | None = None,
) -> Mapping[str, PopulationBounds]:
    """Intervals of every population that is not an input.

    Parameters
    ----------
    netlist : IntegerNetlist
    timesteps : int, optional
        T; the netlist's own by default.
    populations : collection of str, optional
        Those that are asked for; all by default.
    """
    T = netlist.window(timesteps)
    if populations is not None or sum(p.size for p in netlist.populations) > KEPT_NEURONS:
        return _prove(netlist, T, populations)
    kept = netlist.proofs
    if T not in kept:
        kept[T] = _prove(netlist, T, None)
    proved: Mapping[str, PopulationBounds] = dict(kept[T])
    return proved


def _prove(
    netlist: IntegerNetlist, T: int, populations: Collection[str] | None
) -> Mapping[str, PopulationBounds]:
    bounds: dict[str, PopulationBounds] = {}
    ranges = _payload_ranges(netlist)
    for name in netlist.schedule.order:
        population = netlist.by_name[name]
        if isinstance(population.model, Input) or not (populations is None or name in populations):
            continue
        zero = np.zeros(population.input_shape, dtype=np.int64)
        a_low, a_high = zero, zero
        for projection in netlist.incoming[name]:
            low, high = projection_interval(projection, *ranges[projection.pre])
            # Every range holds 0, so that a source outside its window is covered too.
            a_low, a_high = _clipped(a_low + low), _clipped(a_high + high)
        if isinstance(population.model, MaxPool):
            pool = population.model
            steps = 1 if pool.rule == "now" else sum(map(pool.gain, range(T)))
            least, most = _times(a_low, steps), _times(a_high, steps)
            bottom, top = (pool.maximum(total[None])[0] for total in (least, most))
            spikes = ranges[name]
            bounds[name] = PopulationBounds(
                *(a_low, a_high, least, most, bottom, top, *spikes),
                settled=pool.rule == "now" and T > 0,
            )
        else:
            assert isinstance(population.model, IntegerNeuron)
            bounds[name] = _integrate(population, population.model, a_low, a_high, T, ranges[name])
    return bounds


def _payload_ranges(netlist: IntegerNetlist) -> dict[str, tuple[int, int]]:
    ranges = {
        p.name: spike_range(p) for p in netlist.populations if not isinstance(p.model, MaxPool)
    }
    waiting = [n for n in netlist.schedule.order if n not in ranges]
    while waiting:
        # Neurons declare their range, so only a cycle of nothing but pools stays unknown.
        name = next((n for n in waiting if all(q.pre in ranges for q in netlist.incoming[n])), None)
        if name is None:
            raise CapacityError(
                f"{waiting[0]}: max-pooling inside a cycle of max-pooling has no bound; remove the "
                "cycle"
            )
        # M moves by at most the largest input of one step, and by no less than the smallest.
        least = most = 0
        for projection in netlist.incoming[name]:
            low, high = projection_interval(projection, *ranges[projection.pre])
            least += int(low.min())
            most += int(high.max())
        ranges[name] = (least, most)
        waiting.remove(name)
    return ranges


def _integrate(
    population: Population,
    model: IntegerNeuron,
    a_low: IntArray,
    a_high: IntArray,
    T: int,
    payload: tuple[int, int],
) -> PopulationBounds:
    bias = _clipped(population.spread(model.bias))
    v0 = _clipped(population.spread(model.initial_membrane))
    du = population.spread(np.asarray(model.current_decay))
    dv = population.spread(np.asarray(model.membrane_decay))
    u_low = u_high = np.zeros(population.shape, dtype=np.int64)
    low = high = below = v0
    extremes = [u_low, u_high, v0, v0]
    emitted = unclipped = 0
    steady = not (model.memory or model.input_gain or model.firing_gain)
    settled = False
    for t in range(T):
        g, h = model.gains(t)
        before = (low, high, below, u_low, u_high)
        u_low = _clipped(trunc0_decay(u_low, du) + a_low)
        u_high = _clipped(trunc0_decay(u_high, du) + a_high)
        stays = low, high
        kept = trunc0_decay(low, dv), trunc0_decay(high, dv)
        if model.reset == "subtract-next" and t > 0:
            # What the last step ended with, leaked and then reset.
            low, high = reset_later(population, model, low, high, below, dv)
            if model.refractory:
                # After the period the last step has no spike, and nothing is taken off.
                low, high = np.minimum(low, kept[0]), np.maximum(high, kept[1])
        else:
            low, high = kept
        low = _clipped(low + _times(u_low + bias, g))
        high = _clipped(high + _times(u_high + bias, g))
        if model.saturation is not None:
            unclipped = max(unclipped, int(-low.min(initial=0)), int(high.max(initial=0)))
            low, high = (np.clip(x, -model.saturation, model.saturation) for x in (low, high))
            low, high = low.astype(np.int64), high.astype(np.int64)
        extremes = [
            np.minimum(extremes[0], _times(u_low, g)),
            np.maximum(extremes[1], _times(u_high, g)),
            np.minimum(extremes[2], low),
            np.maximum(extremes[3], high),
        ]
        if h:
            if model.memory:
                most = most_emitted(population, model, high, t)
                emitted = min(emitted + h * most, PROVABLE)
            if model.reset != "subtract-next":
                reset = after_comparison if model.comparison else after_reset
                low, high = reset(population, model, low, high, t)
        below = low
        if model.floor is not None:
            floor = population.spread(model.floor)
            low, high = np.maximum(low, floor), np.maximum(high, floor)
        if model.refractory:
            low, high = np.minimum(low, stays[0]), np.maximum(high, stays[1])
        if model.extensions:
            # A reset to a value and a floor lead to where no input does.
            extremes[2:] = np.minimum(extremes[2], low), np.maximum(extremes[3], high)
        # From the second step on every step does the same to them: what one leaves, all leave.
        if steady and t > 0 and _equal((low, high, below, u_low, u_high), before):
            settled = True
            break
    u_least, u_most, v_least, v_most = extremes
    return PopulationBounds(
        *(a_low, a_high, u_least, u_most, v_least, v_most, *payload),
        emitted=emitted,
        unclipped=unclipped,
        settled=settled,
    )


def _equal(now: tuple[IntArray, ...], before: tuple[IntArray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(now, before, strict=True))


def check_bounds(
    bounds: Mapping[str, PopulationBounds], limit: int = STATE_LIMIT
) -> list[tuple[str, int]]:
    """Populations whose magnitude exceeds ``limit`` or is not proved: (name, magnitude)."""
    return [(n, b.magnitude) for n, b in bounds.items() if b.magnitude > limit or not b.proved]


def require_proved(bounds: Mapping[str, PopulationBounds]) -> None:
    """Refuse what no executor can compute: values that are not proved below :data:`PROVABLE`.

    Raises
    ------
    CapacityError
        Naming the population, the limit and the remedy.
    """
    for name, proved in bounds.items():
        if not proved.proved:
            raise CapacityError(
                f"{name}: worst-case values are not proved below {PROVABLE}, beyond which no "
                "executor is exact; use fewer time steps, fewer weight bits, smaller inputs or "
                "smaller gains"
            )
