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
from neurodeploy.targets.lava.bundle_files import load_bundle, save_bundle
from tests.targets.lava.networks import chain, compiled, random_net, random_stock_net


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
