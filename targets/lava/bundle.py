"""Deployment of the Lava target: everything a run needs, without the network beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurodeploy.errors import NetlistError
from neurodeploy.ir.netlist import IntegerProjection
from neurodeploy.targets.timed import TimedNetlist, read_timed, write_timed

Models = Literal["own", "stock"]
MODELS: tuple[Models, ...] = ("own", "stock")
FILES = "lava"
"""Name of ``lava.json`` and ``lava.safetensors``."""


@dataclass(frozen=True, eq=False)
class Bundle(TimedNetlist):
    """A compiled network, and the process models that run it."""

    models: Models

    def __post_init__(self) -> None:
        TimedNetlist.__post_init__(self)
        if self.models not in MODELS:
            raise NetlistError(f"models {self.models!r}; expected {' or '.join(MODELS)}")

    def incoming(self, name: str) -> tuple[IntegerProjection, ...]:
        """Projections into a population."""
        return self.netlist.incoming[name]


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write ``lava.json`` and ``lava.safetensors`` into ``folder``."""
    write_timed(bundle, folder, FILES)


def load_bundle(folder: Path) -> Bundle:
    """Read what :func:`save_bundle` wrote.

    Raises
    ------
    FileFormatError
        If a file is missing, truncated, of another schema version, or inconsistent.
    """
    return read_timed(Bundle, folder, FILES)
