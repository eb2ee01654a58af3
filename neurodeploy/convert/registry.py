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
    },
    group="neurodeploy.methods",
)
