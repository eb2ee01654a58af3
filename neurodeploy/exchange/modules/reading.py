"""A module of a spiking framework to a real-valued netlist."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from neurodeploy.errors import ConversionError, NeurodeployError, UnsupportedLayerError, UsageError
from neurodeploy.exchange.modules.building import Building, Entering
from neurodeploy.exchange.modules.layer import Layer
from neurodeploy.exchange.modules.recognition import (
    FRAMEWORKS,
    Found,
    copied,
    prepare,
    spiking_layers,
)
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.numerics.torch_state import plain_torch
from neurodeploy.source.analog import Shape
from neurodeploy.source.lowering import Normalization
from neurodeploy.source.torch.exported_program import BATCH, export
from neurodeploy.source.torch.frontend import analog_from_torch
from neurodeploy.source.torch.spiking import cut
from neurodeploy.source.torch.step_graph import GIVEN, where
from neurodeploy.source.torch.step_rules import KNOWN
from neurodeploy.source.torch.step_values import Refused
from neurodeploy.source.torch.steps import Folding, Step

DEFAULT_TIMESTEPS = 25
PROBED = 3
"""Steps with which a module is called that takes all of them: as few as tell."""


def module_netlist(
    module: nn.Module,
    shape: Shape,
    *,
    name: str,
    timesteps: int | None,
    entering: Entering,
    normalization: Normalization | None,
) -> tuple[RealNetlist, list[str], dict[str, Any]]:
    """Read a module with spiking layers.

    Parameters
    ----------
    module : nn.Module
        In the mode in which it is to be read, single precision.
    shape : tuple of int
        Of one sample in one step, channels first.
    name : str
        Of the netlist.
    timesteps : int or None
        T; None: as many as the module computes itself, else :data:`DEFAULT_TIMESTEPS`.
    entering : Entering
    normalization : (mean, std) or None
        Of what enters, before the module.

    Returns
    -------
    netlist : RealNetlist
    notes : list of str
        What has to be told.
    record : dict
        What the layers are, for the provenance.

    Raises
    ------
    UnsupportedLayerError
        For layers and operations that no netlist computes exactly, by name.
    UsageError
        If there is no spiking layer.
    """
    with plain_torch():
        layers = spiking_layers(module)
        if not layers:
            raise UsageError(
                f"{name}: no spiking layer of {', '.join(FRAMEWORKS)} in it; 'neurodeploy convert' "
                "converts other networks"
            )
        step = _read(module, shape, timesteps)
        graph = cut(step, name, normalization)
        missing = [key for key in layers if key not in graph.hears]
        if missing:
            raise UnsupportedLayerError(
                f"{missing[0]}: is not called in a step of the module; leave it out"
            )
        # Decays and thresholds are computed from their stored values in double precision.
        double = spiking_layers(copied(module).double())
        behaviours, recurrences = {}, {}
        for key in graph.hears:
            heard = graph.graph.node(graph.hears[key]).shape
            layer = Layer(key, double[key].module, heard)
            behaviours[key] = double[key].kind.read(layer)
            recurrent = behaviours[key].recurrent
            if recurrent is not None:
                recurrences[key] = analog_from_torch(recurrent.float(), heard, f"{key}.recurrent")
        building = Building(graph, behaviours, recurrences, entering)
        T, told = _timesteps(timesteps, step)
        netlist, notes = building.netlist(name, T)
    notes = [*told, *_told_of_values(step, entering), *notes]
    return netlist, notes, _record(layers)


def _record(layers: Mapping[str, Found]) -> dict[str, Any]:
    found = {name: f"{x.framework} {type(x.module).__name__}" for name, x in layers.items()}
    return {"format": "module", "layers": found}


def _timesteps(given: int | None, step: Step) -> tuple[int, list[str]]:
    """T, and what has to be told of it."""
    own = step.steps if step.steps not in (1, PROBED) else None
    if given is None:
        T = own or DEFAULT_TIMESTEPS
        return T, [f"T = {T} steps a sample; --timesteps N for another"]
    if own is not None and own != given:
        return given, [f"the module computes {own} steps, the netlist {given}"]
    return given, []


def _told_of_values(step: Step, entering: Entering) -> list[str]:
    """Where the module shows one value in all of its steps, and the netlist takes a raster."""
    if step.steps == 1 or not step.holds or entering.model.kind == "current":
        return []
    return ["the module shows one value in all its steps, a raster enters here (--input current)"]


def _read(module: nn.Module, shape: Shape, timesteps: int | None) -> Step:
    """One step of a module, in whichever form it takes its input."""
    attempts: list[tuple[str, int]] = []
    layouts = {x.kind.layout(x.module) for x in spiking_layers(module).values()}
    usual = timesteps or DEFAULT_TIMESTEPS
    if "batch" in layouts:
        attempts = [("batch", PROBED), ("batch", usual), ("step", 1)]
    elif "time" in layouts:
        attempts = [("time", PROBED), ("time", usual), ("step", 1)]
    else:
        attempts = [("step", 1), ("time", PROBED), ("time", usual)]
        attempts += [("batch", PROBED), ("batch", usual)]
    failures: list[NeurodeployError] = []
    understood: set[str] = set()
    for form, steps in attempts:
        if form in understood:
            continue
        try:
            step = _folded(module, shape, form, steps)
            if form != "step" and steps < usual:
                _expect_every_step(module, step, shape, form, usual)
            return step
        except (UnsupportedLayerError, ConversionError) as error:
            failures.append(_about_shape(error))
            # Refused for what it computes: more steps would be refused as well, but take longer.
            if isinstance(error, Refused) and not isinstance(error, _Later):
                understood.add(form)
    # What was followed farthest tells most; a program that did not run tells least.
    raise max(failures, key=lambda e: e.followed if isinstance(e, Refused) else -1.0)


def _about_shape(error: NeurodeployError) -> NeurodeployError:
    """The error of a module that does not run, with the option that tells what enters."""
    text = str(error)
    if "is --data what" not in text:
        return error
    return ConversionError(text.rpartition("; ")[0] + "; is --shape what it takes in one step?")


def _folded(module: nn.Module, shape: Shape, form: str, steps: int) -> Step:
    work = copied(module)
    prepare(work)
    _call_with(work, form)
    program = export(work, shape if form == "step" else (steps, *shape), known=KNOWN)
    return Folding(program, shape, None if form == "step" else steps).step()


class _Later(Refused):
    """A module of which a few steps say nothing of what comes later."""


def _expect_every_step(module: nn.Module, step: Step, shape: Shape, form: str, steps: int) -> None:
    """Hold the step to the module on as many steps as it may run, with spikes drawn at random.

    A loop may keep spikes for longer than a look at a few steps sees.
    """
    random = torch.Generator().manual_seed(0)
    heard: dict[str, list[torch.Tensor]] = {}
    sent: dict[str, list[torch.Tensor]] = {}

    def answer(
        x: torch.Tensor, _: Any, name: str, call: int, n: int, layout: str, own: bool
    ) -> Any:
        spikes = torch.randint(0, 2, x.shape, generator=random).to(x.dtype)
        for record, values in ((heard, x), (sent, spikes)):
            record.setdefault(name, []).extend(_by_step(values, layout))
        return [spikes, *(torch.zeros_like(x) for _ in range(n))]

    work = copied(module)
    prepare(work, answer)
    _call_with(work, form)
    given = torch.randn((BATCH, steps, *shape), generator=random)
    with torch.no_grad():
        work(given)
    sent[GIVEN] = list(given.unbind(1))
    for t in range(steps):
        values = {
            name: sent[origin][t - lag] if lag <= t else torch.zeros_like(sent[origin][0])
            for name, (origin, lag) in step.sent.items()
        }
        found = step.computed(values)
        for name, (node, source) in step.layers.items():
            if not torch.allclose(found[node], heard[name][t], rtol=1e-3, atol=1e-4):
                raise _Later(
                    f"{name}: hears something else in step {t} than in the steps before"
                    f"{where(source)}: every step has to do the same"
                )


def _by_step(values: torch.Tensor, layout: str) -> Sequence[torch.Tensor]:
    """What a call of a layer takes or gives, step by step."""
    if layout == "flat":
        return values.reshape(BATCH, -1, *values.shape[1:]).unbind(1)
    return [values] if layout == "step" else values.unbind(0 if layout == "time" else 1)


def _call_with(module: nn.Module, form: str) -> None:
    """Call a copied module with what it takes: steps first, and states that say nothing."""
    forward = module.forward
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    n = sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )

    def called(x: torch.Tensor) -> Any:
        given = x.transpose(0, 1) if form == "time" else x
        return forward(given, *(torch.zeros(0) for _ in range(n)))

    if n or form == "time":
        module.forward = called
