"""The map of populations in compiled files: what is legal at its ends, and refused beyond."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.network import Network
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.readout import (
    ARRAY_FILE,
    JSON_FILE,
    LARGEST_LAG,
    expect_of,
    load_readout,
    save_readout,
)
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import chain

NET = chain([[3, -2], [1, 1]])


@pytest.fixture(scope="module")
def deployment() -> TrueNorthDeployment:
    compiled = TrueNorthTarget().compile(Network(NET))
    assert isinstance(compiled, TrueNorthDeployment)
    return compiled


def changed(array: AnyArray, where: Any, value: int) -> AnyArray:
    found = array.copy()
    found[where] = value
    return found


def reloaded(deployment: TrueNorthDeployment, folder: Path, **fields: Any) -> Any:
    save_readout(replace(deployment.readout, **fields), list(deployment.layers), folder)
    return load_readout(folder)


def test_what_was_written_is_read(deployment: TrueNorthDeployment, tmp_path: Path) -> None:
    readout, layers = reloaded(deployment, tmp_path)
    assert (readout.populations, readout.starts) == (("a", "out"), deployment.readout.starts)
    assert [layer["population"] for layer in layers] == ["a", "out"]


@pytest.mark.parametrize(
    ("legal", "illegal", "told"),
    [
        ({"period": 1}, {"period": 0}, f"{JSON_FILE}: period 0; compile again"),
        ({"population": 1}, {"population": 2}, f"{ARRAY_FILE}: unknown population; compile again"),
    ],
)
def test_damaged_maps(
    deployment: TrueNorthDeployment,
    tmp_path: Path,
    legal: dict[str, int],
    illegal: dict[str, int],
    told: str,
) -> None:
    def fields(values: dict[str, int]) -> dict[str, Any]:
        population = deployment.readout.population
        return {
            name: changed(population, (0, 0), value) if name == "population" else value
            for name, value in values.items()
        }

    reloaded(deployment, tmp_path, **fields(legal))
    with pytest.raises(FileFormatError) as caught:
        reloaded(deployment, tmp_path, **fields(illegal))
    assert str(caught.value) == f"{tmp_path}/{told}"


def test_arrays_of_other_shapes(deployment: TrueNorthDeployment, tmp_path: Path) -> None:
    readout = deployment.readout
    flat = {name: getattr(readout, name).reshape(-1) for name in ("population", "neuron", "mark")}
    for fields in ({"neuron": readout.neuron[:, :-1].copy()}, flat):
        with pytest.raises(FileFormatError) as caught:
            reloaded(deployment, tmp_path, **fields)
        assert str(caught.value) == f"{tmp_path}/{ARRAY_FILE}: shapes differ; compile again"


@pytest.mark.parametrize("layers", [{}, "a", [3], [{}, None]])
def test_reports_that_are_no_tables(
    deployment: TrueNorthDeployment, tmp_path: Path, layers: Any
) -> None:
    reloaded(deployment, tmp_path)
    header = json.loads((tmp_path / JSON_FILE).read_text())
    (tmp_path / JSON_FILE).write_text(json.dumps({**header, "layers": layers}))
    with pytest.raises(FileFormatError, match="layers are no list of tables; compile again"):
        load_readout(tmp_path)


def test_maps_are_of_their_network(deployment: TrueNorthDeployment, tmp_path: Path) -> None:
    readout, cores = deployment.readout, deployment.cores
    least = max(readout.starts) + readout.timesteps
    last = least + 1 + LARGEST_LAG
    for ticks in (least, last):
        expect_of(readout, replace(cores, ticks=ticks), NET, tmp_path)
    late = f"in ticks .* to {least - 1}, a sample has {least - 1}; compile again"
    over = f"{last + 1} ticks for steps until {last}; compile"
    for ticks, told in ((least - 1, late), (last + 1, over)):
        with pytest.raises(FileFormatError, match=told):
            expect_of(readout, replace(cores, ticks=ticks), NET, tmp_path)
    for other in (
        replace(readout, timesteps=readout.timesteps + 1),
        replace(readout, populations=("a", "z")),
        replace(readout, populations=("a", "a")),
    ):
        with pytest.raises(FileFormatError, match=r"not of the network in net\.ndn; compile again"):
            expect_of(other, cores, NET, tmp_path)
    for starts in ((-1, 1), (0, 99)):
        with pytest.raises(FileFormatError, match=r"steps of '\w+' in ticks (-1|99) to"):
            expect_of(replace(readout, starts=starts), cores, NET, tmp_path)


def test_host_lines_are_of_the_inputs(deployment: TrueNorthDeployment, tmp_path: Path) -> None:
    readout, cores = deployment.readout, deployment.cores
    (first, *rest) = cores.lines
    for lines, told in (
        ((), r"cores\.json: host lines that are missing or of no input: 'in' \(2 lines\)"),
        ((replace(first, count=first.count - 1), *rest), "missing or of no input"),
        ((replace(first, name="z"), *rest), "'z'"),
        ((replace(first, period=2), *rest), r"with period 2, populations\.json has 1"),
    ):
        with pytest.raises(FileFormatError, match=told):
            expect_of(readout, replace(cores, lines=tuple(lines)), NET, tmp_path)


def test_neurons_are_of_their_population(deployment: TrueNorthDeployment, tmp_path: Path) -> None:
    readout, cores = deployment.readout, deployment.cores
    used = tuple(np.argwhere(readout.population >= 0)[0])
    unused = tuple(np.argwhere(readout.population < 0)[0])
    legal = [(used, 1), (used, 0), (unused, 99)]
    for where, value in legal:
        expect_of(
            replace(readout, neuron=changed(readout.neuron, where, value)), cores, NET, tmp_path
        )
    for where, value in ((used, 2), (used, -1)):
        with pytest.raises(FileFormatError, match=f"{ARRAY_FILE}: neurons outside; compile again"):
            expect_of(
                replace(readout, neuron=changed(readout.neuron, where, value)), cores, NET, tmp_path
            )
    for value, fits in ((-1, True), (-2, False)):
        other = replace(readout, population=changed(readout.population, used, value))
        if fits:
            expect_of(other, cores, NET, tmp_path)
        else:
            with pytest.raises(FileFormatError, match="neurons outside; compile again"):
                expect_of(other, cores, NET, tmp_path)
    idle = replace(cores, used=changed(cores.used, used, 0))
    with pytest.raises(FileFormatError, match="neurons outside; compile again"):
        expect_of(readout, idle, NET, tmp_path)
