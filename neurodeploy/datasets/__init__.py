"""Labelled samples in raw units: arrays, data of torch, or files addressed by one line of text."""

from __future__ import annotations

from neurodeploy.datasets.events import EventSamples
from neurodeploy.datasets.normalization import Normalization
from neurodeploy.datasets.samples import Samples, SamplesLike, as_data, as_samples
from neurodeploy.datasets.spec import DataSpec, parse_spec

__all__ = [
    "DataSpec",
    "EventSamples",
    "Normalization",
    "Samples",
    "SamplesLike",
    "as_data",
    "as_samples",
    "parse_spec",
]
