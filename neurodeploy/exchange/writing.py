"""A netlist as the file of another framework, and what is told about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from neurodeploy.exchange.dynamics import Dynamics, check_dt, chosen_dynamics
from neurodeploy.exchange.hdf5 import tree_bytes
from neurodeploy.exchange.lava_dl_write import lava_dl_tree
from neurodeploy.exchange.losses import lost_by
from neurodeploy.exchange.nir_metadata import metadata
from neurodeploy.exchange.nir_write import EQUATION, nir_tree, write_graph
from neurodeploy.exchange.readers import READERS
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist


@dataclass(frozen=True, slots=True)
class Content:
    """What is written.

    Parameters
    ----------
    content : bytes
        Of the file.
    notes : tuple of str
        What has to be told about it.
    lost : mapping of str to tuple of str
        Framework -> what it reads otherwise; empty where it gives the netlist's spikes.
    """

    content: bytes
    notes: tuple[str, ...] = ()
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Source = tuple[RealNetlist | IntegerNetlist, Mapping[str, Encoding]]


def nir_file(source: Source, dynamics: Dynamics | None, dt: float | None) -> Content:
    """A ``.nir`` file of NIR 1.0.8, with everything that NIR cannot say in its metadata."""
    netlist, encodings = source
    written = write_graph(netlist, dynamics, dt)
    rules = dynamics or EQUATION
    told = {"dynamics": rules.name, "dt": 1.0 if rules.in_steps else dt or rules.dt}
    kept = metadata(netlist, encodings, written.graph, told)
    lost = {r.title: tuple(lost_by(r, written)) for r in READERS}
    step = "time constants in steps" if rules.in_steps else f"steps of {told['dt']:g} s"
    notes = [f"parameters for the dynamics {rules.name} ({rules.summary}), {step}"]
    return Content(tree_bytes(nir_tree(written.graph, kept)), tuple(notes), lost)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that is written.

    Parameters
    ----------
    suffix : str
        What its names end in.
    write : callable
        Of the netlist and its encodings, and of what NIR takes: a dynamics (None: its own), a dt.
    """

    suffix: str
    write: Callable[[Source, Dynamics | None, float | None], Content]


def lava_dl_file(source: Source, dynamics: Dynamics | None, dt: float | None) -> Content:
    """A ``.net`` file of lava-dl."""
    tree, notes = lava_dl_tree(source[0])
    return Content(tree_bytes(tree), tuple(notes))


FORMATS: dict[str, Format] = {
    "nir": Format(".nir", nir_file),
    "net": Format(".net", lava_dl_file),
}
"""Name -> format, as ``--to`` takes them."""


def written(to: str, source: Source, dynamics: str | None, dt: float | None) -> Content:
    """The content of a file of a format.

    Raises
    ------
    UsageError
        For a dt that is no time.
    UnsupportedLayerError
        For what the format cannot say, by name.
    """
    kind = FORMATS[to]
    rules = None if dynamics is None else chosen_dynamics(dynamics, {"dt": dt})
    check_dt(dt)
    return kind.write(source, rules, dt)
