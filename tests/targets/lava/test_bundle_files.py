"""The compiled files: what is written is read, and what was not written by us is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.targets.lava.bundle import NeuronSpec, PoolSpec
from neurodeploy.targets.lava.bundle_files import load_bundle, save_bundle
from tests.targets.lava.networks import (
    chain,
    compiled,
    neuron,
    random_net,
    random_stock_net,
    window,
)


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
        for mine, theirs in zip(bundle.projections, read.projections, strict=True):
            np.testing.assert_array_equal(mine.weight, theirs.weight)
            assert (mine.delay, mine.window, mine.groups) == (
                theirs.delay,
                theirs.window,
                theirs.groups,
            )


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
    assert isinstance(a, NeuronSpec)
    assert (a.memory, a.payload_code) == (True, "power_of_two")
    assert isinstance(pool, PoolSpec)
    assert (pool.rule, pool.signed) == ("winner", True)


def test_a_bundle_from_before_memory_has_none(tmp_path: Path) -> None:
    netlist, _ = random_net(0, recurrent=False)
    written = compiled(netlist).bundle
    save_bundle(written, tmp_path)

    def older(structure: dict[str, Any]) -> None:
        for p in structure["populations"]:
            for kind, names in (("neuron", ("memory", "payload_code")), ("pool", POOL_FIELDS)):
                for name in names if kind in p else ():
                    del p[kind][name]

    _json(older)(tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    save_bundle(load_bundle(tmp_path), again)
    save_bundle(written, tmp_path)
    assert (again / "lava.json").read_bytes() == (tmp_path / "lava.json").read_bytes()


POOL_FIELDS = ("rule", "signed")


def _json(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        structure = json.loads((folder / "lava.json").read_text())
        change(structure)
        (folder / "lava.json").write_text(json.dumps(structure))

    return edit


def _array(key: str, values: np.ndarray[Any, Any] | None) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        arrays = load_file(folder / "lava.safetensors")
        del arrays[key]
        if values is not None:
            arrays[key] = values
        save_file(arrays, folder / "lava.safetensors")

    return edit


def _model(index: int, kind: str, **fields: object) -> Callable[[Path], None]:
    return _json(lambda s: s["populations"][index][kind].update(fields))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_model(1, "neuron", reset="zero"), "a: memory without a negative threshold or soft reset"),
        (_array("population.a.negative_threshold", None), "a: memory without a negative threshold"),
        (_model(1, "neuron", payload_code="gray"), "a: payload_code 'gray'"),
        (_model(2, "pool", rule="mean"), "pool: rule 'mean'"),
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
        (lambda folder: (folder / "lava.json").write_text("{"), "not a compiled Lava network"),
        (
            lambda folder: (folder / "lava.safetensors").write_bytes(b"\x80\x04"),
            "damaged or truncated",
        ),
        (_json(lambda s: s.update(schema=9)), "schema version 9"),
        (_json(lambda s: s.update(models="any")), "inconsistent"),
        (_json(lambda s: s.pop("populations")), "inconsistent"),
        (_json(lambda s: s["projections"][0].update(delay=0)), "delay 0"),
        (_json(lambda s: s["projections"][0].update(pre="nobody")), "inconsistent"),
        (_json(lambda s: s["populations"][1].update(shape=[4])), "inconsistent"),
        (_json(lambda s: s.update(outputs=["nobody"])), "output 'nobody'"),
        (_array("projection.0.weight", None), "inconsistent"),
        (_array("projection.0.weight", np.ones((3, 4), np.float32)), "not of integers"),
        (_array("projection.0.weight", np.ones((3, 5), np.int16)), "weight of shape"),
        (_array("population.b.threshold", np.zeros((), np.int16)), "threshold 0 below 1"),
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
