"""What an engine hands on in other forms than spikes and membranes together must be the same.

Kernels that keep no membranes, and sums that are taken while neurons run, are other code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.decoding import output_trace
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.record import RunRecord, Stimulus


def expect_the_same(
    engine: Any, netlist: IntegerNetlist, stimulus: Stimulus, record: RunRecord
) -> None:
    """Run again without membranes, with totals and with none, against a record with everything.

    Raises
    ------
    AssertionError
        Naming the first that differs.
    """
    _equal("spikes without membranes", engine.run(stimulus).spikes, record.spikes)
    emitting = [
        p.name for p in netlist.populations if not isinstance(p.model, Neuron) or p.model.fires
    ]
    moving = [p.name for p in netlist.populations if p.name not in emitting]
    by_name = netlist.by_name
    traces = {
        o.population: output_trace(netlist, o, record)
        for o in netlist.outputs
        if o.decode != "softmax"
    }
    events = {name: record.spikes[name] != 0 for name in emitting}
    per_sample = {name: e.reshape(len(e), -1).sum(axis=1) for name, e in events.items()}
    rates = {name: by_name[name].summed(record.spikes[name]) for name in emitting}
    rates |= {name: record.membranes[name][:, -1] - by_name[name].origin for name in moving}
    totals = engine.summarize(stimulus, rates=[*emitting, *moving], totals=emitting)
    _equal("summed spikes", totals.spikes, {n: e.sum(axis=(0, 1)) for n, e in events.items()})
    payload = {n: record.spikes[n].sum(axis=(0, 1)) for n in emitting}
    _equal("summed payload", totals.payload, payload)
    _equal("rates", totals.rates, rates)
    _equal("traces", totals.traces, traces)
    _equal("spikes per sample", totals.spikes_per_sample, per_sample)
    bare = engine.summarize(stimulus)
    _equal("spikes per sample alone", bare.spikes_per_sample, per_sample)
    _equal("traces alone", bare.traces, traces)


def _equal(what: str, ours: Mapping[str, AnyArray], theirs: Mapping[str, AnyArray]) -> None:
    assert set(ours) == set(theirs), f"{what} of {sorted(ours)} against {sorted(theirs)}"
    for name, values in theirs.items():
        assert np.array_equal(ours[name], values), f"{name}: {what} differ"
