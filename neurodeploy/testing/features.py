"""Features of docs/semantics.md that a netlist uses, by name, as tables of refusals list them."""

from __future__ import annotations

from collections.abc import Iterator

from neurodeploy.ir.connectivity import is_spaced
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool

WITHOUT_CASE = ("delay above 15",)
"""Features of netlists that no conformance case has."""


def features(netlist: IntegerNetlist) -> set[str]:
    """Names of the features that a netlist uses."""
    found = {f for p in netlist.populations for f in _of_population(p)}
    plan = netlist.schedule
    if plan.cyclic:
        found.add("recurrence")
    for q, delay in zip(netlist.projections, plan.delays, strict=True):
        apart = plan.depth[q.post] - plan.depth[q.pre]
        if delay != apart:
            found.add("misaligned delay")
        if delay < apart and not isinstance(netlist.by_name[q.pre].model, Input):
            found.add("delay below the depth difference")
        if delay > 15:
            found.add("delay above 15")
        if q.exponent.any():
            found.add("exponent")
        found.add(q.connectivity.kind)
        if is_spaced(q.connectivity):
            found.add("spacing")
    if any(o.reads_membrane for o in netlist.outputs):
        found.add("membrane output")
    return found


def _of_population(p: Population) -> Iterator[str]:
    model = p.model
    if isinstance(model, MaxPool):
        yield "max-pooling"
        if model.signed:
            yield "signed pooling"
        if model.rule == "winner":
            yield "winner pooling"
        if model.rule == "now":
            yield "maximum of what arrives now"
        if model.input_gain:
            yield "gains of pooling"
    elif isinstance(model, Input):
        yield f"{model.kind} input"
        if model.low < 0:
            yield "signed input"
        if model.kind == "spikes" and (model.low < -1 or model.high > 1):
            yield "graded input"
    else:
        assert isinstance(model, IntegerNeuron)
        yield from _of_neuron(model)


def _of_neuron(model: IntegerNeuron) -> Iterator[str]:
    if not model.fires:
        yield "integrator"
    else:
        yield f"reset {model.reset}"
    if model.signed:
        yield "signed spikes"
    if model.payload_max > 1:
        yield "graded spikes"
    if model.payload_code == "power_of_two":
        yield "powers of two"
    if model.memory:
        yield "memory"
    if model.input_gain:
        yield "gains of input"
    if model.firing_gain:
        yield "gains of firing"
    if model.comparison:
        yield "comparison"
    if model.has_current_memory:
        yield "current decay"
    if model.leaks:
        yield "leak"
    # A reset is named above.
    yield from (name for name in model.extensions if not name.startswith("reset"))
    if model.initial_membrane.any():
        yield "initial membrane"
    if model.bias.any():
        yield "bias"
