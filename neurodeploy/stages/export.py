"""From a netlist to the file of another framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.exchange.writing import FORMATS, Content, written
from neurodeploy.ir.files import expect_writable, write_bytes_whole
from neurodeploy.network import Network
from neurodeploy.notebook import Shown
from neurodeploy.stages.compile import compile
from neurodeploy.stages.load import opened_network, wrong_kind
from neurodeploy.targets.registry import usable_targets

PROGRAM_SUFFIX = ".py"


@dataclass(frozen=True, slots=True, repr=False)
class Exported(Shown):
    """A file that was written for other frameworks.

    Parameters
    ----------
    path : Path
    to : str
        Its format.
    notes : tuple of str
        What has to be told about it.
    lost : mapping of str to tuple of str
        Framework that reads the format -> what it reads otherwise than this network; empty where
        it gives the same spikes.
    """

    path: Path
    to: str
    notes: tuple[str, ...] = ()
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        exact = [name for name, told in self.lost.items() if not told]
        with_all = f", every spike in {', '.join(exact)}" if exact else ""
        return f"Exported({self.path}: {self.to}{with_all})"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        lost = {name: list(told) for name, told in self.lost.items()}
        return {"path": str(self.path), "to": self.to, "notes": list(self.notes), "lost": lost}


def export(
    net: Network | str | Path,
    to: str,
    path: str | Path,
    *,
    dynamics: str | None = None,
    dt: float | None = None,
) -> Exported:
    """Write a network for other frameworks.

    A NIR graph holds everything that NIR can say, and the whole netlist in its metadata: read back
    by ``import_network`` it is the same netlist. What frameworks that read NIR make of it otherwise
    is told for each.

    Parameters
    ----------
    net : Network or path
    to : str
        What to write: nir (a NIR graph), net (blocks in fixed point), sanafe (an architecture with
        the network mapped on it), or a target that runs as a program of its own.
    path : path
        The file.
    dynamics : str, optional
        Of a NIR graph: whose reading gives the network's spikes, such as snntorch-zero, norse or
        sinabs. [default: the equations of NIR by forward Euler]
    dt : float, optional
        Of a NIR graph: length of a step in seconds. [default: the framework's, else 1e-4]

    Raises
    ------
    UnknownNameError
        For a format or dynamics that does not exist.
    UnsupportedLayerError
        For what the format cannot say, by name.
    UsageError
        For a path that does not end as files of the format do.
    """
    if not isinstance(path, str | os.PathLike):
        raise wrong_kind("export", path, "the network, the format, and the path of a file")
    network = opened_network(net, "export")
    path = Path(path)
    if to not in FORMATS and to not in _programs():
        raise UnknownNameError("format", to, [*FORMATS, *_programs()])
    suffix = FORMATS[to].suffix if to in FORMATS else PROGRAM_SUFFIX
    if path.suffix != suffix:
        raise UsageError(f"{path}: choose a name that ends in {suffix}")
    expect_writable(path)
    if to in FORMATS:
        found = written(to, (network.netlist, network.encodings), dynamics, dt)
    else:
        for name, value in (("dynamics", dynamics), ("dt", dt)):
            if value is not None:
                raise UsageError(f"{name} {value}: {to} programs have none; leave it out")
        found = _program(to, network)
    write_bytes_whole(path, found.content)
    return Exported(path, to, found.notes, found.lost)


def _programs() -> list[str]:
    """Targets whose deployments are also programs of their own."""
    return [name for name, target in usable_targets().items() if target.has_program]


def _program(to: str, network: Network) -> Content:
    return Content(compile(network, to).program())
