"""Every deployment format, read without our decoders, says what the netlist says.

Lava and Brian2 share a codec, and a mistake in it would be read back as it was written. What stands
here knows JSON, the layout of safetensors and docs/formats.md; no code of neurodeploy reads a file.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import neurodeploy as nd
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.network import Network
from tests.targets.lava.networks import random_net, random_stock_net
from tests.targets.timed_files import edit_arrays, weight
from tests.targets.truenorth.crossbar_nets import chain, dense, netlist, neurons, project
from tests.targets.truenorth.crossbar_nets import spike_input as spikes
from tests.verification.networks import layered

Array = np.ndarray[Any, Any]

# A deployment as numbers: what stands between two populations is a matrix [n_post, n_pre], and a
# quantity has one value per neuron.
Weights = dict[tuple[str, str, int], list[list[int]]]  # pre, post, delay
Facts = dict[str, Any]


def weights_of(found: list[tuple[str, str, int, Array]]) -> Weights:
    """Projections of the same ends and delay added up."""
    total: dict[tuple[str, str, int], Array] = {}
    for pre, post, delay, matrix in found:
        key = (pre, post, delay)
        total[key] = total[key] + matrix if key in total else matrix
    return {key: matrix.tolist() for key, matrix in total.items()}


# --- what the netlist says -----------------------------------------------------------------------


def stated(net: IntegerNetlist) -> Facts:
    found = []
    for q, delay in zip(net.projections, net.schedule.delays, strict=True):
        post, pre, value = q.connectivity.to_coo()
        matrix = np.zeros((net.by_name[q.post].size, net.by_name[q.pre].size), dtype=np.int64)
        if isinstance(net.by_name[q.post].model, MaxPool):
            matrix = np.zeros((int(np.prod(q.connectivity.post_shape)), matrix.shape[1]), np.int64)
        shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
        np.add.at(matrix, (post, pre), value << shift[post])
        found.append((q.pre, q.post, delay, matrix))
    facts: Facts = {"weights": weights_of(found)}
    for p in net.populations:
        if isinstance(p.model, IntegerNeuron):
            facts[p.name] = {
                n: p.spread(getattr(p.model, n)).tolist() for n in p.model.quantities()
            }
    return facts


# --- the files of any target ---------------------------------------------------------------------

DTYPES = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "<u1"}


def tensors(path: Path) -> dict[str, Array]:
    """A safetensors file: the length of a JSON header, the header, the arrays, little-endian."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(content[first:last], dtype=DTYPES[entry["dtype"]])
        found[name] = values.reshape(entry["shape"]).astype(np.int64)
    return found


# --- Lava and Brian2 -----------------------------------------------------------------------------


def read_timed(folder: Path, name: str) -> tuple[Facts, dict[str, Any]]:
    header = json.loads((folder / f"{name}.json").read_text())
    arrays = tensors(folder / f"{name}.safetensors")
    assert header["schema"] == 3
    top = header["network"]["fields"]
    net = top["netlist"]["fields"]
    assert top["netlist"]["class"] == "IntegerNetlist"
    facts: Facts = {"weights": {}}
    shapes, into = {}, {}
    for entry in net["populations"]:
        p = entry["fields"]
        shape, model = tuple(p["shape"]), p["model"]["fields"]
        shapes[p["name"]] = into[p["name"]] = shape
        if p["model"]["class"] == "MaxPool":
            into[p["name"]] = (model["channels"], *model["window"]["fields"]["input_size"])
        if p["model"]["class"] == "IntegerNeuron":
            facts[p["name"]] = {
                n: per_neuron(arrays[model[n]["array"]], shape)
                for n in ("threshold", "bias", "initial_membrane", "negative_threshold")
                if model[n] is not None
            }
    found = []
    for entry in net["projections"]:
        q = entry["fields"]
        pre, post = shapes[q["pre"]], into[q["post"]]
        matrix = expanded(q["connectivity"], arrays, pre, post)
        scale = np.array(per_neuron(2 ** arrays[q["exponent"]["array"]], post)).reshape(-1, 1)
        found.append((q["pre"], q["post"], q["delay"], matrix * scale))
    facts["weights"] = weights_of(found)
    rest = {
        "depth": top["depth"]["dict"],
        "timesteps": net["timesteps"],
        "outputs": [(o["fields"]["population"], o["fields"]["decode"]) for o in net["outputs"]],
        "models": top.get("models"),
        "ranges": {
            p["fields"]["name"]: (p["fields"]["model"]["fields"])
            for p in net["populations"]
            if p["fields"]["model"]["class"] == "Input"
        },
    }
    return facts, rest


def per_neuron(values: Array, shape: tuple[int, ...]) -> list[Any]:
    """A scalar, one value per channel (the first axis) or one per neuron."""
    full = np.zeros(shape, dtype=np.int64)
    for i in itertools.product(*map(range, shape)):
        full[i] = values if values.ndim == 0 else values[i[: values.ndim]]
    told: list[Any] = full.tolist()
    return told


def expanded(entry: Any, arrays: dict[str, Array], pre: Any, post: Any) -> Array:
    """Every synapse, counted out by its definition."""
    kind, fields = entry["class"], entry["fields"]
    w = arrays[fields["weight"]["array"]]
    matrix = np.zeros((*post, *pre), dtype=np.int64)
    if kind == "Dense":
        return w
    if kind == "Sparse":
        matrix = matrix.reshape(int(np.prod(post)), int(np.prod(pre)))
        for i, j, value in zip(
            arrays[fields["post"]["array"]], arrays[fields["pre"]["array"]], w, strict=True
        ):
            matrix[i, j] += value
        return matrix
    assert kind in ("Conv", "SumPool")
    win = fields["window"]["fields"]
    for c in range(post[0]):
        if kind == "Conv":
            per_group = pre[0] // fields["groups"]
            first = c // (post[0] // fields["groups"]) * per_group
            sources = [(first + k, k) for k in range(per_group)]
        else:
            sources = [(c, 0)]
        for cell in itertools.product(*map(range, post[1:])):
            for tap in itertools.product(*map(range, win["kernel"])):
                at = tuple(
                    o * s + t * d - before
                    for o, s, t, d, (before, _) in zip(
                        cell, win["stride"], tap, win["dilation"], win["padding"], strict=True
                    )
                )
                if all(0 <= i < n for i, n in zip(at, pre[1:], strict=True)):
                    for source, k in sources:
                        value = w[(c, k, *tap)] if kind == "Conv" else w[c]
                        matrix[(c, *cell, source, *at)] += value
    return matrix.reshape(int(np.prod(post)), -1)


def save(net: IntegerNetlist, folder: Path, target: str, **options: Any) -> Path:
    nd.save(nd.compile(Network(net), target, **options), folder / target)
    return folder / target


TIMED: dict[str, tuple[str, dict[str, Any], Callable[[int], IntegerNetlist]]] = {
    "lava": ("lava", {}, lambda seed: random_net(seed, recurrent=seed % 2 == 1)[0]),
    "lava stock": ("lava", {"models": "stock"}, lambda seed: random_stock_net(seed)[0]),
    "brian2": ("brian2", {}, lambda seed: random_net(seed, recurrent=seed % 2 == 1)[0]),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", TIMED)
def test_lava_and_brian2(name: str, seed: int, tmp_path: Path) -> None:
    target, options, make = TIMED[name]
    net = make(seed)
    facts, rest = read_timed(save(net, tmp_path, target, **options), target)
    assert facts == stated(net)
    assert rest == {
        "depth": dict(net.schedule.depth),
        "timesteps": net.timesteps,
        "outputs": [(o.population, o.decode) for o in net.outputs],
        "models": {"lava": "own", "lava stock": "stock", "brian2": None}[name],
        "ranges": {
            p.name: {"kind": p.model.kind, "low": p.model.low, "high": p.model.high}
            for p in net.populations
            if isinstance(p.model, Input)
        },
    }


@pytest.mark.parametrize("target", ["lava", "brian2"])
def test_a_changed_file_says_something_else(target: str, tmp_path: Path) -> None:
    net = layered()
    folder = save(net, tmp_path, target)
    assert read_timed(folder, target)[0] == stated(net)

    def change(arrays: dict[str, Array]) -> None:
        arrays[weight(1)][2, 0] -= 1

    edit_arrays(folder, target, change)
    wrong, right = read_timed(folder, target)[0]["weights"], stated(net)["weights"]
    assert [key for key in right if wrong[key] != right[key]] == [("a", "b", 1)]


# --- crossbar cores ------------------------------------------------------------------------------


def read_cores(folder: Path, depth: dict[str, int], sizes: dict[str, int]) -> Facts:
    """Weights, delays, thresholds and biases of the populations that the cores hold.

    A weight is what all axons that a spike of the source reaches give the neuron; a delay counts
    from the step of the source to the step of the neuron that it is added in. All copies agree.
    """
    header = json.loads((folder / "cores.json").read_text())
    who = json.loads((folder / "populations.json").read_text())
    chip = {**tensors(folder / "cores.safetensors"), **tensors(folder / "populations.safetensors")}
    assert (header["schema"], who["schema"], who["period"]) == (2, 2, 1)
    names = [p["name"] for p in who["populations"]]
    start = {p["name"]: p["start"] for p in who["populations"]}

    # Where spikes of each source arrive: (core, axon) -> (population, neuron, ticks after step 0).
    arrivals: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    constant: dict[tuple[int, int], int] = {}
    for core, place in np.argwhere(chip["used"] == 1).tolist():
        if chip["dest_core"][core, place] >= 0:
            to = (int(chip["dest_core"][core, place]), int(chip["dest_axon"][core, place]))
            name = names[chip["population"][core, place]]
            late = int(chip["lag"][core, place] + chip["dest_delay"][core, place])
            source = (name, int(chip["neuron"][core, place]), start[name] + late)
            arrivals.setdefault(to, []).append(source)
    for block in header["lines"]:
        for i in range(block["count"]):
            line = block["first"] + i
            for k in range(chip["line_start"][line], chip["line_start"][line + 1]):
                to = (int(chip["line_core"][k]), int(chip["line_axon"][k]))
                if block["kind"] == "raster":
                    arrivals.setdefault(to, []).append((block["name"], i, block["offset"]))
                else:
                    constant[to] = constant.get(to, 0) + 1

    found: dict[tuple[str, str, int], Array] = {}
    facts: Facts = {n: {"threshold": {}, "bias": {}} for n in names}
    seen: dict[tuple[str, int], Any] = {}
    for core, place in np.argwhere((chip["used"] == 1) & (chip["lag"] == 0)).tolist():
        name, neuron = names[chip["population"][core, place]], int(chip["neuron"][core, place])
        heard: dict[tuple[str, int, int], int] = {}
        bias = int(chip["leak"][core, place])
        for axon in range(header["axons"]):
            bits = int(chip["crossbar"][core, axon, place // 8])
            if not bits >> (7 - place % 8) & 1:
                continue
            value = int(chip["weight"][core, place, chip["axon_type"][core, axon]])
            bias += constant.get((core, axon), 0) * value
            for source, i, tick in arrivals.get((core, axon), []):
                delay = tick - start[name] + depth[name] - depth[source]
                heard[source, i, delay] = heard.get((source, i, delay), 0) + value
        mine = (sorted(heard.items()), int(chip["threshold"][core, place]), bias)
        assert seen.setdefault((name, neuron), mine) == mine, (name, neuron, "copies differ")
        facts[name]["threshold"][neuron], facts[name]["bias"][neuron] = mine[1:]
        for (source, i, delay), value in heard.items():
            matrix = found.setdefault(
                (source, name, delay), np.zeros((sizes[name], sizes[source]), dtype=np.int64)
            )
            matrix[neuron, i] = value
    facts["weights"] = {key: matrix.tolist() for key, matrix in found.items()}
    return facts


def stated_of_cores(net: IntegerNetlist) -> Facts:
    told = stated(net)
    facts: Facts = {"weights": told.pop("weights")}
    for name, quantities in told.items():
        flat = {n: np.array(quantities[n]).reshape(-1) for n in ("threshold", "bias")}
        facts[name] = {n: dict(enumerate(v.tolist())) for n, v in flat.items()}
    return facts


def recurrent() -> IntegerNetlist:
    """Shortcut, exponents, biases, a loop with a delay of its own, and a neuron heard by many."""
    rng = np.random.default_rng(3)
    signed = rng.integers(-3, 4, (9, 6))
    return netlist(
        [
            spikes("in", 6),
            neurons("a", 9, threshold=rng.integers(3, 9, 9), bias=rng.integers(0, 3, 9)),
            neurons("b", 5, threshold=[9, 8, 11, 10, 9]),
            neurons("out", 4, threshold=12),
        ],
        [
            project("in", "a", dense(signed), exponent=1),
            project("a", "b", dense(rng.integers(-2, 3, (5, 9)))),
            project("b", "a", dense(rng.integers(-1, 2, (9, 5))), delay=2),
            project("b", "out", dense(rng.integers(-1, 4, (4, 5)))),
            project("in", "out", dense(rng.integers(-1, 3, (4, 6)))),
        ],
    )


CORES = {
    "layered": (layered, {}),
    "copies": (layered, {"fan_out": "copies"}),
    "splitters": (layered, {"fan_out": "splitters"}),
    "chain": (lambda: chain([[1, -2, 3], [4, 0, -7]], bias=1, exponent=2), {}),
    "recurrent": (recurrent, {}),
}


def cores(net: IntegerNetlist, folder: Path) -> Facts:
    sizes = {p.name: p.size for p in net.populations}
    return read_cores(folder, dict(net.schedule.depth), sizes)


@pytest.mark.parametrize("name", CORES)
def test_crossbar_cores(name: str, tmp_path: Path) -> None:
    make, options = CORES[name]
    net = make()
    found, expected = cores(net, save(net, tmp_path, "truenorth", **options)), stated_of_cores(net)
    assert found == expected


def test_a_changed_core_says_something_else(tmp_path: Path) -> None:
    net = layered()
    folder = save(net, tmp_path, "truenorth")
    path = folder / "cores.safetensors"
    arrays = {k: np.array(v) for k, v in load_file(path).items()}
    who = load_file(folder / "populations.safetensors")
    names = [
        p["name"] for p in json.loads((folder / "populations.json").read_text())["populations"]
    ]
    copies = (who["population"] == names.index("b")) & (who["neuron"] == 5)
    arrays["threshold"][copies] += 1
    save_file(arrays, path)
    expected = stated_of_cores(net)
    assert cores(net, folder) != expected
    expected["b"]["threshold"][5] += 1
    assert cores(net, folder) == expected
