"""The largest numbers that a board description can give: above, it is no board but a mistake.

They bound what a stranger's description can make a command compute and hold.
"""

from __future__ import annotations

COUNT = 2**31 - 1
"""Of anything that has no limit of its own."""
CORES = 2**22
"""Of a whole board, and of each side of its grid: the largest system has a million."""
BITS = 64
"""Of a width, and of an exponent."""
BLOCK = 2**16
"""Synapses of a block; all sizes are looked through."""
MEMORY_BITS = 2**40
"""Of the synapse memory of a core."""
CROSSBAR = {
    "axons": 2**12,
    "neurons": 2**12,
    "axon_types": 2**8,
    "weight_bits": 16,
    "weight_min": 2**15 - 1,
    "weight_max": 2**15 - 1,
    "delay_max": 2**8 - 1,
    "membrane_bits": 32,
}
"""Of crossbar cores: their files hold a bit per axon and neuron, and integers of these widths."""

SI = {"energy": (1e-3, "J"), "time": (10.0, "s"), "power": (1e6, "W")}
"""Of one event, of one wait, and of a whole board: more is a wrong unit."""


def largest_limit(name: str, kind: str) -> int:
    """The largest magnitude of an entry of ``limits`` on a board of this kind."""
    if kind == "crossbar" and name in CROSSBAR:
        return CROSSBAR[name]
    if name == "synapse_memory_bits":
        return MEMORY_BITS
    return BITS if name.endswith("_bits") or "exponent" in name else COUNT


def above(value: int, most: int) -> str:
    """The reason why a number is refused."""
    told = str(value) if abs(value) < 10**30 else "a number of more than 30 digits"
    beyond = f"below -{most}" if value < 0 else f"above {most}"
    return f"{told} is {beyond}, the most that is reckoned with; mend the number"
