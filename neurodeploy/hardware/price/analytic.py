"""Event counts from spike rates alone: expectations, without a run.

The rate r of a neuron is the share of steps in which it emits. Over S samples of T steps it is
expected to emit ``r T S`` times; synops, packets and hops are linear in that, so that their
expectations are as exact as the rates are. Two quantities are not linear:

- *active updates*. A neuron with a bias or an initial membrane is active in every step. Any other
  one is at rest until something reaches it; with independent sources of rates r_j::

      q = product over its sources of (1 - r_j)      nothing comes in a step
      expected active updates = S (sum over k = 1..T of (1 - q^k) + (D - d) (1 - q^T))

  d being its depth and D the largest one: after its window it holds what it has.

  What a ``current`` input emits once it emits in all steps, so that its share enters as
  ``1 - share`` for the whole window. Accumulators of max-pooling follow the same law. Neurons
  that return to rest, by a leak or by inputs that cancel, are counted as active: an upper bound.
- *time*. A step is taken to last as long as its busiest core on average. Fluctuations between
  steps only add to that (the mean of a maximum is no smaller than the maximum of the means): a
  lower bound of the time of an exact run with the same rates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.price.activity import Activity, PopulationActivity
from neurodeploy.hardware.price.timing import StepLoads, busy_interval, loads_of
from neurodeploy.hardware.price.traffic import Traffic, active_by_tile, count_traffic
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, Neuron


def estimated_activity(
    netlist: IntegerNetlist | RealNetlist,
    rates: Mapping[str, float | FloatArray],
    samples: int = 1,
) -> Activity:
    """Activity to be expected of neurons that fire at given rates.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    rates : mapping of population to float or array
        Share of the T steps in which a neuron emits anything, in [0, 1]: a scalar, one value per
        channel or one per neuron. Of a ``current`` input: the share of samples in which its value
        is not 0. Every population that can emit has one; that of an integrator is ignored.
    samples : int
        Counts are of so many samples together. They are whole numbers: rounded such that the sum
        over any first neurons of a population, in C-order, is off by at most 1/2. More samples
        make them finer; all figures per inference are divided by it again.

    Returns
    -------
    Activity

    Raises
    ------
    UnknownNameError
        For the rate of a population that does not exist.
    UsageError
        If a rate is missing, not in [0, 1] or of another shape, or ``samples`` is below 1.
    """
    if samples < 1:
        raise UsageError(f"{netlist.name}: activity of {samples} samples; expected at least 1")
    for name in rates:
        if name not in netlist.by_name:
            raise UnknownNameError("population", name, list(netlist.by_name))
    shares = {p.name: _share(p, rates) for p in netlist.populations}
    T, D = netlist.timesteps, netlist.schedule.max_depth
    found: dict[str, PopulationActivity] = {}
    for population in netlist.populations:
        spikes = _whole(shares[population.name] * T * samples)
        model = population.model
        if isinstance(model, Input):
            found[population.name] = PopulationActivity(spikes, np.zeros_like(spikes))
            continue
        lasting, passing = _nothing_comes(netlist, population, shares)
        after = D - netlist.schedule.depth[population.name]
        if isinstance(model, MaxPool):
            held = _whole(_since_first(lasting, passing, T, after) * samples)
            over = SumPool(np.ones(model.channels), model.window)
            lasting, passing = (over.apply(x[None])[0] for x in (lasting, passing))
            active = _since_first(lasting, passing, T, after)
            found[population.name] = PopulationActivity(spikes, _whole(active * samples), held)
            continue
        active = _since_first(lasting, passing, T, after)
        moved = (population.spread(model.bias) != 0) | (
            population.spread(model.initial_membrane) != 0
        )
        active = np.maximum(np.where(moved, float(T + D), active), shares[population.name] * T)
        found[population.name] = PopulationActivity(spikes, _whole(active * samples))
    return Activity(found, samples, T)


def rates_from_activations(
    netlist: IntegerNetlist | RealNetlist, activations: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Rates that the activations of the source network stand for, neuron by neuron.

    A neuron that codes the value a, one spike per step being worth ``unit``, emits about::

        n = clip(floor(|a| T / unit + v0 / theta), 0, T)

    times in T steps, exactly so where its input is constant; the rate is the mean of n / T. Of a
    ``current`` input it is the share of samples whose value rounds to something other than 0.
    Spikes of larger payload are fewer: for them, and where layers behind fire irregularly, the
    rates are estimates.

    What conversion put between two nodes (half of a leaky activation, a part of a smooth one) has
    no source: its mean on the calibration data stands in.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    activations : mapping of node to array ``[B, *shape]``
        Of the source network, for the ``source`` of every population that has one, as
        :func:`neurodeploy.source.evaluation.in_numpy.evaluate` gives them.

    Raises
    ------
    UsageError
        If a population has neither source nor mean, or no unit, codes changes of its value, or its
        source is not among the activations.
    """
    rates: dict[str, FloatArray] = {}
    for population in netlist.populations:
        model = population.model
        if population.is_integrator:
            continue
        level = np.abs(_coded(population, activations))
        if population.is_current_input:
            rates[population.name] = (level >= 0.5).mean(axis=0)
            continue
        head: AnyArray = np.zeros(population.shape)
        if isinstance(model, Neuron):
            assert model.threshold is not None  # it fires
            v0, theta = (
                population.spread(model.initial_membrane),
                population.spread(model.threshold),
            )
            head = v0 / theta
        counts = np.floor(level * netlist.timesteps + head)
        emitted = np.clip(counts, 0, netlist.timesteps)
        rates[population.name] = emitted.mean(axis=0) / netlist.timesteps
    return rates


def expected_traffic(mapping: CoreMap, netlist: IntegerNetlist, activity: Activity) -> Traffic:
    """Events of every core, with the expected time of the busiest one; priced as those of a run.

    Parameters
    ----------
    mapping : Mapping
    netlist : IntegerNetlist
    activity : Activity
        From :func:`estimated_activity`.
    """
    traffic = count_traffic(mapping, netlist, activity)
    if mapping.board.tick is not None:
        return traffic
    return traffic.with_busy_time(
        busy_interval(expected_loads(mapping, netlist, activity), mapping.board)
    )


def expected_loads(mapping: CoreMap, netlist: IntegerNetlist, activity: Activity) -> StepLoads:
    """Loads of every step, spread evenly over the windows: float ``[1, T + max depth, n_cores]``.

    They are sums over the samples of ``activity``, as are the neurons of a core, so that times
    computed from them are sums over samples too.
    """
    return loads_of(
        mapping,
        netlist,
        (1, activity.timesteps),
        lambda name: activity.populations[name].spikes,
        lambda name: active_by_tile(mapping, netlist, name, activity.populations[name]),
        summed=activity.samples,
    )


def _share(population: Population, rates: Mapping[str, float | FloatArray]) -> FloatArray:
    """Rate of every neuron, ``shape``."""
    name = population.name
    if population.is_integrator:
        return np.zeros(population.shape)
    if name not in rates:
        raise UsageError(f"population {name!r}: no rate is given for it; give one in [0, 1]")
    try:
        given = np.array(population.spread(np.asarray(rates[name], dtype=np.float64)))
    except ValueError as error:
        raise UsageError(f"population {name!r}: rate: {error}") from None
    if not ((given >= 0) & (given <= 1)).all():
        raise UsageError(
            f"population {name!r}: rate {given.min():g} to {given.max():g}; expected shares of "
            "steps in [0, 1]"
        )
    return given


def _coded(population: Population, activations: Mapping[str, FloatArray]) -> FloatArray:
    """Activations of a population's source in its units, ``[B, *shape]``."""
    where = f"population {population.name!r}"
    if population.coding != "rate":
        raise UsageError(
            f"{where}: its spikes code changes, which activations do not tell; run some samples "
            "and take their rates"
        )
    if population.unit is None or (population.source is None and population.mean is None):
        raise UsageError(f"{where}: no source network is known; give its rate")
    if population.source is None:
        assert population.mean is not None
        # A quotient, so that a mean of whole units stays whole: it is rounded down later.
        return np.asarray(population.mean[None] / population.spread(population.unit))
    if population.source not in activations:
        raise UsageError(f"{where}: no activations of {population.source!r}; give them")
    values = np.asarray(activations[population.source], dtype=np.float64)
    return values.reshape(len(values), *population.shape) / population.spread(population.unit)


def _nothing_comes(
    netlist: IntegerNetlist | RealNetlist,
    population: Population,
    shares: Mapping[str, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the chance that nothing reaches a neuron, ``input_shape`` each.

    In the whole window from ``current`` inputs, and in one step from all others.
    """
    lasting, passing = (np.zeros(population.input_shape) for _ in range(2))
    for projection in netlist.incoming[population.name]:
        pre = netlist.by_name[projection.pre]
        # A certain source would be -inf, and 0 * -inf no number; this is as good as certain.
        silent = np.log1p(-np.minimum(shares[pre.name], 1 - 1e-15))
        total = _sum_over_sources(projection.connectivity, silent)
        if pre.is_current_input:
            lasting += total
        else:
            passing += total
    return lasting, passing


def _sum_over_sources(connectivity: Connectivity, values: FloatArray) -> FloatArray:
    """Sum of ``values`` ``[*pre_shape]`` over the sources of every target: ``[*post_shape]``."""
    if isinstance(connectivity, Dense):
        return np.full(connectivity.post_shape, values.sum())
    if isinstance(connectivity, Conv):
        # All channels of a group see the same sources.
        c_out, c_group, *kernel = connectivity.weight.shape
        groups = connectivity.groups
        ones = np.ones((groups, c_group, *kernel))
        once = Conv(ones, connectivity.channels_in, connectivity.window, groups)
        return np.repeat(once.apply(values[None])[0], c_out // groups, axis=0)
    counted = connectivity.with_weight(np.ones(connectivity.weight.shape))
    return np.asarray(counted.apply(values[None])[0])


def _since_first(
    lasting: FloatArray, passing: FloatArray, timesteps: int, after: int
) -> FloatArray:
    """Expected steps from the first arrival on: sum over k = 1..T of 1 - exp(lasting + k passing).

    The last term ``after`` times more, for the steps behind the window. The sum of the geometric
    series, with its limit T where nothing can come.
    """
    q = np.exp(passing)
    with np.errstate(divide="ignore", invalid="ignore"):
        series = q * -np.expm1(timesteps * passing) / -np.expm1(passing)
    silent = np.where(passing == 0, float(timesteps), series)
    behind = after * -np.expm1(lasting + timesteps * passing)
    return np.asarray(timesteps - np.exp(lasting) * silent + behind)


def _whole(expected: FloatArray) -> IntArray:
    """Whole numbers whose partial sums in C-order are the nearest to those of ``expected``."""
    sums = np.floor(np.cumsum(expected.reshape(-1)) + 0.5)
    steps = np.diff(sums, prepend=0.0).astype(np.int64)
    return steps.reshape(expected.shape)
