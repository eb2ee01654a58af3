"""The public API: the pipeline, one function per stage. The command line calls nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy import __version__
from neurodeploy.boards.board import Board, load_board
from neurodeploy.datasets import Dataset, load_dataset
from neurodeploy.errors import DataError, TargetUnavailableError, UsageError
from neurodeploy.ir.artifact import Artifact, load_artifact, save_artifact
from neurodeploy.ir.encoding import Encoding, checked_encoder, encode
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.provenance import without_folders
from neurodeploy.ir.record import Progress, Stimulus
from neurodeploy.targets.base import Deployment, Violation, load_deployment

if TYPE_CHECKING:
    from torch import nn

    from neurodeploy.energy.estimate import EnergyReport
    from neurodeploy.verify.accuracy import Evaluation
    from neurodeploy.verify.verification import Verification

DEFAULT_LEVELS = 255
CALIBRATION_SAMPLES = 512
CHECKED_SAMPLES = 32


def convert(
    model: str | nn.Module,
    data: str | Dataset,
    *,
    weights: str | Path | None = None,
    method: str = "rate",
    timesteps: int = 32,
    input: str = "current",
    decode: str = "membrane",
    calibration_samples: int = CALIBRATION_SAMPLES,
    input_levels: int | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Convert a trained network to a real-valued spiking netlist.

    Parameters
    ----------
    model : str or torch.nn.Module
        ``file.py:factory`` or ``module:factory``, or the module itself.
    data : str or Dataset
        Calibration data, its training split. A normalization in it becomes part of the network.
    weights : path, optional
        A state dict saved by torch.
    method : str
        See ``neurodeploy methods``.
    timesteps : int
        T.
    input : {"current", "rate", "poisson", "latency"} or "spikes" (the same as "rate")
    decode : {"membrane", "counts"}
    calibration_samples : int
        The first so many training samples.
    input_levels : int, optional
        Levels of the encoded input; those of the data set by default, else 255.
    seed : int
    **options
        Further fields of the method.

    Raises
    ------
    NeurodeployError
        One line for everything that does not fit.
    """
    chosen = _method(method, timesteps=timesteps, decode=decode, **options)
    dataset = _calibration_data(data, calibration_samples)
    module, source = _module(model, weights)
    graph = _analog(module, dataset, name or source["name"])
    _check_classes(graph, dataset)
    encoding = _encoding(dataset, input, input_levels, seed)
    from neurodeploy.convert.method import convert_graph

    netlist, encodings = convert_graph(
        graph, chosen, dataset.x, encoding, seed=seed, progress=progress
    )
    provenance = {
        "neurodeploy": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "numpy": np.__version__,
        "torch": _torch_version(),
        "source": source,
        "method": {"name": method, **dataclasses.asdict(chosen)},
        "seed": seed,
        "calibration": {
            "data": without_folders(dataset.spec),
            "split": dataset.split,
            "indices": _ranges(dataset.indices),
        },
    }
    return Artifact(netlist, encodings, graph, None, provenance)


def _method(name: str, **options: Any) -> Any:
    from neurodeploy.convert.registry import METHODS

    method = METHODS.get(name)
    known = {f.name for f in dataclasses.fields(method)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(
            f"method {name}: no option {unknown[0]!r}; options: {', '.join(sorted(known))}"
        )
    return method(**options)


def _calibration_data(data: str | Dataset, n: int) -> Dataset:
    dataset = load_dataset(data, "train") if isinstance(data, str) else data
    if dataset.split == "test":
        raise DataError(
            f"{dataset.spec}: calibration reads training images only; write '@train' or leave the "
            "split out"
        )
    if n < 1:
        raise UsageError(f"calibration samples {n}: at least 1 is needed")
    return dataset.first(min(n, len(dataset)))


def _module(model: str | nn.Module, weights: str | Path | None) -> tuple[nn.Module, dict[str, Any]]:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "convert needs torch, which is not installed in this environment; "
            "pip install 'neurodeploy[torch]', or convert elsewhere and bring the .ndn file"
        ) from error
    if not isinstance(model, str):
        if weights is not None:
            raise UsageError("weights: load them into the module that is given instead")
        return model, {"model": type(model).__name__, "name": type(model).__name__}
    from neurodeploy.frontends.torch_loader import load_torch

    module = load_torch(model, weights)
    source: dict[str, Any] = {"model": without_folders(model), "name": model.rpartition(":")[2]}
    if weights is not None:
        digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
        source |= {"weights": Path(weights).name, "weights_sha256": digest}
    return module, source


def _analog(module: nn.Module, dataset: Dataset, name: str) -> Any:
    from neurodeploy.frontends.torch_check import check_analog
    from neurodeploy.frontends.torch_frontend import analog_from_torch

    norm = dataset.norm
    channels = dataset.sample_shape[0]
    normalization = None
    if norm is not None:
        repeat = channels if len(norm.mean) == 1 else 1
        normalization = (norm.mean * repeat, norm.std * repeat)
    graph = analog_from_torch(module, dataset.sample_shape, name, normalization)
    check_analog(graph, module, dataset.x[:CHECKED_SAMPLES])
    return graph


def _check_classes(graph: Any, dataset: Dataset) -> None:
    if dataset.y is None or len(graph.outputs) != 1:
        return
    shape = graph.node(graph.outputs[0]).shape
    top = int(dataset.y.max(initial=0))
    if len(shape) == 1 and top >= shape[0]:
        raise DataError(
            f"{dataset.spec}: labels up to {top}, the network has {shape[0]} outputs; use the data "
            "that it was trained on"
        )


def _encoding(dataset: Dataset, name: str, levels: int | None, seed: int) -> Encoding:
    encoder = checked_encoder("rate" if name == "spikes" else name)
    chosen = levels if levels is not None else dataset.levels or DEFAULT_LEVELS
    if not 1 <= chosen <= 65535:
        raise UsageError(f"input levels {chosen}: expected 1 to 65535")
    low, high = dataset.value_range
    if encoder != "current" and low < 0:
        raise UsageError(
            f"input {name!r} takes values >= 0, the data ranges from {low:g}; use --input current"
        )
    norm = dataset.norm
    mean, std = (None, None) if norm is None else (norm.mean, norm.std)
    return Encoding(encoder, chosen, low, high, mean, std, seed)


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _ranges(indices: Any) -> list[list[int]]:
    """Indices as [first, last] runs, in order."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [[int(run[0]), int(run[-1])] for run in np.split(indices, breaks) if run.size]


def quantize(
    net: Artifact,
    weight_bits: int = 8,
    *,
    layer_bits: Mapping[str, int] | None = None,
    fit: str | Board | None = None,
    **options: Any,
) -> Artifact:
    """Quantize a converted network to integers.

    Parameters
    ----------
    net : Artifact
        With a real-valued netlist.
    weight_bits : int
        2 to 8.
    layer_bits : mapping of population to int, optional
        Other widths for the projections into these populations.
    fit : board, optional
        Widest widths, up to those given, with which every layer fits the board's crossbars.
    **options
        Further fields of :class:`neurodeploy.quantize.integers.Quantization`.

    Raises
    ------
    QuantizationError
        Naming the layer and what the widths cannot represent.
    """
    from neurodeploy.quantize.integers import Quantization

    if not isinstance(net.netlist, RealNetlist):
        raise UsageError(f"{net.netlist.name}: is quantized already; start from the converted file")
    try:
        chosen = Quantization(weight_bits, dict(layer_bits or {}), **options)
    except TypeError:
        known = ", ".join(f.name for f in dataclasses.fields(Quantization))
        raise UsageError(f"quantize: unknown option among {sorted(options)}; known: {known}") from (
            None
        )
    if fit is not None:
        from neurodeploy.fitting import fit_layer_bits

        chosen = fit_layer_bits(net.netlist, chosen, _board(fit))
    integer, report = chosen(net.netlist)
    provenance = {
        **net.provenance,
        "quantization": {**dataclasses.asdict(chosen), "report": report},
    }
    return Artifact(integer, net.encodings, net.analog, net.netlist, provenance)


def _board(board: str | Board) -> Board:
    return board if isinstance(board, Board) else load_board(board)


def check(
    net: Artifact, target: str, board: str | Board | None = None, **options: Any
) -> list[Violation]:
    """All reasons why a target cannot compute a network exactly; empty if it can."""
    instance, chosen = _target(target, board)
    violations: list[Violation] = instance.check(
        net.integer, chosen, instance.complete_options(options)
    )
    return violations


def compile(
    net: Artifact, target: str, board: str | Board | None = None, **options: Any
) -> Deployment:
    """Compile a quantized network for a target.

    Raises
    ------
    CapacityError
        If the target cannot compute it exactly.
    TargetUnavailableError
        If the target's software is needed to compile and missing.
    """
    instance, chosen = _target(target, board)
    deployment: Deployment = instance.compile(net, chosen, options)
    return deployment


def _target(name: str, board: str | Board | None) -> tuple[Any, Board | None]:
    from neurodeploy.targets.registry import TARGETS

    target = TARGETS.get(name)()
    wanted = board if board is not None else target.default_board
    return target, None if wanted is None else _board(wanted)


def stimulus_for(
    net: Artifact, data: str | Dataset, samples: int | None = None
) -> tuple[Stimulus, Dataset]:
    """Encode data for a network: what every executor receives.

    Raises
    ------
    DataError
        If shape, range or normalization differ from what the network was converted for.
    """
    dataset = load_dataset(data, "test") if isinstance(data, str) else data
    if samples is not None:
        dataset = dataset.first(samples)
    if len(net.encodings) != 1:
        raise UsageError(f"{net.netlist.name}: has no input encoding; give integers to run()")
    ((name, encoding),) = net.encodings.items()
    population = net.netlist.by_name[name]
    if dataset.sample_shape != population.shape:
        raise DataError(
            f"{dataset.spec}: samples of shape {dataset.sample_shape}; the network takes "
            f"{population.shape}"
        )
    norm = None if dataset.norm is None else (dataset.norm.mean, dataset.norm.std)
    own = None if encoding.mean is None else (encoding.mean, encoding.std)
    if norm != own:
        raise DataError(
            f"{dataset.spec}: normalization {_norm_text(norm)}; the network was converted with "
            f"{_norm_text(own)}: write #norm={_norm_text(own)}"
            if own is not None
            else f"{dataset.spec}: normalization {_norm_text(norm)}; the network was converted "
            "without: leave #norm out"
        )
    first = int(dataset.indices[0]) if len(dataset) else 0
    return {name: encode(encoding, dataset.x, net.netlist.timesteps, first)}, dataset


def _norm_text(norm: Any) -> str:
    if norm is None:
        return "none"
    return "/".join(",".join(f"{v:g}" for v in part) for part in norm)


def verify(
    deployment: Deployment | str | Path,
    against: str | Sequence[str],
    data: str | Dataset,
    samples: int | None = None,
    **callbacks: Any,
) -> Verification:
    """Verify a deployment spike for spike against other executors, and its network's agreement.

    Parameters
    ----------
    deployment : Deployment or path
    against : str or sequence of str
        ``reference``, ``engine`` or targets.
    data : str or Dataset
    samples : int, optional
        The first so many; all by default.
    """
    from neurodeploy.verify.verification import verify_deployment

    if not isinstance(deployment, Deployment):
        deployment = load_deployment(deployment)
    names = against.split(",") if isinstance(against, str) else list(against)
    stimulus, dataset = stimulus_for(deployment.artifact, data, samples)
    names = [n.strip() for n in names if n.strip()]
    return verify_deployment(deployment, names, stimulus, dataset.x, **callbacks)


def evaluate(
    net: Artifact | str | Path,
    data: str | Dataset,
    samples: int | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Accuracy of a converted or quantized network on a data set, step by step.

    Parameters
    ----------
    net : Artifact or path
    data : str or Dataset
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.
    """
    from neurodeploy.verify.accuracy import evaluate_artifact

    artifact = net if isinstance(net, Artifact) else load_artifact(net)
    stimulus, dataset = stimulus_for(artifact, data, samples)
    return evaluate_artifact(artifact, stimulus, dataset.x, dataset.y, progress=progress)


def estimate_energy(
    network: Deployment | Artifact | str | Path,
    board: str | Board | None,
    data: str | Dataset,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    progress: Progress | None = None,
) -> EnergyReport:
    """Energy, time, cores and chips per inference, from the exact spikes of a run.

    Boards of neurocores get the netlist partitioned; boards of crossbar cores get it compiled, and
    the compiled cores are counted.

    Parameters
    ----------
    network : Deployment, Artifact or path of either
    board : str, Board or None
        None: the board that the deployment was compiled for.
    data : str or Dataset
    samples : int, optional
        The first so many; all by default.
    cross_validate : bool
        Count the real-valued simulation as well.

    Raises
    ------
    CapacityError
        If the board cannot hold the network.
    UsageError
        If no board is named and the deployment has none.
    """
    from neurodeploy.energy.estimate import estimate

    thing = load(network) if isinstance(network, str | Path) else network
    artifact = thing.artifact if isinstance(thing, Deployment) else thing
    chosen = _energy_board(thing, board)
    stimulus, _ = stimulus_for(artifact, data, samples)
    source = None
    if artifact.analog is not None:
        from neurodeploy.energy.operations import source_energy
        from neurodeploy.ir.analog import macs

        source = source_energy(macs(artifact.analog))
    comparison = _cross_validation(artifact, stimulus) if cross_validate else None
    if chosen.kind == "crossbar":
        deployment = _crossbar_deployment(thing, chosen)
        deployment.run(stimulus, record=(), progress=progress)
        return estimate(
            deployment.traffic(),
            chosen,
            network=artifact.netlist.name,
            source_network=source,
            cross_validation=comparison,
        )
    from neurodeploy.energy.measure import measure_traffic
    from neurodeploy.mapping.partition import partition

    netlist = artifact.integer
    mapping = partition(netlist, chosen)
    traffic, _activity = measure_traffic(
        mapping, netlist, stimulus, _recorder(artifact), progress=progress
    )
    return estimate(
        traffic,
        chosen,
        network=netlist.name,
        mapping=mapping,
        source_network=source,
        cross_validation=comparison,
    )


def _energy_board(thing: Deployment | Artifact, board: str | Board | None) -> Board:
    if board is not None:
        return _board(board)
    if isinstance(thing, Deployment) and thing.board is not None:
        return thing.board
    raise UsageError("energy: name a board (--board); 'neurodeploy boards' lists them")


def _crossbar_deployment(thing: Deployment | Artifact, board: Board) -> Any:
    from neurodeploy.targets.registry import TARGETS

    if isinstance(thing, Deployment):
        if thing.target == "truenorth" and thing.board == board:
            return thing
        thing = thing.artifact
    return TARGETS.get("truenorth")().compile(thing, board)


def _recorder(artifact: Artifact, real: bool = False) -> Any:
    """Runs the netlist with everything that counting events needs: the engine where it can."""
    from importlib.util import find_spec

    from neurodeploy.energy.activity import membranes_needed

    netlist = artifact.real if real else artifact.integer
    assert netlist is not None
    watched = membranes_needed(netlist)
    if find_spec("torch") is not None:
        from neurodeploy.simulate import make_engine

        engine = make_engine(netlist)
        return lambda stimulus: engine.run(stimulus, membranes=watched)
    from neurodeploy.ir.reference import run_reference

    return lambda stimulus: run_reference(netlist, stimulus, membranes=watched)


def _cross_validation(artifact: Artifact, stimulus: Stimulus) -> Any:
    from neurodeploy.energy.cross_validation import cross_validate
    from neurodeploy.energy.measure import measure_activity

    if artifact.real is None:
        raise UsageError(
            f"{artifact.netlist.name}: no real-valued netlist in the file to cross-validate with; "
            "quantize it from a converted network"
        )
    whole = measure_activity(artifact.integer, stimulus, _recorder(artifact))
    real = measure_activity(artifact.real, stimulus, _recorder(artifact, real=True))
    return cross_validate(artifact.integer, whole, artifact.real, real)


def save(thing: Artifact | Deployment, path: str | Path) -> None:
    """Write a ``.ndn`` file or a deployment folder, whole or not at all."""
    if isinstance(thing, Deployment):
        thing.save(path)
    else:
        save_artifact(thing, path)


def load(path: str | Path) -> Artifact | Deployment:
    """Read a ``.ndn`` file or a deployment folder."""
    return load_deployment(path) if Path(path).is_dir() else load_artifact(path)
