"""From a spiking network made elsewhere to a netlist."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.errors import UnknownNameError, UsageError, warn_user
from neurodeploy.exchange.reading import read_network
from neurodeploy.ir.arrays import whole
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.neurons import Input
from neurodeploy.network import Network
from neurodeploy.stages.import_module import DEFAULT_LEVELS, INPUTS, import_module, is_module
from neurodeploy.stages.load import wrong_kind
from neurodeploy.stages.record import versions

if TYPE_CHECKING:
    from torch import nn


def import_network(
    source: str | Path | nn.Module,
    weights: str | Path | None = None,
    *,
    shape: str | tuple[int, ...] | None = None,
    dynamics: str | None = None,
    dt: float | None = None,
    timesteps: int | None = None,
    input: str = "spikes",
    input_low: int = 0,
    input_high: int = 1,
    compare: str | None = None,
    reset: str | None = None,
    integration: str | None = None,
    floor: float | None = None,
    multi_spike: int | None = None,
    input_at: str | None = None,
    saturation: bool = False,
    levels: int | None = None,
    normalize: str | tuple[Any, Any] | None = None,
    name: str | None = None,
) -> Network:
    """Read a spiking network that was trained elsewhere.

    A NIR graph (``.nir``) becomes a real-valued netlist, for ``quantize``. It does not hold in
    which steps its neurons are computed: ``dynamics`` tells. A module in which layers of snnTorch,
    SpikingJelly, sinabs or Norse fire becomes one too; their attributes tell its dynamics. A
    ``.net`` file is fixed point already, and becomes an integer netlist. No file needs its
    framework, and nothing in it is executed; a factory is the user's own code. What was read in one
    of several ways is told by warnings, and in the ``exchange`` of the provenance.

    Parameters
    ----------
    source : path or nn.Module
        ``FILE.nir``, ``FILE.net``, a module, or ``file.py:factory`` that gives one.
    weights : path, optional
        Of a factory: its trained weights, a state dict.
    shape : str or tuple of int, optional
        Of a module: what enters in one step, channels first, such as 2x34x34.
    dynamics : str, optional
        Of a .nir file: whose neurons they are, such as snntorch, sinabs, norse or spikingjelly.
        docs/exchange.md tells of each; a file without it is answered with those that read it. A
        file that neurodeploy wrote needs none.
    dt : float, optional
        Length of a step in seconds. [default: the framework's]
    timesteps : int, optional
        Steps of one sample, T. [default: the file's or the module's own, else 100 and 25]
    input : {"spikes", "current", "rate", "poisson"}
        Whether a sample is a raster of spikes or one value that holds; or how values of 0 to 1, as
        those of images, become spikes: evenly (rate) or at random (poisson).
    input_low : int
        Least value that enters.
    input_high : int
        Largest value that enters, for example of events that were counted.
    compare : {">", ">="}, optional
        Instead of the framework's: whether a threshold has to be exceeded or met.
    reset : {"none", "zero", "file", "subtract", "subtract-next"}, optional
        Instead of the framework's: what a spike leaves ('file': the file's v_reset).
    integration : {"euler", "exponential"}, optional
        Instead of the framework's: whether a step takes dt / tau, or 1 - exp(-dt / tau).
    floor : float, optional
        Instead of the framework's: lowest membrane, in thresholds (-1: minus the threshold).
    multi_spike : int, optional
        Instead of the framework's: most spikes of a neuron in one step.
    input_at : {"t", "t-1"}, optional
        Instead of the framework's: whether what a step sends arrives in it or one later.
    saturation : bool
        Of a .net file: clip membranes to 24 bits, where they are not proved to fit.
    levels : int, optional
        Where values enter a module, or become spikes: steps from 0 to the largest of them.
        [default: 255]
    normalize : str or (mean, std), optional
        Of a module: what it expects of values, such as mnist or 0.5/0.25.
    name : str, optional
        Name of the network. [default: the file's]

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of another schema, or contradicts itself.
    UnsupportedLayerError
        For what is in the file and cannot be a netlist, by name.
    UsageError
        If the dynamics is not told and more than one fits.
    CapacityError
        If membranes of a .net file are not proved to fit, and ``saturation`` is not named.
    """
    if timesteps is not None and whole(timesteps, "timesteps") < 1:
        raise UsageError(f"timesteps {timesteps}: expected at least 1")
    parts = {
        "dt": dt,
        "compare": compare,
        "reset": reset,
        "integration": integration,
        "floor": floor,
        "multi_spike": multi_spike,
        "input_at": input_at,
    }
    if is_module(source):
        expect_absent(
            "a module's layers tell their dynamics",
            {"dynamics": dynamics, **parts, "saturation": saturation or None},
        )
        return import_module(
            source,
            weights,
            shape=shape,
            timesteps=timesteps,
            input=input,
            value_range=(input_low, input_high),
            levels=levels,
            normalize=normalize,
            name=name,
        )
    if not isinstance(source, str | os.PathLike):
        expected = "the path of a .nir or .net file, file.py:factory, or a torch.nn.Module"
        raise wrong_kind("import_network", source, expected)
    expect_absent(
        "is for modules",
        {"weights": weights, "shape": shape, "normalize": normalize},
    )
    path = Path(source)
    if input not in INPUTS:
        raise UnknownNameError("input", input, INPUTS)
    encoding = None
    if input in ("rate", "poisson"):
        if (input_low, input_high) != (0, 1):
            raise UsageError(
                f"{path}: values from {input_low} to {input_high} with input {input}; values that "
                "become spikes are from 0 to 1: leave input_low and input_high out"
            )
        chosen = DEFAULT_LEVELS if levels is None else levels
        encoding = Encoding(input, chosen, 0.0, 1.0)  # type: ignore[arg-type]
    elif levels is not None:
        raise UsageError(f"levels {levels}: for values that become spikes; leave it out")
    kind: Any = input if encoding is None else "spikes"
    model = Input(kind, input_low, input_high)
    found, encodings, notes, told = read_network(
        path,
        dynamics,
        parts,
        timesteps=timesteps,
        saturation=saturation,
        input_model=model,
        name=name,
    )
    if encoding is not None:
        if encodings or any(p.is_current_input for p in found.inputs):
            raise UsageError(
                f"{path}: input {input}: the file says what its samples are; leave it out"
            )
        encodings = {p.name: encoding for p in found.inputs}
    for note in notes:
        warn_user(f"{path.name}: {note}")
    provenance = {
        **versions(),
        "source": {
            "name": name or path.stem,
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
        "exchange": {**told, "notes": notes},
    }
    return Network(found, encodings, provenance=provenance)


def expect_absent(why: str, given: dict[str, Any]) -> None:
    """Refuse options that are not heard, by the first that is given."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--{name.replace('_', '-')} {value}: {why}; leave it out")
