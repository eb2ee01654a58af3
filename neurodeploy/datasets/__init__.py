"""Labelled samples in raw units, addressed by one line of text."""

from __future__ import annotations

from neurodeploy.datasets.loading import load_dataset
from neurodeploy.datasets.samples import Normalization, Samples
from neurodeploy.datasets.spec import DataSpec, parse_spec

__all__ = ["DataSpec", "Normalization", "Samples", "load_dataset", "parse_spec"]
