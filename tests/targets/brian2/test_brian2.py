"""The Brian2 target beside conformance: the Network itself, chunks, files, manners."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import (
    CapacityError,
    DataError,
    ExecutionError,
    FileFormatError,
    UnknownNameError,
    UsageError,
)
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network, save_network
from neurodeploy.targets.brian2 import session
from neurodeploy.targets.brian2.files import read_plan, write_plan
from neurodeploy.targets.brian2.plan import make_plan
from neurodeploy.targets.brian2.target import Brian2Deployment, Brian2Target
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.timed import TimedNetlist
from tests.conformance.cases import Case, case, differences, expected
from tests.targets.timed_files import (
    Arrays,
    Json,
    edit_arrays,
    edit_json,
    netlist_of,
    quantity,
    weight,
)

brian2_missing = session.unavailable()
pytestmark = pytest.mark.skipif(brian2_missing is not None, reason=str(brian2_missing))


def compiled(c: Case, **options: object) -> Brian2Deployment:
    deployment = Brian2Target().compile(Network(c.netlist), None, options)
    assert isinstance(deployment, Brian2Deployment)
    return deployment


def mismatches(c: Case, deployment: Brian2Deployment) -> dict[str, int]:
    got = deployment.run(c.stimulus)
    want = expected(c.name)
    return {n: k for n in got.spikes if (k := int((got.spikes[n] != want.spikes[n]).sum()))}


def first_step(c: Case, got: AnyArray, population: str) -> int:
    return int(np.argwhere(got != expected(c.name).spikes[population])[:, 1].min())


# --- the Network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv2d_stack", "delays_parallel_projections", "maxpool"])
def test_network_has_the_expected_objects(name: str) -> None:
    brian2 = session.load_brian2()
    c = case(name)
    deployment = compiled(c)
    network = deployment.brian2_network(c.stimulus)
    assert isinstance(network, brian2.Network)
    synapses = [o for o in network.objects if isinstance(o, brian2.Synapses)]
    assert len(synapses) == len(c.netlist.projections)
    assert len(deployment.synapse_names) == len(c.netlist.projections)
    for q, (label, made) in zip(c.netlist.projections, deployment.synapse_names, strict=True):
        assert label == q.label
        assert len(network[made]) == 3 * q.connectivity.n_synapses
        assert network[made].source.name == deployment.object_names[q.pre]
    for p in c.netlist.populations:
        group = network[deployment.object_names[p.name]]
        assert len(group) == 3 * p.size


def test_user_runs_the_network_and_changes_one_weight() -> None:
    c = case("dense_spikes")
    deployment = compiled(c)
    network = deployment.brian2_network(c.stimulus, membranes=["h"])
    deployment.simulate(network)
    record = deployment.record(network)
    want = expected(c.name)
    assert differences(want, record, ["x", "h", "out"], ["h", "sum"]) == []

    changed = deployment.brian2_network(c.stimulus)
    synapses = changed["h_to_out"]
    busy = {n: int(want.spikes[n][0].sum(axis=0).argmax()) for n in ("h", "out")}
    i, j = np.asarray(synapses.i[:]), np.asarray(synapses.j[:])
    which = np.flatnonzero((i == busy["h"]) & (j == busy["out"]))
    assert which.size == 1
    synapses.w[int(which[0])] = -10_000
    deployment.simulate(changed)
    record = deployment.record(changed)
    assert differences(want, record, ["x", "h"], ["sum"]) == []
    wrong = np.argwhere(record.spikes["out"] != want.spikes["out"])
    assert wrong.size
    assert set(wrong[:, 0]) == {0}
    assert set(wrong[:, 2]) == {busy["out"]}


# Without our preferences around it, Brian2's parser may warn of its own dependency.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_network_runs_by_its_own_run_method() -> None:
    brian2 = session.load_brian2()
    c = case("delay_2")
    deployment = compiled(c)
    target = brian2.prefs.codegen.target
    network = deployment.brian2_network(c.stimulus)
    brian2.prefs.codegen.target = "numpy"
    try:
        network.run(deployment.plan.n_steps * deployment.plan.dt * brian2.second)
    finally:
        brian2.prefs.codegen.target = target
    record = deployment.record(network)
    assert differences(expected(c.name), record, ["x", "dense_1", "dense_2"], ["dense_3"]) == []


def test_names_that_are_no_identifiers_stay_apart() -> None:
    c = case("delay_1")
    names = {
        "x": "1.in",
        "dense_1": "layer.1",
        "dense_2": "layer-1",
        "dense_3": "layer_1_spikes",
    }
    netlist = IntegerNetlist(
        "names",
        tuple(replace(p, name=names[p.name]) for p in c.netlist.populations),
        tuple(replace(q, pre=names[q.pre], post=names[q.post]) for q in c.netlist.projections),
        tuple(replace(o, population=names[o.population]) for o in c.netlist.outputs),
        c.netlist.timesteps,
    )
    deployment = Brian2Target().compile(Network(netlist))
    assert isinstance(deployment, Brian2Deployment)
    objects = list(deployment.object_names.values())
    assert len(set(objects)) == 4
    assert all(name.isidentifier() for name in objects)
    got = deployment.run({"1.in": c.stimulus["x"]})
    for old, new in names.items():
        np.testing.assert_array_equal(got.spikes[new], expected(c.name).spikes[old])


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["signed_graded_delay_5", "maxpool_from_current_input"])
def test_batches_in_chunks_equal_batches_side_by_side(name: str) -> None:
    c = case(name)
    per_sample = make_plan(TimedNetlist.of(c.netlist)).n_synapses
    told: list[tuple[int, int]] = []
    for width in (1, 2):
        deployment = compiled(c, max_synapses=width * per_sample)
        assert deployment.utilization()["samples_side_by_side"] == width
        got = deployment.run(c.stimulus, progress=lambda done, total: told.append((done, total)))
        want = expected(name)
        assert differences(want, got, list(want.spikes), list(got.membranes)) == []
        total = (3 if width == 1 else 2) * deployment.plan.n_steps
        assert told[-1] == (total, total)


def test_record_and_membranes_select() -> None:
    c = case("dense_current")
    got = compiled(c).run(c.stimulus, record=["out", "sum"], membranes=["h"])
    assert set(got.spikes) == {"out", "sum"}
    assert set(got.membranes) == {"h", "sum"}
    assert not got.spikes["sum"].any()
    np.testing.assert_array_equal(got.membranes["h"], expected(c.name).membranes["h"])
    with pytest.raises(UnknownNameError, match="unknown population 'hidden'"):
        compiled(c).run(c.stimulus, record=["hidden"])
    with pytest.raises(UsageError, match="'x' is an input"):
        compiled(c).run(c.stimulus, membranes=["x"])


def test_empty_batch_and_wrong_stimulus() -> None:
    c = case("dense_current")
    got = compiled(c).run({"x": c.stimulus["x"][:0]})
    assert got.spikes["h"].shape == (0, 12, 12)
    with pytest.raises(DataError, match="no samples"):
        compiled(c).brian2_network({"x": c.stimulus["x"][:0]})
    with pytest.raises(DataError, match="shape"):
        compiled(c).run({"x": c.stimulus["x"][:, :3]})


def test_a_stopped_run_is_an_error() -> None:
    c = case("delay_1")
    deployment = compiled(c)
    network = deployment.brian2_network(c.stimulus)
    brian2 = session.load_brian2()
    stop = brian2.NetworkOperation(lambda t: network.stop(), clock=network["dense_1"].clock)
    network.add(stop)
    with pytest.raises(ExecutionError, match="stopped after 1 of 15 steps"):
        deployment.simulate(network)


# --- check and options ---------------------------------------------------------------------------


def test_unproved_bounds_are_refused() -> None:
    c = case("saturation_edge")
    longer = replace(c.netlist, timesteps=13)
    violations = Brian2Target().check(longer, None, Brian2Target().complete_options({}))
    assert {v.where for v in violations} == {"edge", "top"}
    with pytest.raises(CapacityError, match=r"edge: worst-case 24-bit state over T = 13 steps"):
        Brian2Target().compile(Network(longer))


def test_more_synapses_than_can_be_listed_are_refused_by_their_count() -> None:
    from neurodeploy.testing import NetlistBuilder

    image = NetlistBuilder(T=2).input("x", (64, 28, 28))
    netlist = image.conv(64, kernel=7, padding=3, threshold=9).dense(2).output()
    found = Brian2Target().check(netlist, None, Brian2Target().complete_options({}))
    (violation,) = [v for v in found if v.resource == "synapses"]
    total = sum(q.connectivity.n_synapses for q in netlist.projections)
    assert (violation.where, violation.used) == (netlist.name, total)
    assert "keeps convolutions" in violation.remedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codegen": "auto"}, "codegen 'auto'; expected one of numpy, cython"),
        ({"max_synapses": 0}, "max_synapses 0; expected a positive"),
        ({"speed": 1}, "no option 'speed'"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Brian2Target().compile(Network(case("delay_1").netlist), None, options)


def test_unavailable_names_reason_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Brian2Target.unavailable() is None
    monkeypatch.setattr(session.np, "__version__", "2.3.1")
    assert Brian2Target.unavailable() == (
        "brian2 2.9.0 cannot be imported with NumPy 2.3.1; pip install 'numpy<2.3'"
    )
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    assert "not installed; pip install" in str(Brian2Target.unavailable())


# --- files ---------------------------------------------------------------------------------------


def test_saved_deployment_computes_the_same_from_its_files_alone(tmp_path: Path) -> None:
    c = case("signed_graded_misaligned")
    compiled(c).save(tmp_path / "d")
    assert mismatches(c, load_deployment(tmp_path / "d")) == {}  # type: ignore[arg-type]
    files = sorted(p.name for p in (tmp_path / "d").iterdir())
    assert files == ["brian2.json", "brian2.safetensors", "deployment.json", "net.ndn"]
    write_plan(read_plan(tmp_path / "d", c.netlist), tmp_path)
    for name in files[:2]:
        assert (tmp_path / name).read_bytes() == (tmp_path / "d" / name).read_bytes()


def _busiest(population: str) -> int:
    return int(expected("delay_2").spikes[population].sum(axis=(0, 1)).argmax())


def _edit_weight(folder: Path) -> None:
    def change(arrays: Arrays) -> None:
        at = (_busiest("dense_2"), _busiest("dense_1"))
        assert arrays[weight(1)][at] != -128
        arrays[weight(1)][at] = -128

    edit_arrays(folder, "brian2", change)


def _edit_quantity(folder: Path, what: str, index: int, change: int) -> None:
    key = quantity(folder, "brian2", "dense_2", what)

    def add(arrays: Arrays) -> None:
        spread = np.array(np.broadcast_to(arrays[key], (6,)))
        spread[index] += change
        arrays[key] = spread

    edit_arrays(folder, "brian2", add)


def _edit_delay(folder: Path) -> None:
    def later(header: Json) -> None:
        netlist_of(header)["projections"][1]["fields"]["delay"] += 1

    edit_json(folder, "brian2", later)


MUTATIONS = {
    "weight": _edit_weight,
    "threshold": lambda d: _edit_quantity(d, "threshold", 2, 7),
    "initial membrane": lambda d: _edit_quantity(d, "initial_membrane", 1, 500),
    "delay": _edit_delay,
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_change_in_the_compiled_files_shows_at_its_population(
    mutation: str, tmp_path: Path
) -> None:
    c = case("delay_2")
    compiled(c).save(tmp_path / "d")
    MUTATIONS[mutation](tmp_path / "d")
    deployment = load_deployment(tmp_path / "d", check=False)
    wrong = mismatches(c, deployment)  # type: ignore[arg-type]
    assert set(wrong) == {"dense_2"}
    if mutation == "initial membrane":
        assert first_step(c, deployment.run(c.stimulus).spikes["dense_2"], "dense_2") == 0


@pytest.mark.parametrize("name", ["brian2.json", "brian2.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "foreign"])
def test_damaged_files(name: str, damage: str, tmp_path: Path) -> None:
    compiled(case("delay_1")).save(tmp_path / "d")
    path = tmp_path / "d" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"truncated": content[: len(content) // 2], "empty": b"", "foreign": b"[1, 2]"}[damage]
        )
    with pytest.raises(FileFormatError) as caught:
        load_deployment(tmp_path / "d", check=False)
    assert "\n" not in str(caught.value)


NET = ("network", "fields", "netlist", "fields")
DEPTH = ("network", "fields", "depth", "dict")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("schema",), 1),
        ((*NET, "timesteps"), 0),
        ((*NET, "timesteps"), 13),
        ((*NET, "timesteps"), 10**12),  # compared before bounds are proved over all of them
        ((*NET, "dt"), "soon"),
        ((*NET, "populations", 1, "fields", "model", "fields", "reset"), "maybe"),
        ((*NET, "populations", 1, "fields", "model", "class"), "Pool"),
        ((*NET, "populations", 1, "fields", "shape"), [3]),
        ((*NET, "populations", 1, "fields", "model", "fields", "negative_threshold"), 0),
        ((*NET, "projections", 0, "fields", "delay"), 0),
        ((*NET, "projections", 0, "fields", "post"), "nowhere"),
        ((*NET, "outputs", 0, "fields", "population"), "nothing"),
        ((*DEPTH, "dense_2"), "soon"),
        (DEPTH, {}),
    ],
)
def test_contradicting_files(where: tuple[Any, ...], value: object, tmp_path: Path) -> None:
    compiled(case("delay_1")).save(tmp_path / "d")

    def contradict(header: Json) -> None:
        entry: Any = header
        for key in where[:-1]:
            entry = entry[key]
        entry[where[-1]] = value

    edit_json(tmp_path / "d", "brian2", contradict)
    with pytest.raises(FileFormatError, match=r"brian2\.json|different networks") as caught:
        load_deployment(tmp_path / "d", check=False)
    assert str(caught.value).endswith("compile again with 'neurodeploy compile'")


def test_a_weight_beyond_its_bits_is_refused(tmp_path: Path) -> None:
    compiled(case("delay_1")).save(tmp_path / "d")

    def change(arrays: Arrays) -> None:
        arrays[weight(1)][0, 0] = 128

    edit_arrays(tmp_path / "d", "brian2", change)
    with pytest.raises(
        FileFormatError, match=r"dense_2: weights in .* exceed 8 bits \[-128, 127\]"
    ):
        load_deployment(tmp_path / "d", check=False)


# --- manners -------------------------------------------------------------------------------------

MANNERS = """
import logging, os, signal, sys, tempfile, warnings
tempfile.tempdir = sys.argv[1]
before = (sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning)
import numpy as np
from neurodeploy.network import load_network
from neurodeploy.targets.brian2.target import Brian2Target
assert Brian2Target.unavailable() is None and "brian2" not in sys.modules
deployment = Brian2Target().compile(load_network(sys.argv[2]))
assert "brian2" not in sys.modules
deployment.run({"x": np.ones((2, 12, 6), dtype=np.int64)})
import brian2
assert before == (sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning)
assert os.listdir(sys.argv[1]) == [], os.listdir(sys.argv[1])
assert brian2.prefs.codegen.target == "auto"
assert brian2.defaultclock.dt == 0.1 * brian2.ms
assert logging.getLogger("py.warnings").handlers == []
x = brian2.NeuronGroup(1, "dv/dt = 1*Hz : 1", threshold="v > 2", reset="", name="a")
assert brian2.collect() == {x}
print("fine")
"""


def test_brian2_leaves_no_marks_on_the_process(tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MANNERS)
    (tmp_path / "tmp").mkdir()
    save_network(Network(case("delay_1").netlist), tmp_path / "net.ndn")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "tmp"), str(tmp_path / "net.ndn")],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(repository), "PATH": "", "HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_preferences_and_log_level_come_back_after_an_error() -> None:
    brian2 = session.load_brian2()
    before = (brian2.prefs["codegen.target"], logging.getLogger("brian2").level)
    with pytest.raises(RuntimeError), session.quiet_preferences("numpy"):
        raise RuntimeError
    after = (brian2.prefs["codegen.target"], logging.getLogger("brian2").level)
    assert before == after


def test_reference_is_not_imported_by_the_target(fresh_python) -> None:  # type: ignore[no-untyped-def]
    code = (
        "import sys, neurodeploy.targets.brian2.target; "
        "print([m for m in sys.modules if 'reference' in m or 'simulate' in m or m == 'brian2'])"
    )
    assert fresh_python(code).strip() == "[]"


def test_equals_reference_on_other_numbers_of_steps() -> None:
    c = case("dense_spikes")
    short = replace(c.netlist, timesteps=5)
    stimulus = {"x": c.stimulus["x"][:, :5]}
    got = Brian2Target().compile(Network(short)).run(stimulus)
    want = run_reference(short, stimulus)
    np.testing.assert_array_equal(got.spikes["h"], want.spikes["h"])
