"""From a module whose layers are those of a spiking framework to a netlist."""

from __future__ import annotations

import os
from typing import Any

from neurodeploy.datasets.normalization import as_normalization
from neurodeploy.errors import UnknownNameError, UsageError, warn_user
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.neurons import Input
from neurodeploy.loading.aside import printing_aside
from neurodeploy.network import Network
from neurodeploy.stages.record import versions
from neurodeploy.stages.sources import TorchNetwork, load_source

DEFAULT_LEVELS = 255
INPUTS = ("spikes", "current", "rate", "poisson")


def is_module(source: object) -> bool:
    """Whether something is a module, or names a factory of one."""
    if isinstance(source, str):
        return ":" in source and not source.endswith((".nir", ".net"))
    return not isinstance(source, type | os.PathLike) and any(
        cls.__name__ == "Module" for cls in type(source).__mro__
    )


def import_module(
    source: Any,
    weights: Any,
    *,
    shape: Any,
    timesteps: int | None,
    input: str,
    value_range: tuple[int, int],
    levels: int | None,
    normalize: Any,
    name: str | None,
) -> Network:
    """Read a module; what :func:`neurodeploy.import_network` tells of its parameters holds here.

    Raises
    ------
    UsageError, FileFormatError
        For what cannot be read, or a shape that is not given.
    UnsupportedLayerError
        For layers and operations that no netlist computes exactly, by name.
    """
    if input not in INPUTS:
        raise UnknownNameError("input", input, INPUTS)
    if shape is None:
        raise UsageError(
            "shape: what enters the module in one step is not told; give it, channels first, as in "
            "--shape 2x34x34"
        )
    sizes = _sizes(shape)
    norm = None
    if normalize is not None:
        norm = _normalization(normalize, sizes[0])
    encoding = None
    if input == "spikes":
        if levels is not None:
            raise UsageError(f"levels {levels}: a raster of spikes has none; leave it out")
        model, worth = Input("spikes", *value_range), 1.0
    else:
        mean, std = norm or (None, None)
        low, high = value_range
        chosen = DEFAULT_LEVELS if levels is None else levels
        encoding = Encoding(input, chosen, float(low), float(high), mean, std)  # type: ignore[arg-type]
        model, worth = Input(encoding.kind, *encoding.integer_range), encoding.unit
    network, told = load_source(source, weights)
    assert isinstance(network, TorchNetwork)
    from neurodeploy.exchange.modules.building import Entering
    from neurodeploy.exchange.modules.reading import module_netlist

    called = name or told["name"]
    with printing_aside():
        netlist, notes, record = module_netlist(
            network.module,
            sizes,
            name=called,
            timesteps=timesteps,
            entering=Entering(model, worth),
            normalization=norm,
        )
    for note in notes:
        warn_user(f"{told['name']}: {note}")
    import torch

    provenance = {
        **versions(torch=str(torch.__version__)),
        "source": {**told, "name": called},
        "exchange": {**record, "notes": notes},
    }
    return Network(netlist, {} if encoding is None else {"input": encoding}, provenance=provenance)


def _sizes(shape: Any) -> tuple[int, ...]:
    parts = shape.lower().split("x") if isinstance(shape, str) else shape
    try:
        sizes = tuple(int(n) for n in ([parts] if isinstance(parts, int) else parts))
    except (TypeError, ValueError):
        sizes = ()
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise UsageError(f"shape {shape}: expected 1 to 3 sizes above 0, as in 784 or 2x34x34")
    return sizes


def _normalization(given: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if isinstance(given, str) and "/" in given:
        means, _, deviations = given.partition("/")
        try:
            given = tuple(tuple(float(v) for v in x.split(",")) for x in (means, deviations))
        except ValueError:
            raise UsageError(
                f"normalize {given}: expected MEANS/STDS, as in 0.5,0.4,0.3/0.2,0.2,0.2"
            ) from None
    return as_normalization(given, "normalize").by_channel(channels)
