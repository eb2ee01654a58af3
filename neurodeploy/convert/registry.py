"""The conversion methods by name."""

from __future__ import annotations

from neurodeploy.convert.method import ConversionMethod
from neurodeploy.registry import Entry, Registry

METHODS: Registry[type[ConversionMethod]] = Registry(
    "method",
    {
        "rate": Entry(
            "neurodeploy.convert.rate:RateCoding",
            "rate coding, soft reset, data-based thresholds (Rueckauer 2017, Bu 2022)",
        ),
        "signed-memory": Entry(
            "neurodeploy.convert.signed_memory:SignedMemory",
            "signed spikes that take back what was fired too early (Wang 2022)",
        ),
        "graded": Entry(
            "neurodeploy.convert.graded:Graded",
            "one signed power of two or whole number a step, with memory; 1 to 4 steps",
        ),
    },
    group="neurodeploy.methods",
)
