"""The compiled files: what is written is read, and what was not written by us is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.targets.lava.bundle import load_bundle, save_bundle
from tests.targets.lava.networks import (
    chain,
    compiled,
    neuron,
    random_net,
    random_stock_net,
    window,
)
from tests.targets.timed_files import Json, edit_json, netlist_of, weight


@pytest.mark.parametrize("seed", range(3))
def test_round_trip(seed: int, tmp_path: Path) -> None:
    for models, (netlist, _) in (
        ("own", random_net(seed, recurrent=True)),
        ("stock", random_stock_net(seed)),
    ):
        written, again = tmp_path / models, tmp_path / f"{models}2"
        written.mkdir()
        again.mkdir()
        bundle = compiled(netlist, models=models).bundle
        save_bundle(bundle, written)
        read = load_bundle(written)
        save_bundle(read, again)
        for name in ("lava.json", "lava.safetensors"):
            assert (written / name).read_bytes() == (again / name).read_bytes()
        assert read.models == models
        assert (read.netlist, read.depth) == (bundle.netlist, bundle.depth)
        assert [q.delay for q in read.netlist.projections] == list(netlist.schedule.delays)
        assert read.depth == netlist.schedule.depth


def remembering() -> IntegerNetlist:
    """A neuron with memory that sends powers of two into a signed winner pool."""
    pool = MaxPool(1, window((4,), (2,), (2,), ((0, 0),), (1,)), "winner", True)
    takes_back = neuron(
        9, negative_threshold=1, memory=True, payload_max=8, payload_code="power_of_two"
    )
    return IntegerNetlist(
        "remembering",
        (
            Population("in", (1, 4), Input("current", -9, 9)),
            Population("a", (1, 4), takes_back),
            Population("pool", pool.output_shape, pool),
        ),
        (
            IntegerProjection("in", "a", identity((1, 4))),
            IntegerProjection("a", "pool", identity((1, 4))),
        ),
        (Output("pool", "counts"),),
        5,
    )


def test_memory_codes_and_pool_rules_are_kept(tmp_path: Path) -> None:
    save_bundle(compiled(remembering()).bundle, tmp_path)
    read = load_bundle(tmp_path).by_name
    a, pool = read["a"].model, read["pool"].model
    assert isinstance(a, IntegerNeuron)
    assert (a.memory, a.payload_code) == (True, "power_of_two")
    assert isinstance(pool, MaxPool)
    assert (pool.rule, pool.signed) == ("winner", True)


def test_what_only_conversion_needs_is_left_out(tmp_path: Path) -> None:
    net = chain(5)
    mean = np.full((3,), 0.5)
    worth = replace(net.populations[1], unit=np.array(0.25), source="relu", mean=mean)
    net = replace(net, populations=(net.populations[0], worth, *net.populations[2:]))
    save_bundle(compiled(net).bundle, tmp_path)
    read = load_bundle(tmp_path).by_name["a"]
    assert (read.unit, read.source, read.mean) == (None, None, None)
    assert all(a.dtype.kind == "i" for a in load_file(tmp_path / "lava.safetensors").values())


def _json(change: Callable[[Json], object]) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder, "lava", change)


def _net(change: Callable[[Json], object]) -> Callable[[Path], None]:
    return _json(lambda header: change(netlist_of(header)))


def _array(key: str, values: np.ndarray[Any, Any] | None) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        arrays = load_file(folder / "lava.safetensors")
        del arrays[key]
        if values is not None:
            arrays[key] = values
        save_file(arrays, folder / "lava.safetensors")

    return edit


def _fields(kind: str, index: int, **fields: object) -> Callable[[Path], None]:
    return _net(lambda net: net[kind][index]["fields"].update(fields))


def _model(index: int, **fields: object) -> Callable[[Path], None]:
    return _net(lambda net: net["populations"][index]["fields"]["model"]["fields"].update(fields))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_model(1, reset="zero"), "memory needs a negative_threshold and reset 'subtract'"),
        (_model(1, negative_threshold=None), "memory needs a negative_threshold"),
        (_model(1, payload_code="gray"), "payload_code 'gray'"),
        (_model(2, rule="mean"), "rule 'mean'; expected"),
    ],
)
def test_damage_to_memory_and_pools(
    edit: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    save_bundle(compiled(remembering()).bundle, tmp_path)
    edit(tmp_path)
    with pytest.raises(FileFormatError, match=reason):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda folder: (folder / "lava.json").unlink(), "no such file"),
        (lambda folder: (folder / "lava.safetensors").unlink(), "no such file"),
        (lambda folder: (folder / "lava.json").write_text("{"), "damaged or truncated"),
        (
            lambda folder: (folder / "lava.safetensors").write_bytes(b"\x80\x04"),
            "damaged or truncated",
        ),
        (_json(lambda s: s.update(schema=1)), "schema version 1"),
        (_json(lambda s: s["network"]["fields"].update(models="any")), "models 'any'"),
        (_json(lambda s: s["network"]["fields"]["depth"]["dict"].pop("b")), "depths of other"),
        (_json(lambda s: s["network"]["fields"]["depth"]["dict"].update(b=-1)), "b: depth -1"),
        (_json(lambda s: s.update(network=3)), "no Bundle"),
        (_json(lambda s: s["network"].update({"class": "Plan"})), "unknown class 'Plan'"),
        (_net(lambda net: net.pop("populations")), "missing or unknown fields ['populations']"),
        (_fields("projections", 0, delay=0), "delay 0"),
        (_fields("projections", 0, delay=None), "in->a: no delay"),
        (_fields("projections", 0, pre="nobody"), "no population 'nobody'"),
        (_fields("populations", 1, shape=[4]), "connectivity gives (3,), 'a' takes (4,)"),
        (_fields("outputs", 0, population="nobody"), "no population 'nobody'"),
        (_array(weight(0), None), f"array '{weight(0)}' is missing"),
        (_array(weight(0), np.ones((3, 4), np.float32)), "needs integer weights"),
        (_array(weight(0), np.ones((3, 5), np.int16)), "weight of shape"),
        (_array(weight(0), np.full((3, 4), 128, np.int16)), "exceed 8 bits [-128, 127]"),
        (_array("netlist.populations.2.model.threshold", np.zeros((), np.int16)), "threshold 0"),
    ],
)
def test_damage_is_told_in_one_line(
    edit: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    save_bundle(compiled(chain(5)).bundle, tmp_path)
    edit(tmp_path)
    with pytest.raises(FileFormatError) as caught:
        load_bundle(tmp_path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert reason == "no such file" or str(caught.value).endswith(
        "compile again with 'neurodeploy compile'"
    )
