"""The test suite of the onnx package as cases for the front end: nothing is fetched.

Its models converted from PyTorch come with inputs and outputs. Its cases of single operators are
taken with their first input as the network's and the others as constants, and, where these are
activations of as many samples, with all of them as inputs; the first axis is the batch.
"""

from __future__ import annotations

import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from neurodeploy.errors import NeurodeployError
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.onnx.check import check_onnx
from neurodeploy.source.onnx.frontend import analog_from_onnx
from neurodeploy.source.onnx.loader import load_onnx

RIGHT, REFUSED, WRONG, CRASHED = "right", "refused", "wrong", "traceback"
MODELS = ("pytorch-converted", "pytorch-operator")
EXPANDED = "functions written out"
FLT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class OnnxCase:
    """A network with inputs and the outputs that it must give.

    Parameters
    ----------
    name, operator : str
        ``operator`` is that of a network of one node, else the set that it is from.
    model : onnx.ModelProto
    inputs, outputs : dict
        Name -> array, of inputs that are not initializers.
    """

    name: str
    operator: str
    model: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a case: one of :data:`RIGHT`, ... and the reason."""

    case: OnnxCase
    verdict: str
    reason: str = ""


def model_cases() -> Iterator[OnnxCase]:
    """The models of the package that were converted from PyTorch."""
    from onnx.backend.test.loader import load_model_tests

    for kind in MODELS:
        for found in sorted(load_model_tests(kind=kind), key=lambda c: c.name):
            folder = Path(found.model_dir)
            model = onnx.load(folder / "model.onnx")
            held = {tensor.name for tensor in model.graph.initializer}
            given = [value.name for value in model.graph.input if value.name not in held]
            data = folder / "test_data_set_0"
            yield OnnxCase(
                found.name,
                kind,
                model,
                {name: _array(data / f"input_{i}.pb") for i, name in enumerate(given)},
                {
                    value.name: _array(data / f"output_{i}.pb")
                    for i, value in enumerate(model.graph.output)
                },
            )


def node_cases() -> Iterator[OnnxCase]:
    """The cases of single operators."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the package computes what it expects
        found = collect_testcases(None)
    for case in found:
        model = case.model
        given, expected = case.data_sets[0]
        names = (value.name for value in model.graph.input)
        nodes = [node.op_type for node in model.graph.node]
        yield OnnxCase(
            case.name,
            nodes[0] if len(nodes) == 1 else EXPANDED,
            model,
            dict(zip(names, given, strict=False)),
            dict(zip((v.name for v in model.graph.output), expected, strict=False)),
        )


def fate(case: OnnxCase) -> Fate:
    """Convert a case, with its inputs as constants or as activations, and compare."""
    found = [_fate(case, varying) for varying in _variants(case)]
    for verdict in (CRASHED, WRONG, RIGHT):
        for one in found:
            if one.verdict == verdict:
                return one
    return found[0]


def table(fates: Iterable[Fate]) -> str:
    """Counts by operator: ``right/all``, and the operators of which none is right."""
    counts: dict[str, Counter[str]] = {}
    for one in fates:
        counts.setdefault(one.case.operator, Counter())[one.verdict] += 1
    ordered = sorted(counts.items())
    some = [f"{name} {n[RIGHT]}/{n.total()}" for name, n in ordered if n[RIGHT]]
    none = [f"{name} {n.total()}" for name, n in ordered if not n[RIGHT]]
    return f"Right: {', '.join(some)}\n\nAll refused: {', '.join(none)}"


def _array(path: Path) -> Any:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def _variants(case: OnnxCase) -> list[list[str]]:
    if case.operator in MODELS:
        return [list(case.inputs)]
    names = list(case.inputs)
    first = names[:1]
    if not first or not isinstance(case.inputs[first[0]], np.ndarray):
        return [first]
    n = case.inputs[first[0]].shape[:1]
    alike = [
        name
        for name, value in case.inputs.items()
        if isinstance(value, np.ndarray) and value.dtype == np.float32 and value.shape[:1] == n
    ]
    return [first, alike] if len(alike) > 1 else [first]


def _with_constants(case: OnnxCase, varying: list[str]) -> Any:
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    constants = {k: v for k, v in case.inputs.items() if k not in varying}
    kept = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for name, value in constants.items():
        tensor = onnx.TensorProto()
        tensor.CopyFrom(
            value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value)
        )
        tensor.name = name
        model.graph.initializer.append(tensor)
    # Before that, initializers had to be inputs as well.
    model.ir_version = max(model.ir_version, 4)
    return model


def _fate(case: OnnxCase, varying: list[str]) -> Fate:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = _with_constants(case, varying)
        except (AttributeError, TypeError):
            return Fate(case, REFUSED, "takes sequences, which no network is given")
        path = Path(folder, "model.onnx")
        path.write_bytes(model.SerializeToString())
        try:
            network = load_onnx(path)
            samples = {name: np.asarray(case.inputs[name]) for name in network.inputs}
            wide = [v for v in samples.values() if v.dtype == np.float64]
            if any((np.abs(v) > FLT_MAX).any() for v in wide):
                return Fate(case, REFUSED, "samples beyond float32, which no data can be")
            shapes = {name: value.shape[1:] for name, value in samples.items()}
            graph = analog_from_onnx(network, shapes)
            expected = {name: case.outputs[name] for name in network.outputs}
            if not all(np.isfinite(value).all() for value in expected.values()):
                check_onnx(graph, network, samples)
            got = evaluate(graph, samples)
        except NeurodeployError as error:
            return Fate(case, REFUSED, str(error).replace(folder + "/", ""))
        except Exception:
            return Fate(case, CRASHED, traceback.format_exc())
    for ours, (name, value) in zip(got.values(), expected.items(), strict=True):
        if value.shape == ours.shape[:1] and ours.shape[1:] == (1,):
            # One number per sample has a dimension of its own in a graph.
            value = value[:, None]
        if ours.shape != value.shape:
            return Fate(case, WRONG, f"{name}: shape {ours.shape}, expected {value.shape}")
        if not np.allclose(ours, value, rtol=1e-3, atol=1e-5):
            worst = np.abs(ours - value.astype(np.float64)).max()
            return Fate(case, WRONG, f"{name}: off by {worst:.3g}")
    return Fate(case, RIGHT)
