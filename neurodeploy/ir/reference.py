"""The reference executor: the definition of what a netlist means.

It is written to be read. Every sample starts from rest and is independent of the others; time is
the step of its sample, 0 .. T + max depth - 1. Whatever another executor does, it has to equal
this, spike for spike.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.bounds import prove_bounds, require_proved
from neurodeploy.ir.fixed_point import trunc0_decay
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    Projection,
    RealNetlist,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.ir.record import (
    Progress,
    RunRecord,
    Stimulus,
    checked_stimulus,
    expect_populations,
)


class PopulationState:
    """State of one population over a batch of samples."""

    def __init__(self, population: Population, batch: int, number: type) -> None:
        self.population = population
        self.full = (batch, *population.shape)
        self.number = number
        self.reset()

    def reset(self) -> None:
        """Start a window: u = 0, v = v0, nothing accumulated."""
        model = self.population.model
        self.u: AnyArray = np.zeros(self.full, dtype=self.number)
        self.v: AnyArray = np.zeros(self.full, dtype=self.number)
        self.emitted: AnyArray = np.zeros(self.full, dtype=np.int64)
        self.t = 0
        self.charge: AnyArray = np.zeros(self.full, dtype=self.number)
        self.waiting: AnyArray = np.zeros(self.full, dtype=np.int64)
        if isinstance(model, MaxPool):
            self.accumulated: AnyArray = np.zeros(
                (self.full[0], *model.input_shape), dtype=self.number
            )
        elif isinstance(model, RealNeuron | IntegerNeuron):
            self.v += self.population.spread(model.initial_membrane)

    def step(self, a: AnyArray) -> AnyArray:
        """One step with synaptic input ``a``: returns the spikes ``[B, *shape]``."""
        model = self.population.model
        if isinstance(model, MaxPool):
            return self._pool(model, a)
        assert isinstance(model, RealNeuron | IntegerNeuron)
        before = self.v
        du = self.population.spread(np.asarray(model.current_decay))
        dv = self.population.spread(np.asarray(model.membrane_decay))
        if isinstance(model, IntegerNeuron):
            self.u = trunc0_decay(self.u, du) + a
            self.v = trunc0_decay(self.v, dv)
        else:
            self.u = self.u * (1.0 - du) + a
            self.v = self.v * (1.0 - dv)
        g, h = model.gains(self.t)
        self.t += 1
        self.v = self.v + (self.u + self.population.spread(model.bias)) * g
        if model.reset == "subtract-next":
            self.v = self.v - self.charge
        if model.saturation is not None:
            self.v = np.clip(self.v, -model.saturation, model.saturation)
        refractory = self.waiting > 0
        if model.refractory:
            self.v = np.where(refractory, before, self.v)
        spikes = self._fire(model, h, ~refractory)
        if model.floor is not None:
            # What is refractory was raised after its spike.
            self.v = np.maximum(self.v, self.population.spread(model.floor))
        if model.refractory:
            self.waiting = np.where(refractory, self.waiting - 1, model.refractory * (spikes != 0))
        return spikes

    def _fire(self, model: RealNeuron | IntegerNeuron, h: int, able: AnyArray) -> AnyArray:
        if model.threshold is None or h == 0:
            return np.zeros(self.full, dtype=np.int64)
        t = self.t - 1
        theta = self.population.spread(model.threshold) * h
        k = self._crossings(model, self.v, theta, model.level(theta, t))
        spikes = _payload(np.minimum(k, model.payload_max), model) * able
        charge = spikes * theta
        if model.negative_threshold is not None:
            theta_neg = self.population.spread(model.negative_threshold) * h
            level = model.level(theta_neg, t)
            back = theta if model.memory else theta_neg
            if model.memory:
                k_neg = np.minimum(-(self.v // theta), self.emitted // h)
            else:
                k_neg = self._crossings(model, -self.v, theta_neg, level)
            k_neg = np.where(able & (self.v <= -level), k_neg, 0).astype(np.int64)
            negative = _payload(np.minimum(k_neg, model.payload_max), model)
            if model.memory:
                negative = np.where(negative > self.emitted // h, negative // 2, negative)
            spikes = spikes - negative
            charge = charge - negative * back
        self.emitted = self.emitted + spikes * h
        if model.reset == "subtract":
            self.v = self.v - charge
        elif model.reset == "zero":
            self.v = np.where(spikes != 0, self.number(0), self.v)
        elif model.reset_value is not None:
            self.v = np.where(spikes != 0, self.population.spread(model.reset_value), self.v)
        self.charge = charge
        return np.asarray(spikes)

    def _crossings(
        self, model: RealNeuron | IntegerNeuron, v: AnyArray, theta: AnyArray, level: AnyArray
    ) -> AnyArray:
        """Thresholds that fit into v: floor(v / theta) from theta on; above it if strict.

        With a comparison, 1 from its level on.
        """
        if model.comparison:
            return (v >= level).astype(np.int64)
        if isinstance(model, RealNeuron) and model.strict:
            return np.where(v > theta, np.ceil(v / theta) - 1, 0).astype(np.int64)
        return np.where(v >= theta, v // theta, 0).astype(np.int64)

    def _pool(self, model: MaxPool, a: AnyArray) -> AnyArray:
        if model.rule == "now":
            self.v = model.maximum(a)
            return self.v
        g = model.gain(self.t)
        self.t += 1
        self.accumulated = self.accumulated + a * g
        if model.rule == "winner":
            self.v = model.maximum(self.accumulated)
            return model.winner(self.accumulated, a)
        maximum = model.maximum(self.accumulated)
        change = maximum - self.v
        self.v = maximum
        # Whole, as every gain divides those before it.
        return change if g == 1 else change // g if g else np.zeros_like(change)


def _payload(k: AnyArray, model: RealNeuron | IntegerNeuron) -> AnyArray:
    """Magnitudes that a spike can have, nearest to ``0 <= k <= payload_max``."""
    if model.payload_code == "integer":
        return k
    # frexp is exact: k = mantissa * 2^exponent with the mantissa in [1/2, 1).
    mantissa, exponent = np.frexp(k.astype(np.float64))
    above = (mantissa >= 0.75).astype(np.int64)
    return np.where(k > 0, np.left_shift(1, np.maximum(exponent - 1 + above, 0)), 0)


def run_reference(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Stimulus,
    *,
    timesteps: int | None = None,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> RunRecord:
    """Run a batch of independent samples.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    stimulus : mapping
        Input -> int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes).
    timesteps : int, optional
        T; the netlist's own by default.
    record : collection of str, optional
        Populations whose spikes are returned; all that emit by default.
    membranes : collection of str
        Populations whose membranes are returned, beside the integrators among the outputs.

    Raises
    ------
    CapacityError
        If the values of an integer netlist are not proved to fit 64 bits.
    DataError
        If the stimulus does not fit.
    NetlistError
        If ``timesteps`` is below 1.
    UnknownNameError
        If a population to record does not exist.
    """
    T = netlist.window(timesteps)
    expect_populations(netlist, record, membranes)
    values, batch = checked_stimulus(netlist, stimulus, T)
    if isinstance(netlist, IntegerNetlist):
        require_proved(prove_bounds(netlist, T))
    number = np.int64 if isinstance(netlist, IntegerNetlist) else np.float64
    plan = netlist.schedule
    delay = {id(q): d for q, d in zip(netlist.projections, plan.delays, strict=True)}
    states = {p.name: PopulationState(p, batch, number) for p in netlist.populations}
    spikes: dict[str, AnyArray] = {
        p.name: np.zeros((batch, T, *p.shape), dtype=_emitted_dtype(p, netlist))
        for p in netlist.populations
    }
    watched = {*membranes, *(o.population for o in netlist.outputs if o.reads_membrane)}
    traces = {n: np.zeros((batch, T, *netlist.by_name[n].shape), dtype=number) for n in watched}

    n_steps = T + plan.max_depth
    for step in range(n_steps):
        # Delays are at least 1, so populations of one step do not depend on one another.
        for population in netlist.populations:
            t = step - plan.depth[population.name]
            if not 0 <= t < T:
                continue
            if isinstance(population.model, Input):
                given = values[population.name]
                current = population.is_current_input
                spikes[population.name][:, t] = given if current else given[:, t]
                continue
            state = states[population.name]
            a = np.zeros((batch, *population.input_shape), dtype=number)
            for projection in netlist.incoming[population.name]:
                emitted_at = step - delay[id(projection)] - plan.depth[projection.pre]
                if 0 <= emitted_at < T:
                    a = a + synaptic_input(projection, spikes[projection.pre][:, emitted_at])
            spikes[population.name][:, t] = state.step(a)
            if population.name in watched:
                traces[population.name][:, t] = state.v
        if progress is not None:
            progress(step + 1, n_steps)
    kept = spikes if record is None else {n: spikes[n] for n in record}
    return RunRecord(T, kept, traces)


def _emitted_dtype(population: Population, netlist: IntegerNetlist | RealNetlist) -> type:
    # The pool of a real-valued netlist may carry fractions, everything else emits integers.
    real = isinstance(netlist, RealNetlist) and isinstance(population.model, MaxPool)
    return np.float64 if real else np.int64


def synaptic_input(projection: Projection, emitted: AnyArray) -> AnyArray:
    """What one step of a sender, ``[B, *pre.shape]``, adds to the receiver's input."""
    if isinstance(projection, IntegerProjection):
        return projection.synaptic_input(emitted)
    return projection.connectivity.apply(emitted)
