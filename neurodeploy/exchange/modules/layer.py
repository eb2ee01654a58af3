"""What a spiking layer of a framework computes, in the terms of the netlist's neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.exchange.assembly import spread_evenly
from neurodeploy.ir.arrays import FloatArray

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A layer's neurons, and what of it belongs to the weights around them.

    Parameters
    ----------
    neuron : mapping
        Fields of :class:`~neurodeploy.ir.neurons.RealNeuron`; a bias is added to what arrives.
    gain : array ``[*shape]``
        What an input counts in the membrane (of a layer with a current: in the current).
    worth : array ``[*shape]``
        What a spike counts for those that hear it.
    recurrent : nn.Module or None
        Applied to the layer's own spikes of the step before, and added to its input.
    late_recurrence : bool
        Whether what the recurrent module adds without spikes begins in the second step.
    notes : tuple of str
        What has to be told.
    """

    neuron: dict[str, Any]
    gain: FloatArray
    worth: FloatArray
    recurrent: nn.Module | None = None
    late_recurrence: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of a framework.

    Parameters
    ----------
    read : callable
        ``read(layer) -> Behaviour`` of a :class:`Layer`.
    states : tuple of str
        Names of the states that it takes in its forward beside its input, in their order; it
        returns those of them after its spikes that are not called ``spk``.
    hides : callable
        Whether an instance returns its spikes alone.
    layout : callable
        What a call of an instance takes, as :func:`~neurodeploy.source.torch.spiking.population`
        calls it.
    returns_state : bool
        Whether it takes and returns all its states as one object.
    enters : callable or None
        What an instance does to its input first, such as weights of its own.
    """

    read: Callable[[Layer], Behaviour]
    states: tuple[str, ...] = ()
    hides: Callable[[nn.Module], bool] = field(default=lambda module: True)
    layout: Callable[[Any], str] = field(default=lambda module: "step")
    returns_state: bool = False
    enters: Callable[[Any, torch.Tensor], torch.Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """An instance, in double precision, with the shape of its neurons."""

    name: str
    module: Any
    shape: Shape

    def refuse(self, why: str) -> UnsupportedLayerError:
        """What cannot be exact, by the name of the layer."""
        return UnsupportedLayerError(f"{self.name} ({type(self.module).__name__}): {why}")

    def values(self, value: Any, what: str) -> FloatArray:
        """A number or tensor as one value per neuron, ``[*shape]``, as torch broadcasts it."""
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().double().numpy()
        array = np.asarray(value, dtype=np.float64)
        while array.ndim > len(self.shape) and array.shape[0] == 1:
            array = array[0]
        try:
            return np.broadcast_to(array, self.shape)
        except ValueError:
            raise self.refuse(f"{what} of shape {array.shape} for {self.shape} neurons") from None

    def even(self, values: Any) -> Any:
        """Values of all neurons as few numbers as say them."""
        return spread_evenly(values, self.shape)

    def fires_at(self, function: Any, at: bool) -> None:
        """Refuse a spike function that is no step from 0 to 1 at 0."""
        probe = torch.tensor([-2.0, -1e-3, 0.0, 1e-3, 0.7, 3.0], dtype=torch.float64)
        try:
            with torch.no_grad():
                given = [function(probe.clone()).tolist() for _ in range(3)]
        except Exception as error:
            raise self.refuse(f"its spike function fails: {error}") from error
        if any(found != [0.0, 0.0, float(at), 1.0, 1.0, 1.0] for found in given):
            shown = ", ".join(f"{value:.3g}" for value in given[0])
            raise self.refuse(
                f"its spike function gives {shown} at {probe.tolist()}; expected a step from 0 to 1"
            )


def decay_of(layer: Layer, kept: FloatArray, what: str) -> FloatArray:
    """The part of a state that a step takes, from the part that it keeps."""
    if not ((kept >= 0) & (kept <= 1)).all():
        worst = kept.reshape(-1)[np.argmax(np.abs(kept - 0.5))]
        raise layer.refuse(f"{what} {worst:g}; expected 0 to 1")
    return np.asarray(1.0 - kept)
