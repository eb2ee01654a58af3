"""A module of a spiking framework to a real-valued netlist."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from neurodeploy.errors import UnsupportedLayerError, UsageError
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
from neurodeploy.source.torch.exported_program import export
from neurodeploy.source.torch.frontend import Normalization, analog_from_torch
from neurodeploy.source.torch.spiking import SpikingGraph, cut

_TIME_CONTAINERS = ("MultiStepContainer", "SeqToANNContainer")


def module_netlist(
    module: nn.Module,
    shape: Shape,
    *,
    name: str,
    timesteps: int,
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
    timesteps : int
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
        graph = _one_step(module, shape, name, normalization)
        missing = [key for key in layers if key not in graph.cuts]
        if missing:
            raise UnsupportedLayerError(
                f"{missing[0]}: is not called in a step of the module; leave it out"
            )
        # Decays and thresholds are computed from their stored values in double precision.
        double = spiking_layers(copied(module).double())
        behaviours, recurrences = {}, {}
        for key in graph.cuts:
            heard = graph.graph.node(graph.cuts[key].hears).shape
            layer = Layer(key, double[key].module, heard)
            behaviours[key] = double[key].kind.read(layer)
            recurrent = behaviours[key].recurrent
            if recurrent is not None:
                recurrences[key] = analog_from_torch(recurrent.float(), heard, f"{key}.recurrent")
        building = Building(graph, behaviours, recurrences, dict.fromkeys(graph.given, entering))
        netlist, notes = building.netlist(name, timesteps)
    return netlist, notes, _record(layers)


def _record(layers: Mapping[str, Found]) -> dict[str, Any]:
    found = {name: f"{x.framework} {type(x.module).__name__}" for name, x in layers.items()}
    return {"format": "module", "layers": found}


def _one_step(
    module: nn.Module, shape: Shape, name: str, normalization: Normalization | None
) -> SpikingGraph:
    work = copied(module)
    layers = spiking_layers(work)
    prepare(work, layers)
    _step_by_step(work)
    _without_states(work)
    return cut(export(work, shape), {"input": shape}, name, normalization)


def _step_by_step(module: nn.Module) -> None:
    """SpikingJelly's layers in their mode of one step, whatever mode they are in."""
    for part in module.modules():
        if type(part).__name__ in _TIME_CONTAINERS and isinstance(part, nn.Sequential):
            part.forward = nn.Sequential.forward.__get__(part)  # type: ignore[method-assign]
        elif getattr(part, "step_mode", None) == "m":
            setattr(part, "step_mode", "s")  # noqa: B010


def _without_states(module: nn.Module) -> None:
    """Call a copied module with states that say nothing, where its forward asks for them."""
    forward = module.forward
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    n = sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )

    def begun(x: torch.Tensor) -> Any:
        return forward(x, *(torch.zeros(0) for _ in range(n)))

    if n:
        module.forward = begun
