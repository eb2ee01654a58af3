"""Predictions of published runs from board files and networks alone: no measured value is read.

- NxTF tutorial: weights of its Keras file, 8 bits by the common maximum of weights and biases
  (rounded towards zero), hard reset where v exceeds 512, 512 steps, one compartment a neuron.
  Pixels are biases of neurons on cores. The class is the neuron that fires most.
- PilotNet LIF: priced at the counters that its notebook prints, as its frames are not published;
  our own mapping of its layers beside it.
- Quartz MNIST: layers as published, weights are not. Every neuron holds a state throughout and
  fires once a sample, every pixel is a spike of the host.

Mappings are those of the default partition. `python -m benchmarks.energy_validation --predict`
writes what this gives to predictions.json.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import ACCOUNTS
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.activity import membranes_needed
from neurodeploy.hardware.price.analytic import estimated_activity, expected_traffic
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_on_each
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.hardware.price.terms import BUSIEST
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.verification.executors import fastest_executor

TUTORIAL_STEPS, TUTORIAL_IMAGES = 512, 128
TUTORIAL_THRESHOLD = 513  # fires where v > 512
TUTORIAL_STRIDES = (2, 1, 2, 1)
LARGEST_WEIGHT = 255
LOIHI1, LOIHI2 = ("loihi1", "sanafe-loihi"), "loihi2"
QUARTZ_STEPS = (51, 91, 171, 331, 651)
PILOTNET_STEPS = 16
# Read off a plot of the notebook, per step.
PILOTNET_COUNTERS = {
    "synops": 2.29e6,
    "neuron_updates": 3.71e5,
    "busiest_core_synops": 1.51e5,
    "busiest_core_updates": 5.8e3,
}

Row = dict[str, Any]


def one_compartment(board: Board) -> Board:
    """The board with neurons of one compartment, as these networks were deployed."""
    return replace(board, neurons={})


class Layers:
    """A netlist layer by layer; all neurons are of one kind."""

    def __init__(self, shape: Sequence[int], source: Input, weight_bits: int) -> None:
        self.weight_bits = weight_bits
        self.populations = [Population("image", tuple(shape), source)]
        self.projections: list[IntegerProjection] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.populations[-1].shape

    def add(self, name: str, link: Connectivity, threshold: int, bias: Any = 0) -> None:
        model = IntegerNeuron(np.array(threshold), np.asarray(bias), np.array(0), reset="zero")
        before, bits = self.populations[-1].name, self.weight_bits
        self.populations.append(Population(name, link.post_shape, model))
        self.projections.append(IntegerProjection(before, name, link, weight_bits=bits))

    def conv(
        self,
        name: str,
        weight: IntArray,
        strides: tuple[int, int],
        threshold: int,
        bias: Any = 0,
        pads: tuple[int, int] = (0, 0),
    ) -> None:
        around = tuple((pad, pad) for pad in pads)
        window = Window(self.shape[1:], weight.shape[2:], strides, around, (1, 1))
        self.add(name, Conv(weight, self.shape[0], window, 1), threshold, bias)

    def netlist(self, name: str, timesteps: int) -> IntegerNetlist:
        output = (Output(self.populations[-1].name, "counts"),)
        return IntegerNetlist(
            name, tuple(self.populations), tuple(self.projections), output, timesteps
        )


def tutorial_netlist(weights: Path) -> IntegerNetlist:
    """The network of the NxTF tutorial from its Keras file."""
    import h5py

    layers = Layers((1, 28, 28), Input("current", 0, 255), 9)
    layers.add("pixels", identity((1, 28, 28)), TUTORIAL_THRESHOLD)
    with h5py.File(weights) as file:
        for k, stride in enumerate(TUTORIAL_STRIDES, 1):
            group = file[f"model_weights/conv2d_{k}/conv2d_{k}"]
            kernel, bias = (np.asarray(group[f"{n}:0"], np.float64) for n in ("kernel", "bias"))
            step = max(np.abs(kernel).max(), np.abs(bias).max()) / LARGEST_WEIGHT
            whole = [np.trunc(values / step).astype(np.int64) for values in (kernel, bias)]
            first = np.ascontiguousarray(whole[0].transpose(3, 2, 0, 1))
            layers.conv(f"conv{k}", first, (stride, stride), TUTORIAL_THRESHOLD, whole[1])
    return layers.netlist("NxTF tutorial", TUTORIAL_STEPS)


def test_images(folder: Path, count: int) -> tuple[IntArray, IntArray]:
    """The first MNIST test images ``[count, 1, 28, 28]`` and their labels."""

    def read(name: str, head: int) -> Any:
        return np.frombuffer(gzip.decompress((folder / name).read_bytes())[head:], np.uint8)

    images = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read("t10k-labels-idx1-ubyte.gz", 8)
    return images[:count].astype(np.int64), labels[:count].astype(np.int64)


def tutorial(weights: Path, mnist: Path, images: int) -> dict[str, Row]:
    """Time per step, energies and wrong answers of the tutorial network by set of constants."""
    netlist = tutorial_netlist(weights)
    given, labels = test_images(mnist, images)
    run, watched = fastest_executor(netlist), membranes_needed(netlist)
    counts: list[IntArray] = []

    def execute(stimulus: Stimulus) -> RunRecord:
        record = run(stimulus, watched)
        counts.append(record.spikes["conv4"].sum(axis=1).reshape(-1, 10))
        return record

    mappings = [partition(netlist, one_compartment(load_board(board))) for board in LOIHI1]
    traffics, _ = measure_on_each(mappings, netlist, {"image": given}, execute)
    answers = np.concatenate(counts)[:images].argmax(axis=1)
    wrong = int((answers != labels).sum())
    found = {}
    for board, mapping, traffic in zip(LOIHI1, mappings, traffics, strict=True):
        report = estimate(traffic, mapping.board, network=netlist.name, mapping=mapping)
        found[board] = {"images": images, "wrong": wrong, **_tutorial_row(report)}
    return found


def _tutorial_row(report: EnergyReport) -> Row:
    terms = report.time_by_term
    spiking = (terms[BUSIEST] + terms["barrier"]) / report.steps
    half, twice = (spiking_at(report, factor) for factor in (0.5, 2.0))
    return {
        "cores": report.cores,
        "step_s": spiking.to_dict(),
        "step_with_management_s": (spiking + terms["management"] / report.steps).to_dict(),
        "step_at_half_the_cores_s": half.to_dict(),
        "step_at_twice_the_cores_s": twice.to_dict(),
        **_energies(report),
    }


def spiking_at(report: EnergyReport, factor: float) -> Interval:
    """Spiking time of a step on so many times the cores."""
    terms = report.time_by_term
    return (terms[BUSIEST] / factor + terms["barrier"]) / report.steps


def _energies(report: EnergyReport) -> Row:
    return {
        "accounts_j": {name: report.accounts[name].to_dict() for name in ACCOUNTS},
        "widest": [report.widest_energy_term, report.widest_time_term],
    }


def pilotnet(network: Path) -> Row:
    """Energy and time of PilotNet LIF at its printed counters."""
    board = load_board(LOIHI2)
    counters = PILOTNET_COUNTERS
    synop, update = _price(board, "synops"), _price(board, "neuron_updates_active")
    dynamic = (synop * counters["synops"] + update * counters["neuron_updates"]) * PILOTNET_STEPS
    step = _busiest(board, counters)
    # The upper end of a synaptic operation's time comes from this very run.
    synops = board.events["synops"]
    assert synops.latency is not None
    narrow = replace(synops.latency, high=synops.latency.value)
    without = replace(board, events={**board.events, "synops": replace(synops, latency=narrow)})
    power = board.static["chips"].power.interval
    time = step * PILOTNET_STEPS
    static = Interval(*(getattr(power, e) * getattr(time, e) for e in ("likely", "low", "high")))
    total = dynamic + static
    mapping = partition(_pilotnet_netlist(network), one_compartment(board))
    return {
        "cores": mapping.n_cores,
        "dynamic_j": dynamic.to_dict(),
        "total_j": total.to_dict(),
        "step_s": step.to_dict(),
        "step_without_this_row_s": _busiest(without, counters).to_dict(),
        "accounts_j": dict(
            zip(ACCOUNTS, [x.to_dict() for x in (dynamic, total, total)], strict=True)
        ),
        "widest": ["neuron_updates", "synops"],
    }


def _price(board: Board, event: str) -> Interval:
    energy = board.events[event].energy
    assert energy is not None
    return energy.interval


def _busiest(board: Board, counters: Mapping[str, float]) -> Interval:
    """Time of a step from the counters of the busiest core."""
    barrier = board.barrier_at(1)
    assert barrier is not None
    found = barrier.interval
    for event, count in (("synops", "synops"), ("neuron_updates_active", "updates")):
        latency = board.events[event].latency
        assert latency is not None
        found = found + latency.interval * counters[f"busiest_core_{count}"]
    return found


def _pilotnet_netlist(network: Path) -> IntegerNetlist:
    """The layers of a lava-dl file, for their shapes alone."""
    import h5py

    layers: Layers | None = None
    with h5py.File(network) as file:
        for name in sorted(file["layer"], key=int):
            layer = file["layer"][name]
            kind = np.asarray(layer["type"]).reshape(-1)[0].decode()
            if kind == "input":
                source = Input("current", 0, 255)
                layers = Layers(np.asarray(layer["shape"]).tolist(), source, 8)
                layers.add("input", identity(layers.shape), 9)
            elif kind in ("conv", "dense"):
                assert layers is not None
                weight = np.asarray(layer["weight"])
                whole = np.ones(weight.shape, dtype=np.int64)
                if kind == "conv":
                    strides, pads = (
                        tuple(np.asarray(layer[key]).tolist()) for key in ("stride", "padding")
                    )
                    layers.conv(f"layer{name}", whole, strides, 9, pads=pads)
                else:
                    whole = whole.reshape(-1, int(np.prod(layers.shape)))
                    layers.add(f"layer{name}", Dense(whole, layers.shape), 9)
    assert layers is not None
    return layers.netlist("PilotNet LIF", PILOTNET_STEPS)


def quartz_netlist(steps: int) -> IntegerNetlist:
    """Quartz's MNIST network; steps are those of a sample, depth included."""
    layers = Layers((1, 28, 28), Input("spikes", 0, 1), 8)
    layers.conv("conv1", np.ones((6, 1, 5, 5), np.int64), (1, 1), 10**6, 1)
    _pool(layers, "pool1")
    layers.conv("conv2", np.ones((12, 6, 5, 5), np.int64), (1, 1), 10**6, 1)
    _pool(layers, "pool2")
    layers.conv("conv3", np.ones((120, 12, 4, 4), np.int64), (1, 1), 10**6, 1)
    layers.add("fc", Dense(np.ones((10, 120), np.int64), layers.shape), 10**6, 1)
    return layers.netlist("Quartz MNIST", steps - (len(layers.populations) - 1))


def _pool(layers: Layers, name: str) -> None:
    window = Window(layers.shape[1:], (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    layers.add(name, SumPool(np.ones(layers.shape[0], np.int64), window), 10**6, 1)


def quartz(steps: int, board: str) -> Row:
    """Core dynamic energy and time of Quartz's network at a number of steps."""
    netlist = quartz_netlist(steps)
    mapping = partition(netlist, one_compartment(load_board(board)))
    once = {p.name: 1 / netlist.timesteps for p in netlist.populations}
    traffic = expected_traffic(mapping, netlist, estimated_activity(netlist, once, 100))
    report = estimate(traffic, mapping.board, network=netlist.name, mapping=mapping)
    fitted = ("management", "injection by the host")
    others = [t.likely for name, t in report.time_by_term.items() if name not in fitted]
    return {
        "cores": report.cores,
        "injected": report.host["host_spikes"],
        "dynamic_j": report.dynamic.to_dict(),
        "time_s": report.time.to_dict(),
        "time_without_fitted_s": sum(others),
        **_energies(report),
    }


def predictions(shared: Path, images: int = TUTORIAL_IMAGES) -> Row:
    """Everything, by point."""
    weights = shared / "measured" / "nxtf_tutorial_mnist.h5"
    mnist = shared / "data" / "mnist"
    return {
        "nxtf-tutorial": tutorial(weights, mnist, images),
        "nxtf-tutorial, first image": tutorial(weights, mnist, 1),
        "pilotnet": {LOIHI2: pilotnet(shared / "lava-dl" / "netx__pilotnet_snn__network.net")},
        **{
            f"quartz, {steps} steps": {board: quartz(steps, board) for board in LOIHI1}
            for steps in QUARTZ_STEPS
        },
    }
