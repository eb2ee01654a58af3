"""From recordings of events to what a spiking input receives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from neurodeploy.datasets import EventSamples
from neurodeploy.datasets.events.raster import Binned
from neurodeploy.errors import DataError, warn_user
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """Rasters of recordings, each read when it is asked for."""

    dataset: EventSamples
    name: str
    shape: tuple[int, ...]
    timesteps: int
    high: int
    _known: dict[int, Binned] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, samples: slice) -> IntArray:
        chosen = range(*samples.indices(len(self)))
        rasters = np.zeros((len(chosen), self.timesteps, *self.shape), dtype=np.int64)
        told = len(self._known) == len(self)
        for raster, sample in zip(rasters, chosen, strict=True):
            self._known[sample] = self.dataset.count_into(sample, raster, self.high)
        if not told and len(self._known) == len(self):
            self._tell()
        return rasters

    def steps(self, samples: slice) -> IntArray:
        """Steps of each sample that are its own, of samples that have been read."""
        chosen = range(*samples.indices(len(self)))
        return np.array([self._known[sample].steps for sample in chosen], dtype=np.int64)

    def _tell(self) -> None:
        """Once all have been read: how many events their counts do not show."""
        events = sum(found.events for found in self._known.values())
        lost = sum(found.lost for found in self._known.values())
        if not lost:
            return
        binary = self.dataset.binning.count == "binary"
        limit = "count=binary" if binary else f"input {self.name} takes up to {self.high}"
        remedy = f"; count=sum counts up to {self.high}" if binary and self.high > 1 else ""
        warn_user(
            f"{self.dataset.name}: {lost} of {events} events ({100 * lost / events:.2g} %) are not "
            f"counted, others came to their place in the same step ({limit}){remedy}"
        )


def encoded_events(
    netlist: IntegerNetlist | RealNetlist, dataset: EventSamples
) -> dict[str, EncodedEvents]:
    """Events for the one input of a netlist.

    Raises
    ------
    DataError
        If it has several inputs, or one that takes no spikes.
    """
    if len(netlist.inputs) != 1:
        raise DataError(
            f"{dataset.name}: events for a network of {len(netlist.inputs)} inputs; they enter "
            "networks of one"
        )
    (population,) = netlist.inputs
    model = population.model
    assert isinstance(model, Input)
    if model.kind != "spikes":
        raise DataError(
            f"{dataset.name}: input {population.name} takes one value a sample (current), not "
            "spikes; import the network with --input spikes, or convert it with --input rate"
        )
    given = EncodedEvents(dataset, population.name, population.shape, netlist.timesteps, model.high)
    return {population.name: given}
