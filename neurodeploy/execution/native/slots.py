"""Memory for what the populations of a program emit: rasters, used again when nobody reads them."""

from __future__ import annotations

import math

from neurodeploy.ir.netlist import Population


class Slots:
    """Slots of the rasters."""

    def __init__(self, timesteps: int) -> None:
        self.T = timesteps
        self.of: dict[str, int] = {}
        self.entries: list[int] = []
        self.binary: list[int] = []
        self._free: list[int] = []
        self._silent: dict[int, int] = {}

    def take(self, population: Population, binary: bool) -> None:
        """Find a place for what a population emits."""
        needed = math.prod(population.shape[1:]) * self.T + 1
        fitting = [slot for slot in self._free if self.binary[slot] == binary]
        if fitting:
            slot = max(fitting, key=lambda slot: self.entries[slot])
            self._free.remove(slot)
            self.entries[slot] = max(self.entries[slot], needed)
        else:
            slot = len(self.entries)
            self.entries.append(needed)
            self.binary.append(int(binary))
        self.of[population.name] = slot

    def silent(self, place: int, population: Population) -> int:
        """Where the ``place``-th link of a stage tells silent neurons, while the stage runs."""
        needed = math.prod(population.shape[1:]) * self.T + 1
        if place not in self._silent:
            self._silent[place] = len(self.entries)
            self.entries.append(needed)
            self.binary.append(1)
        slot = self._silent[place]
        self.entries[slot] = max(self.entries[slot], needed)
        return slot

    def free(self, name: str) -> None:
        """Nobody reads it any more."""
        if name in self.of and self.of[name] not in self._free:
            self._free.append(self.of[name])
