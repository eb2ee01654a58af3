"""Torch modules from ``file.py:factory`` or ``package.module:factory``, with trained weights."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from neurodeploy.errors import FileFormatError, UnknownNameError, UsageError
from neurodeploy.loading.aside import printing_aside
from neurodeploy.loading.files import expect_plain_file
from neurodeploy.source.torch.checkpoint import listed, read_state
from neurodeploy.source.torch.exported_program import one_line

_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".npz", ".safetensors")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LIBRARIES = (
    *(os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib")),
    os.path.dirname(torch.__file__) + os.sep,
    os.path.dirname(__file__) + os.sep,
)
_FOLDERS: set[Path] = set()
"""Folders whose files were imported so far."""
_OTHER_MODEL = "name the factory of the network that they were saved from"


def load_torch(model_spec: str, weights: str | Path | None = None) -> nn.Module:
    """Build a module and load its weights; the module is put into eval mode.

    Parameters
    ----------
    model_spec : str
        ``path/to/file.py:name`` or ``package.module:name``. The name is a function or class that
        gives an nn.Module when called without arguments, or a module.
    weights : path, optional
        A file written by ``torch.save(module.state_dict(), path)``; a dict that holds the state
        dict under ``state_dict``, ``model``, ``net`` or the like is accepted, and so are a prefix
        of all names (``module.``, Lightning's ``model.``), of the network's own as well, and the
        ``_orig_mod.`` of torch.compile. Nothing in the file is executed.

    Raises
    ------
    UsageError
        If the specification does not lead to an nn.Module.
    FileFormatError
        If a file is missing or not what it should be, or the weights do not fit the module or
        hold NaN or infinite values.
    """
    module = _build(model_spec)
    _expect_values(module.state_dict(), f"model {model_spec}")
    if weights is not None:
        _load_weights(module, Path(weights))
    _expect_finite(module.state_dict(), model_spec if weights is None else str(weights))
    return module.eval()


def made_by(spec: str, what: str = "model") -> Any:
    """What ``file.py:name`` or ``package.module:name`` gives: the value, or what a call gives.

    Raises
    ------
    UsageError, FileFormatError
        If the file cannot be imported, or the call fails.
    """
    place, _, name = spec.rpartition(":")
    is_file = place.endswith(".py")
    with _importable(Path(place).resolve().parent if is_file else _folder_of(place)):
        source = _run_file(Path(place)) if is_file else _import(place)
        factory = getattr(source, name, None)
        if factory is None:
            public = [key for key, value in vars(source).items() if _offers(source, key, value)]
            raise UnknownNameError(f"factory in {place}", name, public)
        if isinstance(factory, nn.Module) or (what == "data" and not callable(factory)):
            return factory
        return _call(factory, spec, what)


def _build(spec: str) -> nn.Module:
    place, colon, name = spec.rpartition(":")
    if spec.endswith(_WEIGHTS) and not (colon and place.endswith(".py")):
        raise UsageError(
            f"model {spec!r}: a {Path(spec).suffix} file holds weights, not the network; give the "
            f"network as file.py:factory, and --weights {spec}"
        )
    if not colon or not place or not name:
        raise UsageError(f"model {spec!r}: expected file.py:factory or package.module:factory")
    module = made_by(spec)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"model {spec!r} gives a {type(module).__name__}, expected a torch.nn.Module"
        )
    return module


def _offers(source: ModuleType, key: str, value: Any) -> bool:
    own = getattr(value, "__module__", None) == source.__name__ and callable(value)
    return not key.startswith("_") and (own or isinstance(value, nn.Module))


def _folder_of(module: str) -> Path | None:
    """Return the working directory for a module that is installed nowhere.

    An installed one must not import its neighbours from a folder that may be a stranger's.
    """
    top = module.partition(".")[0]
    finders = [f for f in sys.meta_path if top and hasattr(f, "find_spec")]
    return None if any(f.find_spec(top, None) is not None for f in finders) else Path.cwd()


@contextlib.contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Let the user's file import its neighbours, as when it is run itself."""
    if folder is None:
        yield
        return
    _forget_others(folder)
    _FOLDERS.add(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _forget_others(folder: Path) -> None:
    """Let files of other folders not stand for neighbours of the same name."""
    for top in {name.partition(".")[0] for name in sys.modules}:
        own = (folder / f"{top}.py").exists() or (folder / top).is_dir()
        if own and _folder_of_loaded(top) in _FOLDERS - {folder}:
            for name in [n for n in sys.modules if n.partition(".")[0] == top]:
                del sys.modules[name]


def _folder_of_loaded(top: str) -> Path | None:
    """The folder that a module was imported from."""
    module = sys.modules.get(top)
    places = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
    return Path(places[0]).parent if places[0] else None


@contextlib.contextmanager
def _alone(place: str) -> Iterator[None]:
    """Run code of the user's: it finds no arguments, which are ours, and prints aside."""
    arguments, sys.argv = sys.argv, [place]
    try:
        with printing_aside():
            yield
    finally:
        sys.argv = arguments


def _run_file(path: Path) -> ModuleType:
    expect_plain_file(path, "the file of a model, or of data")
    name = f"neurodeploy_model_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise FileFormatError(f"model file {path} is not a Python file")
    source = importlib.util.module_from_spec(found)
    sys.modules[name] = source
    try:
        with _alone(str(path)):
            found.loader.exec_module(source)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"model file {path} cannot be imported: {_described(error)}") from error
    return source


def _import(name: str) -> ModuleType:
    try:
        with _alone(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"model module {name!r} cannot be found: {error}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"model module {name!r} cannot be imported: {_described(error)}"
        ) from error


def _call(factory: Any, spec: str, what: str) -> Any:
    if not callable(factory):
        raise UsageError(
            f"model {spec!r} is a {type(factory).__name__}, expected a torch.nn.Module or a"
            " function that returns one"
        )
    try:
        with _alone(spec.rpartition(":")[0]):
            return factory()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{what} {spec!r} fails when called without arguments: {_described(error)}; mend it, or"
            " name a factory that needs none"
        ) from error


def _described(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        return f"{one_line(error)}"
    # Where the user's own lines end: a call that does not fit fails in ours, others in libraries.
    own = [f for f in frames if not f.filename.startswith(("<", *_LIBRARIES))]
    place = f" (line {own[-1].lineno} of {Path(own[-1].filename).name})" if own else ""
    return one_line(error) + place


def _load_weights(module: nn.Module, path: Path) -> None:
    own = module.state_dict()
    # Counts the batches seen in training; files from before torch 0.4.1 do not have it.
    needed = [key for key in own if not key.endswith("num_batches_tracked")]
    shared = _shared(own)
    state = read_state(path, needed, shared)
    missing = [key for key in needed if key not in state]
    unexpected = [key for key in state if key not in own]
    if missing or unexpected:
        parts = [f"missing {listed(missing)}"] if missing else []
        parts += [f"unexpected {listed(unexpected)}"] if unexpected else []
        raise FileFormatError(
            f"weights {path} do not fit the model: {', '.join(parts)}; {_OTHER_MODEL}"
        )
    for key, value in state.items():
        if not isinstance(own[key], torch.Tensor):
            raise FileFormatError(
                f"weights {path}: {key!r} of the model is no tensor but a "
                f"{type(own[key]).__name__}; give the module with its weights as FILE.py:FACTORY"
            )
        if value.shape != own[key].shape:
            raise FileFormatError(
                f"weights {path} do not fit the model: {key!r} has shape {tuple(value.shape)},"
                f" expected {tuple(own[key].shape)}; {_OTHER_MODEL}"
            )
    _expect_values(state, f"weights {path}")
    _expect_exact(state, own, path)
    _expect_shared(state, shared, path)
    _expect_finite(state, str(path))
    try:
        module.load_state_dict(state, strict=False)
    except Exception as error:
        raise FileFormatError(f"weights {path} cannot be loaded: {one_line(error)}") from error


def _shared(own: Mapping[str, Any]) -> dict[str, str]:
    """Names of weights that are the same as an earlier one, by that one."""
    first: dict[tuple[Any, ...], str] = {}
    found = {}
    for key, value in own.items():
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.numel():
            place = (value.device, value.data_ptr(), value.shape, value.stride())
            if not (value.is_meta or is_lazy(value)) and first.setdefault(place, key) != key:
                found[key] = first[place]
    return found


def _expect_shared(
    state: Mapping[str, torch.Tensor], shared: Mapping[str, str], path: Path
) -> None:
    for key, other in shared.items():
        if key in state and other in state and not torch.equal(state[key], state[other]):
            raise FileFormatError(
                f"weights {path} do not fit the model: {key!r} and {other!r} differ, the model "
                f"shares one tensor for both; {_OTHER_MODEL}"
            )


def expect_values(module: nn.Module) -> None:
    """Refuse a module some of whose weights have no values, or in another form.

    Raises
    ------
    FileFormatError
    """
    _expect_values(module.state_dict(), type(module).__name__)


def _expect_values(state: Mapping[str, Any], where: str) -> None:
    """Refuse tensors whose values cannot be looked at: without any, or in another form."""
    for key, value in state.items():
        # Modules of torch.ao keep scales and types among their tensors.
        fault = _without_values(value) if isinstance(value, torch.Tensor) else None
        if fault is not None:
            raise FileFormatError(f"{where}: {key!r} {fault}")


def _without_values(value: torch.Tensor) -> str | None:
    if is_lazy(value):
        return "has no shape before the first call (a lazy layer); call the module in the factory"
    if value.is_meta:
        return "has no values (device 'meta'); make it on the CPU"
    if value.layout is not torch.strided or value.is_nested:
        layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
        return f"is of layout {layout}, expected a dense tensor; take tensor.to_dense()"
    if value.is_floating_point() and value.dtype not in _FLOATS:
        return f"is {_dtype(value)}, expected float16, bfloat16, 32 or 64; take tensor.float()"
    return None


def _expect_exact(
    state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], path: Path
) -> None:
    """Refuse what would become another number, or a number without its scale."""
    for key, value in state.items():
        kind, remedy = own[key].dtype, ""
        if value.is_quantized != own[key].is_quantized:
            remedy = "save tensor.dequantize(), for a model of floats"
        elif value.is_complex() and not kind.is_complex:
            remedy = "its imaginary part would be lost; save tensor.real if that is meant"
        elif kind.is_floating_point and not value.is_floating_point():
            remedy = "save tensor.float(), times the scale of integers where they have one"
        elif not (kind.is_floating_point or kind.is_complex or value.is_quantized):
            restored = value.to(kind).to(value.dtype)
            remedy = "" if torch.equal(restored, value) else "save the integers"
        if remedy:
            expected = str(kind).removeprefix("torch.")
            raise FileFormatError(
                f"weights {path}: {key!r} is {_dtype(value)}, the model takes {expected}; {remedy}"
            )


def _dtype(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _expect_finite(state: Mapping[str, Any], where: str) -> None:
    for key, value in state.items():
        if not isinstance(value, torch.Tensor) or value.dtype not in _FLOATS:
            continue
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise FileFormatError(
                f"weights {where}: {key!r} holds {bad} NaN or infinite values of {value.numel()};"
                " take another checkpoint, or train again"
            )
