"""Files of weights: the one state dict in them that is a network's, under its names."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

from neurodeploy.errors import FileFormatError, warn_user
from neurodeploy.loading.files import expect_plain_file
from neurodeploy.source.torch.exported_program import one_line

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
_DEPTH = 3
"""Mappings in one another that are looked into."""

State = dict[str, torch.Tensor]


def read_state(path: Path, needed: Sequence[str], shared: Mapping[str, str]) -> State:
    """Read the weights of a network by its own names, as far as the file has them.

    Parameters
    ----------
    path : path
        A file of torch.save; nothing in it is executed.
    needed : sequence of str
        Names of the network's weights.
    shared : mapping
        Names among them -> that of the same tensor: files may leave such copies out.

    Raises
    ------
    FileFormatError
        If the file is none of weights, or holds those of several networks.
    """
    state = _chosen(_read(path), needed, path)
    if not any("_orig_mod." in key for key in needed):
        state = {key.replace("_orig_mod.", ""): value for key, value in state.items()}
    single = [key for key in needed if key not in shared]
    state = _under_own_names(state, single, path)
    copies = {key: state[own] for key, own in shared.items() if own in state and key not in state}
    return {**state, **copies}


def listed(names: Iterable[str]) -> str:
    """Up to three names, and how many more there are."""
    names = list(names)
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + rest


def _under_own_names(state: State, needed: list[str], path: Path) -> State:
    """The weights of the network where all their names, or its own, begin alike."""
    for own in _beginnings(needed):
        names = [key.removeprefix(own) for key in needed]
        ends = [key.removesuffix(names[0]) for key in state if key.endswith("." + names[0])]
        ends = [""] * (names[0] in state) + ends
        fitting = [prefix for prefix in ends if all(prefix + name in state for name in names)]
        if len(fitting) > 1:
            raise FileFormatError(
                f"weights {path} hold the network {len(fitting)} times, under {listed(fitting)}; "
                "save the one that is meant by itself"
            )
        if fitting:
            (prefix,) = fitting
            # What does not belong to it is told, unless it stands beside a prefix.
            own_part = {k: v for k, v in state.items() if k.startswith(prefix)}
            return {own + k.removeprefix(prefix): v for k, v in own_part.items()}
    return state


def _beginnings(needed: list[str]) -> Iterator[str]:
    """What all names of a network begin with, by whole parts: nothing, then more."""
    parts = needed[0].split(".") if needed else []
    for n in range(len(parts)):
        beginning = "".join(f"{part}." for part in parts[:n])
        if all(key.startswith(beginning) for key in needed):
            yield beginning


def _chosen(content: Any, needed: Sequence[str], path: Path) -> State:
    """The state dict of a file, told where there are others like it."""
    states = dict(_states(content))
    if not states:
        _refuse(path, "holds no state dict (a dict of tensors by name)")
    known = [name for name in states if name.rpartition(".")[2] in _WRAPPERS]
    known.sort(key=lambda n: (n.count("."), _WRAPPERS.index(n.rpartition(".")[2])))
    end = needed[0] if needed else ""
    alike = [name for name, state in states.items() if any(key.endswith(end) for key in state)]
    if "" in states or len(states) == 1:
        (name,) = states
    elif known:
        name = known[0]
    elif len(alike) == 1:
        (name,) = alike
    else:
        raise FileFormatError(
            f"weights {path} hold {len(states)} state dicts, under {listed(states)}; save the one "
            "that is meant by itself"
        )
    others = [other for other in states if other != name and states[other].keys() & states[name]]
    if others:
        warn_user(
            f"weights {path}: those under {name!r} are taken; such weights stand under "
            f"{listed(others)} too, save them by themselves if they are meant"
        )
    return states[name]


def _states(content: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """All state dicts in mappings, with the names that lead to them."""
    if not isinstance(content, Mapping) or not content or depth > _DEPTH:
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    if len(named) == len(content) and all(isinstance(v, torch.Tensor) for v in named.values()):
        yield name, named
        return
    for key, value in named.items():
        yield from _states(value, f"{name}.{key}" if name else key, depth + 1)


def _refuse(path: Path, reason: str) -> NoReturn:
    remedy = "write it with torch.save(module.state_dict(), path)"
    raise FileFormatError(f"weights file {path} {reason}; {remedy}")


def _read(path: Path) -> Any:
    expect_plain_file(path, "a file of weights")
    kind = _archive(path)
    if kind is not None:
        _refuse(path, f"is {kind}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            _refuse(path, f"holds pickled code ({code[1]}), which is never executed")
        _refuse(path, "is not a torch file")
    except Exception as error:
        _refuse(path, f"is truncated or not a torch file ({one_line(error, 120)})")


def _archive(path: Path) -> str | None:
    """Name of the kind of an archive that holds no state dict; None for others."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # of what damaged bytes may raise there, zipfile names the least
        return None
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program, whose code is not read"
    if any("/models/" in name and name.endswith(".json") for name in names):
        return "an exported program: convert it as the model, FILE.pt2"
    return "a NumPy archive (.npz)" if any(name.endswith(".npy") for name in names) else None
