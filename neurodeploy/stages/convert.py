"""From a trained network and calibration data to a real-valued netlist."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from neurodeploy.conversion.option_types import expect_kind
from neurodeploy.datasets import Samples, SamplesLike
from neurodeploy.errors import UnknownNameError, UsageError, warn_user
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.encoding import UNARY, EncoderName, Encoding, checked_encoder
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import shows_progress
from neurodeploy.numerics.device import takes_device
from neurodeploy.stages.agreement_check import agreement_warning, counted_agreement
from neurodeploy.stages.auto import AUTO_METHODS, JUDGED_SAMPLES, NOTHING, OPTIONAL_METHODS, choose
from neurodeploy.stages.budget import AUTO, Budget, budget_for, expect_task
from neurodeploy.stages.calibration import calibration_record, calibration_split
from neurodeploy.stages.fan_in_check import expect_fan_in
from neurodeploy.stages.load import wrong_kind
from neurodeploy.stages.record import versions
from neurodeploy.stages.samples import expect_answers
from neurodeploy.stages.source_check import (
    LEAST_CORRELATION,
    MOST_ERROR,
    check_source,
    output_check,
    unseen_classes,
)
from neurodeploy.stages.sources import check_model, load_source

if TYPE_CHECKING:
    from torch import nn

    from neurodeploy.conversion.calibration.thresholds import Calibration
    from neurodeploy.conversion.method import ConversionMethod
    from neurodeploy.source.analog import AnalogGraph

DEFAULT_LEVELS = 255
CALIBRATION_SAMPLES = 512
MIN_JUDGED_SAMPLES = 64
INPUTS = (*get_args(EncoderName), "spikes")
"""Choices of ``input``; ``spikes`` is another word for ``rate``."""


@shows_progress("convert")
@takes_device
def convert(
    model: str | Path | nn.Module,
    data: SamplesLike,
    *,
    weights: str | Path | None = None,
    method: str | ConversionMethod = AUTO,
    timesteps: int | None = None,
    input: str | None = None,
    decode: str | None = None,
    calibration_samples: int = CALIBRATION_SAMPLES,
    input_levels: int | None = None,
    seed: int = 0,
    name: str | None = None,
    target: str | None = None,
    board: str | Board | None = None,
    max_loss: float | None = None,
    max_error: str | float | None = None,
    max_timesteps: int | None = None,
    classifier: bool = False,
    device: str = "cpu",
    tell: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
    **options: Any,
) -> Network:
    """Convert a trained network to a real-valued spiking netlist.

    Parameters
    ----------
    model : str, path or torch.nn.Module
        ``file.py:factory`` or ``module:factory``, a program saved by torch.export (``FILE.pt2``),
        an ONNX file (``FILE.onnx``), or the module itself.
    data : Samples or what they are made from
        Calibration data, its training split. A normalization in it becomes part of the network.
        The source network's own answers on it are measured first, against labels or targets.
    weights : path, optional
        State dict saved by torch.save.
    method : str or a method of neurodeploy.methods
        See ``neurodeploy methods``. ``auto`` takes the shortest run within ``max_loss`` and
        ``max_timesteps``, on further training samples.
    timesteps : int, optional
        Steps of one sample, T. [default: the method's]
    input : {"current", "spikes", "rate", "poisson", "latency", "delta"}, optional
        How a sample enters: as a constant current, or as spikes (``spikes`` is ``rate``, evenly
        spaced). [default: the method's, mostly current]
    decode : {"membrane", "counts", "softmax"}, optional
        How the answer is read. [default: the method's, mostly membrane]
    calibration_samples : int
        Calibrate on the first so many training samples.
    input_levels : int, optional
        Levels of the encoded input. [default: those of the data, else 255]
    seed : int >= 0
        Seed of everything random; it is recorded in the files.
    name : str, optional
        Name of the network. [default: the factory's]
    target : str, optional
        ``auto``: the target that has to run the result.
    board : str or Board, optional
        ``auto``: the board that has to hold the result.
    max_loss : float, optional
        ``auto``: points of accuracy that may be lost. [default: 1]
    max_error : per cent, optional
        ``auto``, where answers are no classes: error of the worst output that is allowed, relative
        to its spread, such as 2%. [default: 2%]
    max_timesteps : int, optional
        ``auto``: the longest run.
    classifier : bool
        The largest output is the answer, though neither labels nor a softmax say so.
    device : {"cpu", "cuda"}
        Where PyTorch computes the source network, calibration and real-valued runs.
    tell : callable
        Told, a line at a time, what the source network is worth and what ``auto`` tries.
    **options
        Further fields of the method.

    Raises
    ------
    NeurodeployError
        One line for everything that does not fit.
    """
    check_model(model)
    if not isinstance(method, str):
        method, timesteps, decode, options = _named_method(method, timesteps, decode, options)
    budget = budget_for(method, target, board, max_loss, max_error, max_timesteps)
    expect_kind("seed", seed, int)
    if seed < 0:
        raise UsageError(f"seed {seed}: expected 0 or more")
    given = {"timesteps": timesteps, "decode": decode, **options}
    given = {k: v for k, v in given.items() if v is not None}
    if budget is not None and budget.crossbar:
        input = input or "spikes"
    # What is wrong with the options is told before anything takes long.
    for candidate in (method,) if budget is None else budget.methods or AUTO_METHODS:
        if budget is None or candidate not in OPTIONAL_METHODS:
            _method(candidate, **_asked(candidate, given, budget))
    from neurodeploy.conversion.lowering.context import LoweringOptions
    from neurodeploy.conversion.lowering.operators import lower
    from neurodeploy.conversion.lowering.separation import told as linear_lines
    from neurodeploy.conversion.method import calibrate

    whole, dataset = calibration_split(data, calibration_samples)
    if budget is None or input is not None or input_levels is not None:
        encoder = input or ("current" if budget else _method(method, **given).default_input)
        _encoding(dataset, encoder, input_levels, seed)
    network, source = load_source(model, weights)
    import torch

    graph = network.analog(dataset, name or source["name"])
    expect_answers(dataset, [graph.node(name).shape for name in graph.outputs])
    found = check_source(graph, dataset, "weights" in source and weights is None)
    tell(found.line)
    if not given.get("range_floor") and (few := unseen_classes(graph, dataset)) is not None:
        tell(few)
    for line in found.warnings:
        warn_user(line)
    graph = _observed(graph, dataset)
    provenance = {
        **versions(torch=str(torch.__version__)),
        "source": source,
        "seed": seed,
        "calibration": calibration_record(dataset),
        "source_network": {"line": found.line, **found.record},
        **({"classifier": True} if classifier else {}),
        **({"device": device} if device != "cpu" else {}),
    }

    said: set[str] = set()
    # Of one set of layers at a time: methods that are tried one after another often share them.
    seen: dict[LoweringOptions, Calibration] = {}

    def converted(
        method: str,
        steps: int | None,
        advance: Progress | None,
        refined: bool = True,
        options: Mapping[str, Any] = NOTHING,
    ) -> Network:
        asked = {**given, **options, **({} if steps is None else {"timesteps": steps})}
        own = _asked(method, asked, budget)
        chosen = _method(method, **own)
        encoder = input if input is not None else chosen.default_input
        encoding = _encoding(dataset, encoder, input_levels, seed)
        named = {**provenance, "method": {"name": method, **dataclasses.asdict(chosen)}}
        if chosen.lowering not in seen:
            seen.clear()
            layers = lower(graph, chosen.lowering)
            for line in linear_lines(layers.products):
                if line not in said:
                    tell(line)
                    said.add(line)
            inputs = dataset.inputs_for(graph.inputs)
            seen[chosen.lowering] = calibrate(layers, inputs, seed=seed, progress=advance)
        calibration = seen[chosen.lowering]
        return _converted(
            graph, calibration, chosen, dataset, encoding, seed, named, advance, refined
        )

    if budget is None:
        net, judged = converted(method, None, progress), None
    else:
        judge = _judge(whole, dataset)
        expect_task(graph, budget, judge.y is not None, classifier, max_loss, max_error)
        if budget.crossbar:
            expect_fan_in(graph, _method("rate", **_asked("rate", given, budget)), budget)
        others = {} if "max_pooling" in given else {"alternatives": partial(_other_maxima, graph)}
        net, choice = choose(converted, judge, budget, timesteps, progress, tell, _emits, **others)
        if (doubt := choice.doubt(budget)) is not None:
            warn_user(doubt)
        judged = choice.agreeing
        chosen = {"auto": choice.to_dict(budget)}
        net = dataclasses.replace(net, provenance={**net.provenance, **chosen})
    for row in net.provenance.get("silent_channels", ()):
        warn_user(_silence(row))
    correlations, errors = output_check(net, dataset)
    provenance = {**net.provenance, "output_correlation": correlations}
    agreement = counted_agreement(net, dataset) if judged is None else judged
    for output, r in correlations.items():
        told = None
        if r is not None and r < LEAST_CORRELATION:
            told = f"correlates {r:.3f} with the source network's output on the calibration data, "
            told += f"below {LEAST_CORRELATION}"
        elif agreement is None and output in errors and errors[output].mean > MOST_ERROR:
            told = "errs on the calibration data by more than half of the spread of the source "
            told += f"network's output: by {errors[output]}"
        if told is not None:
            warn_user(f"{output}: {told}; 'neurodeploy diagnose' tells which layer loses")
    if agreement is not None:
        provenance["agreement"] = dict(zip(("agreeing", "samples"), agreement, strict=True))
        if (told := agreement_warning(net, *agreement, "calibration samples")) is not None:
            warn_user(told)
    return dataclasses.replace(net, provenance=provenance)


def _asked(method: str, given: Mapping[str, Any], budget: Budget | None) -> dict[str, Any]:
    """Options of a method: those given, and what a board asks where nothing else is."""
    return {**({} if budget is None else budget.options(method)), **given}


def _converted(
    graph: AnalogGraph,
    calibration: Calibration,
    chosen: Any,
    dataset: Samples,
    encoding: Encoding,
    seed: int,
    provenance: dict[str, Any],
    progress: Progress | None,
    refined: bool,
) -> Network:
    from neurodeploy.conversion.calibration.pooling_deviation import pooling_deviation
    from neurodeploy.conversion.lowering.observation import fits
    from neurodeploy.conversion.method import convert_graph
    from neurodeploy.execution import run_engine, run_narrow

    netlist, encodings, silent = convert_graph(
        graph,
        chosen,
        dataset.inputs_for(graph.inputs),
        encoding,
        run_narrow,
        calibration=calibration,
        refined=refined,
        indices=dataset.indices,
        seed=seed,
        progress=progress,
    )
    if not refined:
        return Network(netlist, encodings, graph, None, provenance)
    rows = fits(graph, getattr(chosen, "activation_units", 0))
    if rows:
        provenance = {**provenance, "curve_fits": rows}
    if products := calibration.graph.products:
        rows = [dataclasses.asdict(row) for row in products]
        provenance = {**provenance, "linear_products": rows}
    if silent:
        provenance = {**provenance, "silent_channels": [dataclasses.asdict(row) for row in silent]}
    samples = dataset.inputs_for(tuple(encodings))
    deviation = pooling_deviation(graph, chosen.lowering, netlist, encodings, samples, run_engine)
    if deviation:
        provenance = {**provenance, "max_pooling_deviation": deviation}
    return Network(netlist, encodings, graph, None, provenance)


def _judge(whole: Samples, calibration: Samples) -> Samples:
    """Training samples after those of calibration; the same ones where there are no others."""
    first = len(calibration)
    last = min(len(whole), first + JUDGED_SAMPLES)
    if last - first < MIN_JUDGED_SAMPLES:
        return calibration.first(min(len(calibration), JUDGED_SAMPLES))
    return whole.subset(range(first, last))


def _method(name: str, **options: Any) -> Any:
    from neurodeploy.conversion.registry import METHODS

    method = METHODS.get(name)
    known = {f.name for f in dataclasses.fields(method)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(
            f"method {name}: no option {unknown[0]!r}; options: {', '.join(sorted(known))}"
        )
    return method(**options)


def _named_method(
    method: ConversionMethod, timesteps: int | None, decode: str | None, options: dict[str, Any]
) -> tuple[str, int | None, str | None, dict[str, Any]]:
    """A method given as an object, by its name and options."""
    from neurodeploy.conversion.registry import METHODS

    if isinstance(method, type) or not dataclasses.is_dataclass(method):
        expected = "a name such as 'graded', or a method such as neurodeploy.methods.Graded()"
        raise wrong_kind("convert: method", method, expected)
    kind = type(method)
    names = [name for name in METHODS if METHODS.get(name) is kind]
    if not names:
        raise UsageError(
            f"convert: method {kind.__name__} is not registered; add an entry point of the group "
            f"{METHODS.group}"
        )
    given = {"timesteps": timesteps, "decode": decode, **options}
    twice = [name for name, value in given.items() if value is not None]
    if twice:
        raise UsageError(
            f"convert: {twice[0]} is given beside the method; write "
            f"{kind.__name__}({twice[0]}={given[twice[0]]!r}, ...)"
        )
    own = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    return names[0], own.pop("timesteps"), own.pop("decode", None), own


def _silence(row: Mapping[str, Any]) -> str:
    return (
        f"{row['layer']}: {row['silent']} of {row['channels']} channels silent on all calibration "
        "images, their thresholds are guesses; use more or other images"
    )


def _observed(graph: AnalogGraph, dataset: Samples) -> AnalogGraph:
    """The source network, its curved functions with what calibration sees of their inputs."""
    from neurodeploy.conversion.lowering.observation import observed

    return observed(graph, dataset.inputs_for(graph.inputs))


def _emits(method: str) -> str:
    from neurodeploy.conversion.registry import METHODS

    return METHODS.get(method).emits


def _other_maxima(graph: AnalogGraph, method: str) -> tuple[Mapping[str, Any], ...]:
    """Options with which a method makes a network's maxima of more neurons."""
    from neurodeploy.conversion.registry import dearer_maximum

    other = dearer_maximum(method, graph)
    return () if other is None else ({"max_pooling": other},)


def _encoding(dataset: Samples, name: str, levels: int | None, seed: int) -> Encoding:
    if name not in INPUTS:
        raise UnknownNameError("encoder", name, INPUTS)
    encoder = checked_encoder("rate" if name == "spikes" else name)
    chosen = levels if levels is not None else dataset.levels or DEFAULT_LEVELS
    low, high = dataset.value_range
    if encoder in UNARY and low < 0:
        raise UsageError(
            f"input {name!r} takes values >= 0, the data ranges from {low:g}; use --input current"
        )
    norm = dataset.norm
    mean, std = (None, None) if norm is None else (norm.mean, norm.std)
    return Encoding(encoder, chosen, low, high, mean, std, seed)
