"""What stands in the page about a network: results of stages, and why others are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.fit import Verdict
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.files import as_path, write_bytes_whole
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network
from neurodeploy.notebook import Shown

if TYPE_CHECKING:
    from neurodeploy.diagnosis.diagnosis import Diagnosis
    from neurodeploy.hardware.price.comparison import EnergyComparison
    from neurodeploy.verification.accuracy import Evaluation
    from neurodeploy.verification.spike_activity import SpikeActivity
    from neurodeploy.verification.verification import Verification


@dataclass(frozen=True, slots=True)
class Counts:
    """Samples of each part, at most; ``shown`` of those that were watched."""

    evaluated: int = 256
    diagnosed: int = 64
    priced: int = 32
    watched: int = 16
    verified: int = 4
    shown: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Samples whose class is another one than that of the source network.

    Parameters
    ----------
    total : int
        Of all that were evaluated.
    indices, labels, before, after : sequence of int
        Place in the data, label (-1 without), class of the source network and of this one, of the
        first few.
    images : array ``[N, *sample]``
    """

    total: int
    indices: tuple[int, ...]
    labels: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    images: AnyArray


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One netlist, and what was measured of it.

    Parameters
    ----------
    name : str
        What it is called in the page: its file, or the board that it is for.
    file : str
        What commands call it.
    network : Network
    evaluations : mapping
        ``spiking`` (real-valued) and ``integer`` -> results on the same samples.
    labels : array ``[B]`` or None
        Of these samples.
    changed : Changed or None
    diagnosis, activity, energy : result or None
    verifications : mapping of target to Verification
    verdicts : mapping of board to Verdict
    boards : mapping of name to Board
    missing : mapping
        Part of the page -> why it is not there.
    """

    name: str
    file: str
    network: Network
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    labels: AnyArray | None = None
    changed: Changed | None = None
    diagnosis: Diagnosis | None = None
    activity: SpikeActivity | None = None
    verifications: Mapping[str, Verification] = field(default_factory=dict)
    energy: EnergyComparison | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    boards: Mapping[str, Board] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def evaluation(self) -> Evaluation | None:
        """That of the netlist itself."""
        whole = isinstance(self.network.netlist, IntegerNetlist)
        return self.evaluations.get("integer" if whole else "spiking")

    def to_dict(self) -> dict[str, Any]:
        """JSON values: each part as its command gives it."""
        return {
            "name": self.name,
            "netlist": self.network.netlist.name,
            "timesteps": self.network.netlist.timesteps,
            "evaluations": {name: e.to_dict() for name, e in self.evaluations.items()},
            "changed": None if self.changed is None else self.changed.total,
            "diagnosis": None if self.diagnosis is None else self.diagnosis.to_dict(),
            "activity": None if self.activity is None else self.activity.to_dict(),
            "verifications": {name: v.to_dict() for name, v in self.verifications.items()},
            "energy": None if self.energy is None else self.energy.to_dict(),
            "verdicts": {name: v.to_dict() for name, v in self.verdicts.items()},
            "quantization": self.network.provenance.get("quantization"),
            "missing": dict(self.missing),
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report(Shown):
    """What stands in the page.

    Parameters
    ----------
    name : str
        The file or folder that it is of.
    data : str or None
    measured : tuple of Measured
        One netlist, or, of a folder of ``deploy``, one for each board.
    command : tuple of str
        The command line that gives it again.
    counts : Counts
        Samples of each part.
    refused : mapping of board to str
        Boards of a folder of ``deploy`` for which there is no network, and why.
    """

    name: str
    data: str | None
    measured: tuple[Measured, ...]
    command: tuple[str, ...]
    counts: Counts = Counts()
    refused: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        n = len(self.measured)
        return f"Report({self.name}: {n} netlist{'s' * (n != 1)}, data {self.data})"

    @property
    def exact(self) -> bool:
        """Whether no verification found a difference."""
        return all(v.exact for m in self.measured for v in m.verifications.values())

    def save(self, path: str | Path) -> None:
        """Write the page, whole or not at all: one file that asks for no other."""
        import neurodeploy as nd

        write_bytes_whole(as_path(path), nd.html(self).encode())

    def _repr_html_(self) -> str:
        import neurodeploy as nd

        # A frame: its style is the page's own, and changes nothing of the notebook.
        page = escape(nd.html(self))
        return f'<iframe style="width: 100%; height: 80vh; border: 0" srcdoc="{page}"></iframe>'

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            "data": self.data,
            "command": list(self.command),
            "exact": self.exact,
            "refused": dict(self.refused),
            "networks": [one.to_dict() for one in self.measured],
        }
