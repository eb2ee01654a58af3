"""Trained neurons as a spiking netlist: pixels, competitors, and what they say about the class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from plasticity import Rule

import neurodeploy as nd

LEVELS_OF_FULL_INTENSITY = 256
"""Steps of intensity that the Poisson input tells apart."""


def network(
    rule: Rule,
    weight: npt.ArrayLike,
    threshold: npt.ArrayLike,
    readout: npt.ArrayLike,
    shape: tuple[int, int, int],
    *,
    counts: bool = False,
) -> nd.Network:
    """Build the real-valued network, for ``neurodeploy quantize``.

    Parameters
    ----------
    rule : Rule
    weight : array ``[N, pixels]``
    threshold : array ``[N]``
    readout : array ``[classes, N]``
        What a spike of each neuron counts for each class.
    shape : (int, int, int)
        Of an image, channels first.
    counts : bool
        Whether classes are neurons that fire for every unit they receive, as crossbar cores need,
        or integrators that are read by their membrane.
    """
    weight, readout = np.asarray(weight, np.float64), np.asarray(readout, np.float64)
    neurons = len(weight)
    zero = np.zeros(())
    competitors = nd.RealNeuron(
        threshold=np.asarray(threshold, np.float64),
        bias=zero,
        initial_membrane=zero,
        reset="zero",
        floor=None if rule.floor is None else np.asarray(rule.floor),
        membrane_decay=0.0 if rule.leak_steps is None else -np.expm1(-1 / rule.leak_steps),
    )
    classes = nd.RealNeuron(np.ones(()) if counts else None, bias=zero, initial_membrane=zero)
    inhibition = -rule.inhibition * (1 - np.eye(neurons))
    netlist = nd.RealNetlist(
        "stdp",
        (
            nd.Population("pixels", shape, nd.Input("spikes", 0, 1)),
            nd.Population("competitors", (neurons,), competitors),
            nd.Population("classes", (len(readout),), classes),
        ),
        (
            nd.RealProjection("pixels", "competitors", nd.Dense(weight, shape)),
            nd.RealProjection("competitors", "competitors", nd.Dense(inhibition, (neurons,)), 1),
            nd.RealProjection("competitors", "classes", nd.Dense(readout, (neurons,))),
        ),
        (nd.Output("classes", "counts" if counts else "membrane"),),
        rule.timesteps,
    )
    return nd.Network(netlist, {"pixels": poisson(rule)})


def poisson(rule: Rule) -> nd.Encoding:
    """Encode intensities as spikes: in each step with the chance ``rate * intensity``.

    An encoding's largest sample fires in every step; that is 1 / rate here, and leaves room for
    intensities above 1, which a noisy background gives.
    """
    levels = round(LEVELS_OF_FULL_INTENSITY / rule.rate)
    return nd.Encoding("poisson", levels, 0.0, levels / LEVELS_OF_FULL_INTENSITY)
