"""Axons that may be shared, packets, and the interface of a reach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.assignment import Cut
from neurodeploy.ir.arrays import IntArray


@dataclass(frozen=True, slots=True)
class AxonSharing:
    """Source neurons that share an axon: channels of one position with the same destinations.

    Parameters
    ----------
    channels : int
        At most so many share one; 1: none do.
    block : int or None
        Channels on one core of the source, which alone can share; None: not known yet.
    slots : int
        Entries of the table of output axons that such an axon takes; where none are shared, an
        axon takes one.
    """

    channels: int = 1
    block: int | None = None
    slots: int = 1

    def starts(self, reached: IntArray) -> IntArray:
        """First channel of every axon, of ``reached`` ``[n_intervals, n_channels]``."""
        n = reached.shape[1]
        block = n if self.block is None else self.block
        differs = np.ones(n, dtype=bool)
        differs[1:] = (reached[:, 1:] != reached[:, :-1]).any(axis=0)
        differs[::block] = True
        # Chunks begin anew wherever the destinations or the core change.
        since = np.arange(n) - np.maximum.accumulate(np.where(differs, np.arange(n), 0))
        return np.flatnonzero(differs | (since % self.channels == 0))


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Packets from boxes of a source to boxes of a target, those that are not 0.

    Parameters
    ----------
    source, target, packets : int64 ``[n_pairs]``
    """

    source: IntArray
    target: IntArray
    packets: IntArray


class Reach(ABC):
    """Synapses from every neuron of a source population into every box of a target."""

    pre_shape: tuple[int, ...]
    n_tiles: int

    @abstractmethod
    def synops(self, spikes: IntArray) -> IntArray:
        """Synaptic operations of ``spikes`` ``[..., *pre_shape]``: ``[..., n_tiles]``."""

    @abstractmethod
    def packets(self, spikes: IntArray) -> IntArray:
        """Packets that reach each box: ``[..., *pre_shape]`` to ``[..., n_tiles]``."""

    @abstractmethod
    def flow(self, spikes: IntArray | None, source: Cut) -> Flow:
        """Packets from box to box of ``spikes`` ``pre_shape``; None: one spike of every neuron."""

    @abstractmethod
    def input_axons(self, sharing: AxonSharing) -> IntArray:
        """Axons that enter each box: ``[n_tiles]``."""

    @abstractmethod
    def output_axons(self, source: Cut, sharing: AxonSharing) -> IntArray:
        """Output axons that each box of the source takes, for every box they reach."""

    @abstractmethod
    def destinations(self) -> IntArray:
        """Boxes that each source neuron reaches (output axons): ``pre_shape``."""

    @abstractmethod
    def memory_bits(self, storage: SynapseFormat, weight_bits: int) -> IntArray:
        """Synapse memory of each box: ``[n_tiles]``."""

    @abstractmethod
    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs (source neuron, box) with a synapse, flat indices."""
