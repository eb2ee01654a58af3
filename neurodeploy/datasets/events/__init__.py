"""Events: recordings of event cameras and cochleas, as rasters of spikes for spiking inputs."""

from __future__ import annotations

from neurodeploy.datasets.events.samples import EventSamples

__all__ = ["EventSamples"]
