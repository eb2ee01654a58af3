"""A file of another framework to a netlist, by what its name ends in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.exchange.dynamics import CHOICES, DYNAMICS, NEEDED, Dynamics, chosen_dynamics
from neurodeploy.exchange.lava_dl import read_lava_dl
from neurodeploy.exchange.nir import nir_netlist, refusal
from neurodeploy.exchange.nir_graph import Graph, read_nir
from neurodeploy.exchange.nir_metadata import Kept, kept_netlist
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input

DEFAULT_TIMESTEPS = 100
SUFFIXES = (".nir", ".net")

PLAIN_INPUT = Input("spikes", 0, 1)
"""What enters where nothing else is said."""

Read = tuple[RealNetlist | IntegerNetlist, dict[str, Encoding], list[str], dict[str, Any]]
"""A netlist, its encodings, what has to be told about how the file was read, a record of it."""


def read_network(
    path: Path,
    dynamics: str | None,
    parts: dict[str, Any],
    *,
    timesteps: int | None,
    saturation: bool,
    input_model: Input,
    name: str | None,
) -> Read:
    """Read a ``.nir`` or ``.net`` file.

    Parameters
    ----------
    path : Path
    dynamics : str or None
        A name of :data:`neurodeploy.exchange.dynamics.DYNAMICS`.
    parts : mapping
        ``dt`` and parts of the dynamics; None where not given.
    timesteps : int or None
    saturation : bool
        Whether membranes of a ``.net`` file clip at 24 bits.
    input_model : Input
        What enters.
    name : str or None
        Of the netlist.

    Raises
    ------
    UsageError
        If the dynamics is not told and more than one fits, or an option does not go with the file.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if path.suffix == ".net":
        return _lava_dl(path, dynamics, parts, timesteps, saturation, input_model)
    if saturation:
        raise UsageError(f"{path}: saturation is for .net files; leave it out")
    return _nir(path, dynamics, parts, timesteps, input_model, name)


def _lava_dl(
    path: Path,
    dynamics: str | None,
    parts: dict[str, Any],
    timesteps: int | None,
    saturation: bool,
    model: Input,
) -> Read:
    given = [key for key, value in parts.items() if value is not None and key != "compare"]
    if dynamics not in (None, "lava") or given:
        what = given[0] if given else f"dynamics {dynamics}"
        raise UsageError(f"{path}: {what}: a .net file is fixed point for Lava; leave it out")
    compare = parts["compare"] or ">"
    if compare not in CHOICES["compare"]:
        raise UnknownNameError("compare", compare, CHOICES["compare"])
    found, notes = read_lava_dl(
        path,
        timesteps=timesteps,
        saturation=saturation,
        strict=compare == ">",
        input_model=model,
    )
    told = {"name": "lava, fixed point", "compare": compare}
    return found, {}, notes, {"format": "lava-dl", "dynamics": told}


def _nir(
    path: Path,
    dynamics: str | None,
    parts: dict[str, Any],
    timesteps: int | None,
    model: Input,
    name: str | None,
) -> Read:
    rules = chosen_dynamics(dynamics, parts)
    graph = read_nir(path)
    notes: list[str] = []
    kept = None if rules is not None else kept_netlist(graph)
    if kept is not None:
        return _as_written(graph, kept, parts, timesteps, model)
    if rules is None:
        rules = _only_choice(graph)
        notes.append(f"only dynamics {rules.name} reads it")
    if timesteps is None:
        timesteps = DEFAULT_TIMESTEPS
        notes.append(f"T = {timesteps} steps a sample; --timesteps N for another")
    found, told = nir_netlist(
        graph,
        rules,
        name=name or "".join(c if c.isprintable() else "_" for c in path.stem) or "nir",
        dt=parts["dt"],
        timesteps=timesteps,
        input_model=model,
    )
    record = {"format": "nir", "version": graph.version, "dynamics": rules.to_dict()}
    return found, {}, [*notes, *told], record


def _as_written(
    graph: Graph, kept: Kept, parts: dict[str, Any], timesteps: int | None, model: Input
) -> Read:
    """The netlist that neurodeploy wrote, from the metadata of the graph."""
    given = "dt" if parts["dt"] is not None else "an input" if model != PLAIN_INPUT else None
    if given is not None:
        raise UsageError(
            f"{graph.where}: {given} of a file that neurodeploy wrote, whose metadata say it; "
            "leave it out, or read the graph alone with --dynamics"
        )
    netlist, encodings = kept
    if timesteps is not None:
        netlist = replace(netlist, timesteps=timesteps)
    told = {"name": "as written by neurodeploy"}
    record = {"format": "nir", "version": graph.version, "dynamics": told}
    return netlist, encodings, [], record


def _only_choice(graph: Graph) -> Dynamics:
    fitting = [rules for rules in DYNAMICS.values() if refusal(graph, rules) is None]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(rules.name for rules in fitting) or "none"
    raise UsageError(
        f"{graph.where}: does not hold what its spikes are: reset, comparison, floor and step; "
        f"choose --dynamics {names}, or give --{', --'.join(NEEDED)}"
    )
