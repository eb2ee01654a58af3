"""Totals equal what the rasters add up to; refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from neurodeploy.errors import DataError, TargetUnavailableError, UnknownNameError, UsageError
from neurodeploy.execution import make_engine, run_engine
from neurodeploy.execution.pytorch.engine import Engine
from neurodeploy.execution.summary import join_summaries
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.decoding import output_trace
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool, Neuron
from neurodeploy.ir.record import Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import (
    current,
    dense,
    integrator,
    net,
    neuron,
    pool,
    project,
    spikes,
    window,
)
from neurodeploy.testing.stimuli import random_stimulus
from tests.conformance.random_netlists import random_netlist


def emitting(netlist: IntegerNetlist) -> list[str]:
    return [p.name for p in netlist.populations if not isinstance(p.model, Neuron) or p.model.fires]


@pytest.mark.parametrize(("seed", "recurrent"), [(0, False), (4, False), (9, False), (2, True)])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_summary_equals_record(seed: int, recurrent: bool, batch_size: int | None) -> None:
    netlist, stimulus = random_netlist(recurrent, np.random.default_rng([seed, 5]))
    record = run_reference(netlist, stimulus)
    names = emitting(netlist)
    rated = [*names, "sum"]
    engine = make_engine(netlist, batch_size=batch_size)
    summary = engine.summarize(stimulus, rates=rated, totals=names)
    assert (summary.samples, summary.timesteps) == (3, netlist.timesteps)
    assert set(summary.spikes) == set(names)
    for name in names:
        events = record.spikes[name] != 0
        axes = tuple(range(1, events.ndim))
        np.testing.assert_array_equal(summary.spikes[name], events.sum((0, 1)), name)
        np.testing.assert_array_equal(summary.spikes_per_sample[name], events.sum(axes), name)
        np.testing.assert_array_equal(summary.payload[name], record.spikes[name].sum((0, 1)), name)
        np.testing.assert_array_equal(summary.rates[name], record.spikes[name].sum(1), name)
    traces = {o.population: output_trace(netlist, o, record) for o in netlist.outputs}
    assert set(summary.traces) == set(traces)
    for name, trace in traces.items():
        np.testing.assert_array_equal(summary.traces[name], trace, name)
    np.testing.assert_array_equal(summary.rates["sum"], traces["sum"][:, -1])


def test_joined_summaries_equal_one() -> None:
    netlist, stimulus = random_netlist(False, np.random.default_rng(8))
    engine = make_engine(netlist)
    names = emitting(netlist)

    def of(samples: slice) -> object:
        part = {name: values[samples] for name, values in stimulus.items()}
        return engine.summarize(part, rates=names, active=names, totals=names)

    whole, joined = of(slice(None)), join_summaries([of(slice(0, 1)), of(slice(1, 3))])
    assert joined.samples == whole.samples
    for field in ("traces", "spikes", "spikes_per_sample", "payload", "rates", "active"):
        ours, theirs = getattr(joined, field), getattr(whole, field)
        assert set(ours) == set(theirs)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)


def active_by_hand(netlist: IntegerNetlist, stimulus: Stimulus, name: str) -> object:
    """Neuron-steps with v or input or bias, from the reference's rasters; no current memory."""
    population = netlist.by_name[name]
    run = run_reference(netlist, stimulus, membranes=[name])
    if isinstance(population.model, MaxPool):
        return (run.membranes[name] != 0).sum((0, 1))
    assert isinstance(population.model, IntegerNeuron)
    (link,) = netlist.incoming[name]
    emitted = run.spikes[link.pre]
    batch, steps = emitted.shape[:2]
    flat = emitted.reshape(batch * steps, *emitted.shape[2:])
    a = link.synaptic_input(flat).reshape(batch, steps, *population.shape)
    v = run.membranes[name]
    start = np.broadcast_to(population.spread(population.model.initial_membrane), v[:, :1].shape)
    before = np.concatenate([start, v[:, :-1]], axis=1)
    bias = population.spread(population.model.bias)
    return ((before != 0) | (a != 0) | (bias != 0)).sum((0, 1))


def test_active_updates_by_hand() -> None:
    rng = np.random.default_rng(3)
    source = spikes("in", (2, 4, 4))
    top = pool("max", 2, window((4, 4), (2, 2), (2, 2)))
    quiet = neuron("h", (5,), 40, bias=np.array([0, 0, 0, 2, 0]), reset="zero")
    last = integrator("sum", (3,))
    links = [
        project("in", "max", identity((2, 4, 4))),
        project("max", "h", dense(rng, 5, (2, 2, 2))),
        project("h", "sum", dense(rng, 3, (5,))),
    ]
    netlist = net("active", [source, top, quiet, last], links, ["sum"])
    stimulus = random_stimulus([source], 12, rng, rate=0.05)
    for engine in (make_engine(netlist), Engine(netlist)):
        summary = engine.summarize(stimulus, active=["max", "h", "sum"])
        for name in ("max", "h", "sum"):
            expected = active_by_hand(netlist, stimulus, name)
            np.testing.assert_array_equal(summary.active[name], expected, name)
        assert 0 < summary.active["h"][0] < summary.active["h"][3] == 3 * netlist.timesteps


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    source = current("in", (4,))
    netlist = net(
        "n", [source, neuron("h", (3,))], [project("in", "h", dense(rng, 3, (4,)))], ["h"]
    )
    x = random_stimulus([source], 12, rng)
    with pytest.raises(UsageError, match="dtype 'float16'"):
        make_engine(netlist, dtype="float16")
    with pytest.raises(UsageError, match="batch_size 0"):
        run_engine(netlist, x, batch_size=0)
    with pytest.raises(UnknownNameError, match="population 'g'"):
        run_engine(netlist, x, record=["g"])
    with pytest.raises(DataError, match="exceed the declared range"):
        run_engine(netlist, {"in": x["in"] + 200})
    with pytest.raises(UnknownNameError, match="population 'g'"):
        make_engine(netlist).summarize(x, rates=["g"])


def test_without_torch_one_sentence_and_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    netlist, _ = random_netlist(False, np.random.default_rng(0))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("NEURODEPLOY_NATIVE", "0")
    with pytest.raises(TargetUnavailableError, match=r"pip install 'neurodeploy\[torch\]'"):
        make_engine(netlist)


def test_importing_the_package_does_not_import_torch(fresh_python) -> None:
    out = fresh_python("import neurodeploy.execution, sys; print('torch' in sys.modules)")
    assert out.strip() == "False"
