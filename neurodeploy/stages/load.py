"""Loading of a netlist or a deployment from a path, and answers to other arguments."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from pathlib import Path

from neurodeploy.datasets import Samples
from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.network import Network, load_network
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.loading import load_deployment

NETWORK = "a network as convert or quantize returns it, or the path of its .ndn file"
DEPLOYMENT = "a deployment as compile returns it, or the path of its folder"


def load(path: str | Path, *, check: bool = True) -> Network | Deployment:
    """Read a ``.ndn`` file or a deployment folder.

    Parameters
    ----------
    path : path
    check : bool
        Refuse files that were changed after neurodeploy wrote them.

    Raises
    ------
    FileFormatError
        If it is missing, or neither of them.
    UsageError
        For anything but a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise wrong_kind("load", path, "the path of a .ndn file or of a deployment folder")
    path = Path(path)
    if not path.exists():
        raise FileFormatError(
            f"{path}: no such .ndn file or deployment folder; 'neurodeploy quantize' and "
            "'neurodeploy compile' write them"
        )
    return load_deployment(path, check=check) if path.is_dir() else load_network(path, check=check)


def opened_network(net: Network | str | Path, verb: str) -> Network:
    """A network as it is, or read from its ``.ndn`` file.

    Raises
    ------
    UsageError
        For anything else; ``verb`` is the function that was called.
    """
    if isinstance(net, Network):
        return net
    if isinstance(net, str | os.PathLike):
        return load_network(net)
    raise wrong_kind(verb, net, NETWORK)


def opened_deployment(deployment: Deployment | str | Path, verb: str) -> Deployment:
    """A deployment as it is, or read from its folder.

    Raises
    ------
    UsageError
        For anything else; ``verb`` is the function that was called.
    """
    if isinstance(deployment, Deployment):
        return deployment
    if isinstance(deployment, str | os.PathLike):
        return load_deployment(deployment)
    raise _no_deployment(verb, deployment)


def _no_deployment(verb: str, got: object) -> UsageError:
    if not isinstance(got, Network):
        return wrong_kind(verb, got, DEPLOYMENT)
    whole = isinstance(got.netlist, IntegerNetlist)
    ahead = "compile(TARGET)" if whole else "quantize() and compile(TARGET)"
    return UsageError(f"{verb}: got the network {got.netlist.name}; {ahead} it first")


def opened(thing: Network | Deployment | str | Path, verb: str) -> Network | Deployment:
    """A network or deployment as it is, or read from its path.

    Raises
    ------
    UsageError
        For anything else; ``verb`` is the function that was called.
    """
    if isinstance(thing, Network | Deployment):
        return thing
    if isinstance(thing, str | os.PathLike):
        return load(Path(thing))
    raise wrong_kind(verb, thing, "a network, a deployment, or the path of either")


def wrong_kind(verb: str, got: object, expected: str) -> UsageError:
    """The error for an argument of another kind: what it is, and what to pass."""
    return UsageError(f"{verb}: got {kind_of(got)}; pass {expected}")


def kind_of(got: object) -> str:
    """Kind of a wrong argument, and the remedy where it is known."""
    name = type(got).__name__
    if isinstance(got, type):
        return f"the class {got.__name__} instead of an object of it, {got.__name__}()"
    if isinstance(got, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
        return f"the function {got.__name__} instead of what it returns, {got.__name__}()"
    if isinstance(got, Network):
        return f"the network {got.netlist.name}"
    if isinstance(got, Deployment):
        return f"a deployment for target {got.target} (its network is .network)"
    if isinstance(got, RealNetlist | IntegerNetlist):
        return f"a netlist, {name} (a network of it is Network(netlist))"
    if isinstance(got, Samples):
        return "Samples (are two arguments swapped?)"
    if isinstance(got, Board):
        return f"the board {got.name} (are two arguments swapped?)"
    if isinstance(got, Mapping) and any(hasattr(v, "detach") for v in got.values()):
        return "a state dict (load it into its module: module.load_state_dict(...))"
    if any(cls.__module__.split(".")[0] == "torch" for cls in type(got).__mro__):
        known = {"Module": "convert it first", "Tensor": "are two arguments swapped?"}
        notes = [note for cls in type(got).__mro__ if (note := known.get(cls.__name__))]
        return f"a {name} of torch" + (f" ({notes[0]})" if notes else "")
    return "None" if got is None else f"a value of type {name}"
