"""The engine and the reference, and the proof that what was timed is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.speed.contender import Contender
from neurodeploy.execution import make_engine
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.decoding import decode_prefix, output_trace
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network


@dataclass(frozen=True, slots=True)
class Truth:
    """The reference on the first images of every batch."""

    netlist: IntegerNetlist
    record: RunRecord
    samples: int

    def compare(self, run: RunRecord) -> None:
        """End the benchmark at the first difference in what a run holds."""
        for kind, ours, theirs in (
            ("spikes", run.spikes, self.record.spikes),
            ("membranes", run.membranes, self.record.membranes),
        ):
            for name, values in ours.items():
                n = min(self.samples, len(values))
                if not np.array_equal(values[:n], theirs[name][:n]):
                    raise SystemExit(f"{kind} of {name}: not those of the reference")

    def compare_summary(self, summary: Summary) -> None:
        """The same for what a timed run keeps: answers over time, and spikes of every sample."""
        for output in self.netlist.outputs:
            mine = summary.traces[output.population]
            n = min(self.samples, len(mine))
            truth = output_trace(self.netlist, output, self.record)
            if not np.array_equal(mine[:n], truth[:n]):
                raise SystemExit(f"answers of {output.population}: not those of the reference")
        for name, counts in summary.spikes_per_sample.items():
            n = min(self.samples, len(counts))
            spikes = self.record.spikes[name][:n]
            if not np.array_equal(counts[:n], np.count_nonzero(spikes.reshape(n, -1), axis=1)):
                raise SystemExit(f"spikes of {name}: not as many as the reference's")


def truth_of(netlist: IntegerNetlist, stimulus: Stimulus, samples: int) -> Truth:
    """Every spike and membrane of the first samples."""
    names = [p.name for p in netlist.populations]
    record = run_reference(netlist, first(stimulus, samples), membranes=names)
    return Truth(netlist, record, samples)


def first(stimulus: Stimulus, samples: int) -> Stimulus:
    """The first samples of a batch."""
    return {name: values[:samples] for name, values in stimulus.items()}


def engine_contender(stimulus: Stimulus, truth: Truth) -> Contender:
    """The engine on the integer netlist; all that it emits on the sample is compared here."""
    netlist = truth.netlist
    engine = make_engine(netlist)
    names = [p.name for p in netlist.populations]
    truth.compare(engine.run(first(stimulus, truth.samples), membranes=names))
    return Contender(
        "ours",
        f"neurodeploy, {engine_name(engine)}",
        lambda: engine.summarize(stimulus),
        scores=_scores(netlist),
        check=truth.compare_summary,
    )


def real_contender(net: Network, stimulus: Stimulus) -> Contender:
    """The engine on the netlist before quantization, in float32."""
    engine = make_engine(net.netlist)
    name = "neurodeploy, before quantization, float32"
    run: Callable[[], Summary] = lambda: engine.summarize(stimulus)  # noqa: E731
    return Contender("real", name, run, scores=_scores(net.netlist))


def reference_contender(truth: Truth, stimulus: Stimulus) -> Contender:
    """The definition of what a netlist means, in NumPy."""
    outputs = [o.population for o in truth.netlist.outputs]
    return Contender(
        "reference",
        f"neurodeploy reference, NumPy {np.__version__}",
        lambda: run_reference(truth.netlist, stimulus, record=outputs),
        check=truth.compare,
        rounds=3,
    )


def engine_name(engine: Any) -> str:
    """Which engine was chosen, and the instruction set of its kernels."""
    if isinstance(engine, NativeEngine):
        return f"native kernels, {engine.library.isa_name}"
    return f"PyTorch {version('torch')}"


def _scores(netlist: IntegerNetlist | RealNetlist) -> Callable[[Summary], Any]:
    output = netlist.outputs[0]
    return lambda s: decode_prefix(netlist, output, s.traces[output.population], s.timesteps)
