"""Runs a converted network beside its source network and says where it loses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, InputLayer, Layer
from neurodeploy.conversion.lowering.operators import lower
from neurodeploy.conversion.method import by_population
from neurodeploy.conversion.registry import METHODS, dearer_maximum
from neurodeploy.diagnosis.advice import MOST_BITS, OWN_REMEDIES, REMEDIES, advise, worst_layer
from neurodeploy.diagnosis.code import accumulate
from neurodeploy.diagnosis.layer import LayerDiagnosis, LayerTotals
from neurodeploy.diagnosis.split import Version, split
from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.execution import make_engine
from neurodeploy.execution.batches import EncodedInput, run_batched
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.record import Progress, Stimulus
from neurodeploy.json_values import Result
from neurodeploy.network import Network
from neurodeploy.notebook import Plotted
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.targets.registry import own_methods
from neurodeploy.verification.accuracy import Evaluation, evaluate_network, evaluations_to_dict
from neurodeploy.verification.agreement import rate_unit


@dataclass(frozen=True, slots=True)
class OutputDiagnosis(Result):
    """An output beside that of the source network.

    Parameters
    ----------
    name : str
        Population.
    rmse : float
        Root mean squared difference.
    correlation : float or None
    units : str
        What ``rmse`` is counted in: the units of a node of the source network.
    """

    name: str
    rmse: float
    correlation: float | None
    units: str


@dataclass(frozen=True, slots=True)
class Diagnosis(Plotted):
    """Layer by layer, what a converted network makes of its source network.

    Parameters
    ----------
    samples, timesteps : int
    layers : tuple of LayerDiagnosis
        In the order of the netlist.
    worst_layer : str or None
        The one that adds most to the errors that reach it; counted outputs left out.
    advice : tuple of str
    outputs : tuple of OutputDiagnosis
    evaluations : tuple of Evaluation
        The network that is diagnosed, and others converted for other numbers of steps.
    curve_fits : tuple of dict
        How well units stand for every curved function: node, function, units, range of its input,
        and error relative to the spread of its values.
    """

    samples: int
    timesteps: int
    layers: tuple[LayerDiagnosis, ...]
    worst_layer: str | None
    advice: tuple[str, ...]
    outputs: tuple[OutputDiagnosis, ...]
    evaluations: tuple[Evaluation, ...]
    curve_fits: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        n = self.samples
        worst = "" if self.worst_layer is None else f", loses most in {self.worst_layer}"
        return (
            f"Diagnosis({n} sample{'s' * (n != 1)}, T = {self.timesteps}: "
            f"{len(self.layers)} layers{worst})"
        )

    @property
    def evaluation(self) -> Evaluation:
        """Evaluation of the diagnosed network."""
        return next(e for e in self.evaluations if e.timesteps == self.timesteps)

    @property
    def accuracy(self) -> dict[int, float]:
        """T -> accuracy: of networks converted for each T, of a single one by prefix of its run.

        Empty without labels, or where the answer is no class.
        """
        if len(self.evaluations) == 1:
            return dict(self.evaluation.prefix_accuracy)
        return {e.timesteps: e.accuracy for e in self.evaluations if e.accuracy is not None}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        curves = evaluations_to_dict(self.evaluations)
        return {
            "samples": self.samples,
            "timesteps": self.timesteps,
            "layers": [layer.to_dict() for layer in self.layers],
            "worst_layer": self.worst_layer,
            "advice": list(self.advice),
            "accuracy": {str(t): a for t, a in self.accuracy.items()},
            "prefix_accuracy": {str(t): a for t, a in self.evaluation.prefix_accuracy.items()},
            "source_accuracy": self.evaluation.source_accuracy,
            "outputs": [output.to_dict() for output in self.outputs],
            "output_rmse": curves["output_rmse"],
            "curve_fits": list(self.curve_fits),
        }


def diagnose_network(
    net: Network,
    stimulus: Mapping[str, EncodedInput],
    x: AnyArray | Mapping[str, AnyArray],
    labels: IntArray | None,
    *,
    progress: Progress | None = None,
) -> Diagnosis:
    """Diagnose a converted network.

    Parameters
    ----------
    net : Network
        Real-valued, or integer with the real-valued netlist that it was quantized from.
    stimulus : mapping
    x : array ``[B, *shape]``, or mapping by input of the source network
        The samples that it encodes, raw.
    labels : array ``[B]`` or None
    progress : callable, optional

    Raises
    ------
    UsageError
        If there is nothing to compare with, or layers cannot be looked at one by one.
    TargetUnavailableError
        If PyTorch is not installed.
    """
    real, integer = _netlists(net)
    graph = activation_graph(net)
    _expect_aligned(real)
    if find_spec("torch") is None:
        raise TargetUnavailableError(
            "diagnose needs PyTorch, which is not installed; pip install 'neurodeploy[torch]'"
        )
    given = by_population(graph, x)
    samples = min(len(values) for values in given.values())
    walk = _Walk(graph, real, integer, samples)
    for batch in run_batched(stimulus, _bytes_per_sample(real), progress=progress):
        walk.add({n: v[batch.samples] for n, v in given.items()}, batch.stimulus)
    layers = tuple(totals.result() for totals in walk.totals.values())
    evaluation = evaluate_network(net, stimulus, x, labels)
    # Unsigned counts leave out what is negative, on purpose: the winner is what they are for.
    counted = {o.population for o in net.netlist.outputs if o.decode == "counts"}
    judged = [layer for layer in layers if layer.name not in counted]
    worst = worst_layer(judged)
    return Diagnosis(
        samples,
        net.netlist.timesteps,
        layers,
        None if worst is None else worst.name,
        tuple(advise(judged, _remedies(net), _full_widths(net))),
        tuple(
            OutputDiagnosis(
                name,
                rmse,
                evaluation.layer_correlation.get(name),
                str(net.netlist.by_name[name].source),
            )
            for name, rmse in evaluation.output_rmse.items()
        ),
        (evaluation,),
        tuple(net.provenance.get("curve_fits", ())),
    )


def _full_widths(net: Network) -> set[str]:
    """Populations whose weights have the most bits that quantize gives."""
    # Fitted levels are wider integers than the bits that were asked for.
    fitted = net.provenance.get("quantization", {}).get("levels") == "fitted"
    if fitted or not isinstance(net.netlist, IntegerNetlist):
        return set()
    return {p.post for p in net.netlist.projections if p.weight_bits >= MOST_BITS}


def _remedies(net: Network) -> Mapping[str, str]:
    """What helps against each cause, within what the method's own target can run."""
    settings = net.provenance.get("method", {})
    if settings.get("name") not in own_methods():
        return REMEDIES
    other = dearer_maximum(settings["name"], net.analog, settings.get("max_pooling"))
    if other is None:
        return OWN_REMEDIES
    maxima = f"{OWN_REMEDIES['unevenness']}, or other maxima (--max-pooling {other})"
    return {**OWN_REMEDIES, "unevenness": maxima}


def activation_graph(net: Network) -> ActivationGraph:
    """The layers that a netlist was built from, lowered again as its method wants them.

    Raises
    ------
    UsageError
        If the netlist was not made by a conversion.
    """
    graph, settings = converted_from(net)
    method = METHODS.get(str(settings["name"]))
    known = {f.name for f in dataclasses.fields(method)}
    options = {key: value for key, value in settings.items() if key in known}
    return lower(graph, method(**options).lowering)


def converted_from(net: Network) -> tuple[AnalogGraph, Mapping[str, Any]]:
    """The source network, and the settings of the method that converted it.

    Raises
    ------
    UsageError
        If the netlist was not made by a conversion.
    """
    settings = net.provenance.get("method")
    if net.analog is None or not isinstance(settings, dict) or "name" not in settings:
        raise UsageError(
            f"{net.netlist.name}: holds no source network to compare with, as imported ones do not"
        )
    return net.analog, settings


def _bytes_per_sample(netlist: RealNetlist) -> int:
    """Bytes of the inputs, and of sums and activations of all populations."""
    steps = (1 if p.is_current_input else netlist.timesteps for p in netlist.inputs)
    entering = sum(n * p.size for n, p in zip(steps, netlist.inputs, strict=True))
    return 8 * (entering + 2 * sum(p.size for p in netlist.populations))


def _netlists(net: Network) -> tuple[RealNetlist, IntegerNetlist | None]:
    if isinstance(net.netlist, RealNetlist):
        return net.netlist, None
    if net.real is None:
        raise UsageError(
            f"{net.netlist.name}: holds no real-valued netlist to compare with; convert and "
            "quantize it again"
        )
    return net.real, net.netlist


def _expect_aligned(netlist: RealNetlist) -> None:
    depth = netlist.schedule.depth
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        lag = netlist.by_name[projection.pre].lag
        if delay != depth[projection.post] - depth[projection.pre] - lag:
            raise UsageError(
                f"{projection.label}: a delay of {delay} does not align its branches; diagnose "
                "compares whole windows, as every conversion gives them"
            )


class _Walk:
    """Layer after layer of batch after batch."""

    def __init__(
        self,
        graph: ActivationGraph,
        real: RealNetlist,
        integer: IntegerNetlist | None,
        samples: int,
    ) -> None:
        self.graph = graph
        self.real = real
        self.integer = integer
        self.offsets = {o.population: o.offset for o in real.outputs}
        last = integer or real
        compared = {layer.name for layer in graph.layers if not isinstance(layer, InputLayer)}
        self.totals = {
            p.name: LayerTotals(p, last.timesteps, samples)
            for p in last.populations
            if p.name in compared and p.unit is not None
        }
        if not self.totals:
            raise UsageError(f"{last.name}: no population codes a layer of the source network")
        self._real_engine = make_engine(real)
        self._integer_engine = None if integer is None else make_engine(integer)

    def add(self, samples: Mapping[str, AnyArray], stimulus: Stimulus) -> None:
        """Run one batch and compare all its layers."""
        layers = list(self.totals)
        ran = self._real_engine.summarize(stimulus, rates=list(self.real.by_name), totals=layers)
        quantized = None
        if self._integer_engine is not None:
            quantized = self._integer_engine.summarize(stimulus, rates=layers, totals=layers)

        def visit(layer: Layer, value: AnyArray) -> None:
            if layer.name in self.totals:
                self._compare(layer.name, value, ran, quantized)

        self.graph.evaluate(samples, visit)

    def _compare(self, name: str, x: AnyArray, ran: Summary, quantized: Summary | None) -> None:
        # What a counted output codes is higher than its activation.
        x = x + self.offsets.get(name, 0.0)
        real = _version(self.real, name, ran, ran.rates)
        last, emitted, integer = real, ran.spikes.get(name), None
        if self.integer is not None and quantized is not None:
            sums = self._translated(name, ran.rates)
            last = integer = _version(self.integer, name, quantized, sums)
            emitted = quantized.spikes.get(name)
        self.totals[name].add(x, last, split(x, ran.timesteps, real, integer), emitted)

    def _translated(self, name: str, sums: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Sums of the real-valued netlist as the integer one would emit them: pools differ."""
        assert self.integer is not None
        found = {}
        for projection in self.integer.incoming[name]:
            pre, T = projection.pre, self.integer.timesteps
            values = sums[pre]
            if isinstance(self.real.by_name[pre].model, MaxPool):
                ratio = rate_unit(self.real.by_name[pre], T) / rate_unit(
                    self.integer.by_name[pre], T
                )
                values = values * ratio
            found[pre] = np.rint(values).astype(np.int64)
        return found


def _version(
    netlist: RealNetlist | IntegerNetlist, name: str, run: Summary, sums: Mapping[str, AnyArray]
) -> Version:
    population = netlist.by_name[name]
    coded = run.rates[name] * rate_unit(population, netlist.timesteps)
    return Version(population, accumulate(netlist, name, sums), coded)
