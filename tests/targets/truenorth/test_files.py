"""The saved pair: read back, read without the IR, damaged, and changed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.truenorth.cores import ARRAY_FILE, JSON_FILE
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import (
    dense,
    netlist,
    neurons,
    project,
    raster,
    spike_input,
)

BLOCKED_RUN = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        blocked = ("neurodeploy.ir", "neurodeploy.targets.base", "neurodeploy.hardware.price")
        if name.startswith(blocked):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
import numpy as np
from pathlib import Path
from neurodeploy.targets.truenorth.cores import load_cores
from neurodeploy.targets.truenorth.simulator import CoreSimulator
cores = load_cores(Path(sys.argv[1]))
raster = np.load(sys.argv[2])
runs, events = CoreSimulator(cores).run({"in": raster})
out = [r.spikes[:, :, r.stream[: int(cores.used[c].sum())]] for c, r in enumerate(runs)]
np.save(sys.argv[3], np.concatenate(out, axis=2))
assert not [m for m in sys.modules if m.startswith("neurodeploy.ir")]
try:
    import neurodeploy.ir.netlist
except ImportError:
    print("blocked")
"""


def example() -> IntegerNetlist:
    rng = np.random.default_rng(2)
    return netlist(
        [
            spike_input("in", 12),
            neurons("a", 30, threshold=7, bias=1, initial_membrane=3),
            neurons("b", 10, threshold=6, bias=1, initial_membrane=3),
            neurons("c", 6, threshold=3, initial_membrane=1),
        ],
        [
            project("in", "a", dense(rng.integers(-4, 4, (30, 12)))),
            project("a", "b", dense(rng.integers(-3, 5, (10, 30)))),
            project("b", "c", dense(rng.integers(-1, 2, (6, 10)))),
            project("a", "c", dense(rng.integers(-1, 2, (6, 30)))),
        ],
        12,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truenorth") / "net"
    TrueNorthTarget().compile(Network(example())).save(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "net"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def reference() -> tuple[RunRecord, dict[str, AnyArray]]:
    stimulus = raster(example(), 4)
    return run_reference(example(), stimulus), stimulus


def loaded(folder: Path) -> TrueNorthDeployment:
    deployment = load_deployment(folder, check=False)
    assert isinstance(deployment, TrueNorthDeployment)
    return deployment


def first_difference(folder: Path) -> dict[str, int]:
    """Population -> first step at which it differs from the reference."""
    expected, stimulus = reference()
    found = loaded(folder).run(stimulus)
    differs = {
        name: np.flatnonzero((found.spikes[name] != spikes).any(axis=(0, 2)))
        for name, spikes in expected.spikes.items()
    }
    return {name: int(steps[0]) for name, steps in differs.items() if steps.size}


def test_a_saved_deployment_runs_as_the_netlist(saved: Path) -> None:
    expected, stimulus = reference()
    deployment = loaded(saved)
    found = deployment.run(stimulus)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes)
        assert 0 < spikes.mean() < 1
    utilization = deployment.utilization()
    assert json.loads(json.dumps(utilization)) == utilization


def test_an_input_that_leads_nowhere(tmp_path: Path) -> None:
    """No host line tells the number of samples."""
    net = netlist([spike_input("in", 4), neurons("a", 3, threshold=2, bias=1)], [], 5)
    TrueNorthTarget().compile(Network(net)).save(tmp_path / "net")
    stimulus = raster(net, 2)
    found = loaded(tmp_path / "net").run(stimulus).spikes["a"]
    np.testing.assert_array_equal(found, run_reference(net, stimulus).spikes["a"])


def test_cores_run_where_the_ir_cannot_be_imported(saved: Path, tmp_path: Path) -> None:
    _, stimulus = reference()
    given, out = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(given, stimulus["in"].astype(np.uint8))
    command = [sys.executable, "-c", BLOCKED_RUN, str(saved), str(given), str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "blocked"
    deployment = loaded(saved)
    deployment.run(stimulus)
    assert int(np.load(out).sum()) == int(deployment.events["spikes"].sum())


def test_the_stored_crossbar_is_one_bit_a_crossing(saved: Path) -> None:
    arrays = load_file(saved / ARRAY_FILE)
    n_cores = arrays["axon_type"].shape[0]
    assert arrays["crossbar"].shape == (n_cores, 256, 32)
    assert set(np.unique(np.unpackbits(arrays["crossbar"]))) == {0, 1}
    assert arrays["dest_core"].shape == arrays["dest_axon"].shape == (n_cores, 256)


def busiest(population: str) -> int:
    expected, _ = reference()
    return int(expected.spikes[population].sum(axis=(0, 1)).argmax())


def change(folder: Path, name: str, population: str, value: int, copies: bool = True) -> None:
    """Add ``value`` to the entries of all copies (or of one) of a population's busiest neuron."""
    deployment = loaded(folder)
    index = deployment.readout.populations.index(population)
    where = (deployment.readout.population == index) & (
        deployment.readout.neuron == busiest(population)
    )
    core, place = np.nonzero(where)
    if not copies:
        core, place = core[-1:], place[-1:]
    arrays = load_file(folder / ARRAY_FILE)
    edited = arrays[name].copy()
    edited[core, place] += np.asarray(value, dtype=edited.dtype)
    save_file({**arrays, name: edited}, folder / ARRAY_FILE)


@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize(
    ("array", "population", "value"),
    [("threshold", "b", 2), ("weight", "b", 3), ("initial", "a", 4), ("leak", "a", 1)],
)
def test_a_changed_neuron_shows_at_its_population_first(
    copy: Path, array: str, population: str, value: int, copies: bool
) -> None:
    change(copy, array, population, value, copies)
    differs = first_difference(copy)
    depth = example().schedule.depth
    assert population in differs
    first = min(differs[n] + depth[n] for n in differs)
    assert differs[population] + depth[population] == first
    if population == "b":
        assert "a" not in differs


def test_a_changed_delay_shows_at_the_receiver(copy: Path) -> None:
    change(copy, "dest_delay", "b", 1)
    differs = first_difference(copy)
    assert set(differs) == {"c"}


def test_copies_that_differ_are_recorded_as_such(copy: Path) -> None:
    change(copy, "threshold", "a", 3, copies=False)
    expected, stimulus = reference()
    found = loaded(copy).run(stimulus).spikes["a"]
    marked = found == -1
    assert marked[..., busiest("a")].any()
    assert not np.delete(marked, busiest("a"), axis=2).any()
    assert (found[~marked] == expected.spikes["a"][~marked]).all()


@pytest.mark.parametrize("name", [JSON_FILE, ARRAY_FILE, "populations.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "pickle"])
def test_damaged_files_are_one_clear_line(copy: Path, name: str, damage: str) -> None:
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "pickle":
        path.write_bytes(b"\x80\x04\x95" + content[:40])
    with pytest.raises(FileFormatError, match="compile again") as caught:
        loaded(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("dest_core", 999, "dest_core outside"),
        ("dest_axon", 300, "dest_axon outside"),
        ("axon_type", 9, "axon_type outside"),
        ("reset", 2, "reset outside"),
        ("line_core", 77, "line_core outside"),
    ],
)
def test_contents_that_are_no_cores(copy: Path, name: str, value: int, problem: str) -> None:
    arrays = load_file(copy / ARRAY_FILE)
    edited = arrays[name].copy()
    edited.reshape(-1)[0] = value
    save_file({**arrays, name: edited}, copy / ARRAY_FILE)
    with pytest.raises(FileFormatError, match=problem):
        loaded(copy)


@pytest.mark.parametrize(
    ("where", "value", "problem"),
    [
        (("schema",), 7, "schema version 7, this neurodeploy reads 2"),
        (("schema",), "2", "schema version '2', this neurodeploy reads 2"),
        (("schema",), 2.0, "schema version 2.0, this neurodeploy reads 2"),
        (("ticks",), 0, r"cores\.json: 0 ticks a sample; expected 1 to"),
        (("ticks",), 2**31, "2147483648 ticks a sample"),
        (("membrane_max",), 2**80, r"cores\.json: membranes of"),
        (("lines", 0, "count"), 0, r"cores\.json: lines of 'in' with count 0; expected 1 or more"),
        (("lines", 0, "first"), -1, r"cores\.json: lines of 'in' outside"),
        (("lines", 0, "period"), 0, "with period 0"),
        (("lines", 0, "close"), 2**31, "at ticks beyond"),
        (("lines",), [], "host lines that are missing"),
    ],
)
def test_numbers_that_are_of_no_cores(
    copy: Path, where: tuple[Any, ...], value: object, problem: str
) -> None:
    header = entry = json.loads((copy / JSON_FILE).read_text())
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    (copy / JSON_FILE).write_text(json.dumps(header))
    with pytest.raises(FileFormatError, match=problem):
        loaded(copy)
