"""The targets by name."""

from __future__ import annotations

from neurodeploy.registry import Entry, Registry
from neurodeploy.targets.base import Target

TARGETS: Registry[type[Target]] = Registry(
    "target",
    {
        "lava": Entry(
            "neurodeploy.targets.lava.target:LavaTarget",
            "Lava processes (Loihi's framework), fixed point, real lava-nc",
        ),
        "brian2": Entry(
            "neurodeploy.targets.brian2.target:Brian2Target",
            "a Brian2 Network, the independent reference simulation",
        ),
        "truenorth": Entry(
            "neurodeploy.targets.truenorth.target:TrueNorthTarget",
            "crossbar cores of 256 axons x 256 neurons, one destination per neuron",
        ),
    },
    group="neurodeploy.targets",
)
