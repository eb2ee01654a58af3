"""Resolution of a MODEL argument: a torch factory, an exported program, an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from neurodeploy.datasets import Samples
from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.provenance import without_folders
from neurodeploy.loading.aside import printing_aside
from neurodeploy.loading.files import file_digest
from neurodeploy.network import Network
from neurodeploy.source.analog import AnalogGraph, macs
from neurodeploy.stages.load import wrong_kind

if TYPE_CHECKING:
    from torch import nn

    from neurodeploy.source.onnx.loader import OnnxNetwork

CHECKED_SAMPLES, LEAST_CHECKED = 32, 8
CHECKED_MACS = 4e9
"""Time limit of comparing a graph with its network: a second or two."""


class SourceNetwork(Protocol):
    """A trained network in one of the forms that are read."""

    def analog(self, dataset: Samples, name: str) -> AnalogGraph:
        """Return its analog graph, compared with the network itself on the first samples."""


def check_model(model: object, verb: str = "convert") -> None:
    """Refuse what is no trained network before anything takes long.

    Raises
    ------
    UsageError
        Saying what it is and what to pass; ``verb`` is the function that was called.
    """
    if isinstance(model, str | os.PathLike):
        file = os.fspath(model)
        if file.endswith(".ndn"):
            raise UsageError(f"{verb}: {file} is converted already; quantize it")
        if file.endswith((".nir", ".net")):
            made = f"{Path(file).stem}.ndn"
            raise UsageError(
                f"{verb}: {file} is a spiking network; 'neurodeploy import {file} -o {made}' reads "
                f"it, and quantize and deploy take {made}"
            )
        return
    if isinstance(model, type) or not any(c.__name__ == "Module" for c in type(model).__mro__):
        if isinstance(model, Network):
            raise UsageError(f"{verb}: {model.netlist.name} is converted already; quantize it")
        expected = (
            "a torch.nn.Module, 'file.py:factory', FILE.pt2 or FILE.onnx first, then the data"
        )
        raise wrong_kind(verb, model, expected)


def load_source(
    model: str | Path | nn.Module, weights: str | Path | None
) -> tuple[SourceNetwork, dict[str, Any]]:
    """Read what ``convert`` is given, and tell where it came from.

    Raises
    ------
    UsageError, FileFormatError
        For what cannot be read; nothing in a ``.pt2`` or ``.onnx`` file is executed.
    TargetUnavailableError
        If torch, or onnx for an ONNX file, is not installed.
    """
    _expect_torch()
    if isinstance(model, os.PathLike):
        model = str(model)
    if not isinstance(model, str):
        if weights is not None:
            raise UsageError("weights: load them into the module that is given instead")
        from neurodeploy.source.torch.loader import expect_values

        expect_values(model)
        name = type(model).__name__
        return TorchNetwork(model), {"model": name, "name": name}
    if model.endswith((".pt2", ".onnx")):
        return _from_file(Path(model), weights)
    from neurodeploy.numerics.torch_state import plain_torch
    from neurodeploy.source.torch.loader import load_torch

    with plain_torch():
        module = load_torch(model, weights)
    source: dict[str, Any] = {
        "model": without_folders(model),
        "name": model.rpartition(":")[2],
        "weights": None,
    }
    if weights is not None:
        source |= {"weights": Path(weights).name, "weights_sha256": file_digest(Path(weights))}
    return TorchNetwork(module), source


def _from_file(path: Path, weights: str | Path | None) -> tuple[SourceNetwork, dict[str, Any]]:
    if weights is not None:
        raise UsageError(
            f"--weights {weights}: {path.name} holds its weights; leave the option out"
        )
    network: SourceNetwork
    if path.suffix == ".pt2":
        from neurodeploy.numerics.torch_state import plain_torch
        from neurodeploy.source.torch.pt2 import load_pt2

        with plain_torch():
            network = TorchNetwork(load_pt2(path))
    else:
        from neurodeploy.source.onnx.loader import load_onnx

        network = OnnxSource(load_onnx(path))
    source = {"model": path.name, "name": path.stem, "model_sha256": file_digest(path)}
    return network, source


def _expect_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "convert needs torch, which is not installed in this environment; "
            "pip install 'neurodeploy[torch]', or convert elsewhere and bring the .ndn file"
        ) from error


def _entering(
    dataset: Samples, names: Sequence[str]
) -> tuple[dict[str, AnyArray], dict[str, tuple[int, ...]], Any]:
    """Samples and their shapes by the inputs of a network, and the normalization by channel."""
    samples: dict[str, AnyArray] = {"input": dataset.x}
    if dataset.named or len(names) > 1:
        samples = dict(dataset.inputs_for(names))
    norm = None if dataset.norm is None else dataset.norm.by_channel(dataset.sample_shape[0])
    return samples, {name: values.shape[1:] for name, values in samples.items()}, norm


def _checked(graph: AnalogGraph, samples: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """The first samples, fewer of a network that takes long."""
    affordable = int(CHECKED_MACS / max(sum(macs(graph).values()), 1))
    n = max(LEAST_CHECKED, min(CHECKED_SAMPLES, affordable))
    return {name: values[:n] for name, values in samples.items()}


@dataclass(frozen=True, slots=True)
class TorchNetwork:
    """A module."""

    module: nn.Module

    def analog(self, dataset: Samples, name: str) -> AnalogGraph:
        from neurodeploy.numerics.torch_state import plain_torch
        from neurodeploy.source.torch.check import check_analog
        from neurodeploy.source.torch.frontend import analog_from_torch, input_names

        samples, shapes, norm = _entering(dataset, input_names(self.module))
        with plain_torch(), printing_aside():
            graph = analog_from_torch(self.module, shapes, name, norm)
            check_analog(graph, self.module, _checked(graph, samples))
        return graph


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """A network of an ONNX file."""

    network: OnnxNetwork

    def analog(self, dataset: Samples, name: str) -> AnalogGraph:
        from neurodeploy.source.onnx.check import check_onnx
        from neurodeploy.source.onnx.frontend import analog_from_onnx

        samples, shapes, norm = _entering(dataset, self.network.inputs)
        graph = analog_from_onnx(self.network, shapes, name, norm)
        check_onnx(graph, self.network, _checked(graph, samples))
        return graph
