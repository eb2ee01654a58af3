"""The pipeline as objects: arrays in, spikes and tables out, and one line for a wrong argument."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("brian2")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.hardware.boards.loading import load_board  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.network import network_to_bytes  # noqa: E402
from neurodeploy.render.inference import inference_npz, inference_parts  # noqa: E402
from neurodeploy.stages.samples import stimulus_for  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 1, 6, 6)).astype(np.uint8)
Y = RNG.integers(0, 4, 40)


def module() -> nn.Module:
    torch.manual_seed(1)
    layers = (nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def data() -> nd.Samples:
    return nd.Samples(X, Y)


@pytest.fixture(scope="module")
def net(data: nd.Samples) -> nd.Network:
    return nd.convert(module(), data, method="graded", timesteps=3)


@pytest.fixture(scope="module")
def q(net: nd.Network) -> nd.Network:
    return net.quantize(8)


@pytest.fixture(scope="module")
def dep(q: nd.Network) -> nd.Deployment:
    return q.compile("brian2")


@pytest.fixture(scope="module")
def results(q: nd.Network, dep: nd.Deployment, data: nd.Samples) -> dict[str, Any]:
    comparison = q.energy(["loihi2", "truenorth"], data[:3])
    return {
        "Network": q,
        "Deployment": dep,
        "Run": dep.run(data[:3], membranes=["relu_1"]),
        "Evaluation": q.evaluate(data),
        "Diagnosis": q.diagnose(data),
        "Verification": dep.verify(data[:3], against=["reference", "engine"]),
        "EnergyComparison": comparison,
        "EnergyReport": comparison.reports["loihi2"],
    }


def test_a_run_on_data_is_the_run_on_its_integers(
    dep: nd.Deployment, q: nd.Network, data: nd.Samples
) -> None:
    run = dep.run(data[:5], membranes=["relu_1"])
    stimulus, _ = stimulus_for(q, data[:5])
    assert isinstance(run, nd.Run)
    for record in (
        dep.run(stimulus, membranes=["relu_1"]),
        nd.run(dep, stimulus, membranes=["relu_1"]),
        run_reference(q.integer, stimulus, membranes=["relu_1", "output"]),
    ):
        assert isinstance(record, nd.RunRecord)
        for name in ("input", "relu_1"):
            np.testing.assert_array_equal(run.spikes[name], record.spikes[name])
        np.testing.assert_array_equal(run.membranes["relu_1"], record.membranes["relu_1"])
    assert run.spikes["relu_1"].shape == (5, 3, 3, 4, 4)
    assert np.count_nonzero(run.spikes["relu_1"]) == run.spike_counts["relu_1"] > 0
    np.testing.assert_array_equal(run.classes, run.outputs["output"].argmax(axis=1))
    assert run.accuracy == (run.classes == Y[:5]).mean()
    assert run.to_dict()["spikes"] == run.spike_counts
    # What enters is a current, which is recorded and no spike.
    assert set(run.spike_counts) == set(run.spikes) - {"input"}
    assert list(dep.run(data[:5], record=["relu_1"]).spikes) == ["relu_1"]


@pytest.mark.parametrize("shape", [(1,), (4, 2, 2)])
def test_one_value_or_a_map_is_no_class(results: dict[str, Any], shape: tuple[int, ...]) -> None:
    """A regressor was 33 % accurate on labels 0, 1 and 2: the largest of one value is the first."""
    run = replace(results["Run"], outputs={"output": np.zeros((3, *shape))})
    assert (run.accuracy, run.tie_share) == (None, None)
    assert "accuracy: not measured, the outputs are no classes" in inference_parts(run)[0]
    assert "classes" not in np.load(io.BytesIO(inference_npz(run)))
    with pytest.raises(nd.UsageError, match="which is no score of classes; read outputs"):
        run.classes  # noqa: B018


def test_what_was_not_recorded_says_how_to(results: dict[str, Any]) -> None:
    with pytest.raises(nd.UsageError, match="'input' was not recorded; recorded: relu_1"):
        results["Run"].membranes["input"]


def test_spikes_as_a_table(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    run = results["Run"]
    frame = run.to_pandas()
    assert list(frame) == ["sample", "population", "step", "neuron", "payload"]
    for name, raster in run.spikes.items():
        rebuilt = np.zeros((*raster.shape[:2], raster[0, 0].size), dtype=np.int64)
        rows = frame[frame["population"] == name]
        rebuilt[rows["sample"], rows["step"], rows["neuron"]] = rows["payload"]
        np.testing.assert_array_equal(rebuilt.reshape(raster.shape), raster)
    assert len(replace(run, record=nd.RunRecord(3, {}, {})).to_pandas()) == 0
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(nd.TargetUnavailableError, match="pip install"):
        run.to_pandas()


def test_cores_as_a_table_and_energies_as_a_figure(results: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    report, comparison = results["EnergyReport"], results["EnergyComparison"]
    frame = report.cores_frame()
    assert len(frame) == report.cores
    assert frame["synops"].sum() == pytest.approx(report.events["synops"])
    assert set(comparison.cores_frame()["board"]) == set(comparison.reports)
    for thing in (report, comparison, results["Diagnosis"]):
        assert thing.plot()._repr_png_().startswith(b"\x89PNG")
    (axes,) = comparison.plot().axes
    heights = sorted(bar.get_height() for bar in axes.patches)
    assert len(heights) == 2 * len(comparison.reports)
    total = sum(r.total_j for r in comparison.reports.values())
    assert sum(heights) == pytest.approx(total)


def test_everything_shows_itself(results: dict[str, Any]) -> None:
    for name, thing in results.items():
        text, html = repr(thing), thing._repr_html_()
        assert text.startswith(f"{name}(")
        assert "\n" not in text
        assert len(text) < 200
        assert html.count("<table>") == html.count("</table>") >= (name != "Deployment")
        assert html.count("<tr>") == html.count("</tr>") >= 2 * html.count("<table>")
        assert html.count("<pre>") == html.count("</pre>") >= 1
    assert '<td style="text-align: left">relu_1</td>' in results["Network"]._repr_html_()


def test_parts_are_one_short_line(q: nd.Network, results: dict[str, Any]) -> None:
    _, hidden, _ = q.integer.populations
    first, _ = q.integer.projections
    assert repr(hidden) == "Population(relu_1: IntegerNeuron, 3x4x4)"
    assert repr(first.connectivity) == "Conv(1x6x6 -> 3x4x4, 27 parameters)"
    assert repr(first) == f"IntegerProjection(input->relu_1: {first.connectivity!r})"
    record = "RunRecord(T = 3; spikes of input, relu_1; membranes of relu_1)"
    assert repr(results["Run"].record) == record
    assert repr(load_board("loihi1")).startswith("Board(loihi1: Intel Loihi, one chip")
    assert repr(q.analog) == "AnalogGraph(Sequential: 5 operations)"


def test_html_escapes_names(q: nd.Network) -> None:
    named = replace(q, netlist=replace(q.integer, name="<script>"))
    assert "&lt;script&gt;" in named._repr_html_()
    assert "<script>" not in named._repr_html_()


def test_an_exact_verification_and_another(results: dict[str, Any]) -> None:
    exact = results["Verification"]
    assert list(exact.mismatches) == ["reference", "engine"]
    exact.assert_exact()
    wrong = replace(exact, mismatches={**exact.mismatches, "engine": {"relu_1": 2}})
    with pytest.raises(AssertionError, match="2 mismatches"):
        wrong.assert_exact()
    nothing = replace(exact, compared_neuron_steps={})
    with pytest.raises(nd.MismatchError, match="nothing compared"):
        nothing.assert_exact()


def test_a_method_as_an_object_is_its_name_and_options(net: nd.Network, data: nd.Samples) -> None:
    same = nd.convert(module(), data, method=nd.methods.Graded(timesteps=3))
    assert network_to_bytes(same) == network_to_bytes(net)
    given = nd.methods.Graded(timesteps=2, levels=31)
    other = nd.convert(module(), data, method=given)
    assert other.netlist.timesteps == 2
    assert other.provenance["method"] == {
        **nd.convert(module(), data, method="graded", timesteps=2).provenance["method"],
        "levels": 31,
    }


def test_objects_and_paths_alike(
    q: nd.Network, dep: nd.Deployment, data: nd.Samples, tmp_path: Path
) -> None:
    nd.save(q, tmp_path / "q.ndn")
    q.save(tmp_path / "same.ndn")
    nd.save(tmp_path / "q.ndn", tmp_path / "copy.ndn")
    files = [(tmp_path / f"{name}.ndn").read_bytes() for name in ("q", "same", "copy")]
    assert files == [network_to_bytes(q)] * 3
    dep.save(tmp_path / "dep")
    few = data[:4]
    path = tmp_path / "q.ndn"
    assert nd.evaluate(path, few) == q.evaluate(few) == nd.evaluate(str(path), few)
    assert nd.diagnose(path, few).evaluations == q.diagnose(few).evaluations
    compiled = nd.compile(path, "brian2").run(few)
    for run in (compiled, nd.run(tmp_path / "dep", few), nd.load(tmp_path / "dep").run(few)):
        np.testing.assert_array_equal(run.spikes["relu_1"], dep.run(few).spikes["relu_1"])
    nd.verify(str(tmp_path / "dep"), "reference", few).assert_exact()
    report = nd.estimate_energy(path, "loihi2", few)
    assert report.total_j == q.energy("loihi2", few).total_j
    assert dep.energy(few, board="loihi2").events == report.events


def make() -> nn.Module:
    return module()


WRONG = {
    "a class": ("convert(MyNet, data)", r"the class MyNet .* MyNet\(\); pass a torch.nn.Module"),
    "a function": ("convert(make, data)", r"the function make instead of .* make\(\); pass"),
    "a state dict": ("convert(module.state_dict(), data)", "a state dict .*load_state_dict"),
    "swapped": ("convert(data, module)", r"Samples \(are two arguments swapped\?\); pass"),
    "an array first": ("convert(X, module)", "a value of type ndarray; pass a torch.nn.Module"),
    "converted": ("convert(net, data)", "is converted already; quantize it"),
    "no data": ("convert(module, module)", "a value of type Sequential; pass an array"),
    "a method's class": ("convert(module, data, method=nd.methods.Graded)", r"Graded\(\)"),
    "twice": (
        "convert(module, data, method=nd.methods.Graded(), timesteps=2)",
        r"timesteps is given beside the method; write Graded\(timesteps=2, \.\.\.\)",
    ),
    "quantized": ("quantize(q)", "is quantized already"),
    "a module": ("quantize(module)", r"a Sequential of torch \(convert it first\); pass a network"),
    "no netlist": ("Network(module)", "got Sequential; pass a RealNetlist or IntegerNetlist"),
    "a netlist": ("evaluate(q.netlist, data)", r"IntegerNetlist \(a network of it is Network"),
    "a deployment": ("evaluate(dep, data)", r"target brian2 \(its network is .network\)"),
    "data first": ("evaluate(data, q)", r"Samples \(are two arguments swapped\?\); pass a network"),
    "nothing": ("diagnose(None, data)", "got None; pass a network"),
    "the target first": ("compile('brian2', q)", "got the network .* a target's name: brian2"),
    "not compiled": ("run(q, data)", r"got the network Sequential; compile\(TARGET\) it first"),
    "not quantized": ("run(net, data)", r"quantize\(\) and compile\(TARGET\) it first"),
    "no executors": ("verify(dep, data, 'reference')", "pass names of executors as against"),
    "no board": ("estimate_energy(q, data, 'loihi1')", "board: got Samples .* pass a board"),
    "the path first": ("save('x.ndn', q)", "the network or deployment first, then the path"),
    "nothing to save": ("save(3, 'x.ndn')", "a value of type int; pass a network, a deployment"),
    "no path": ("load(q)", "got the network .*; pass the path"),
    "no number": ("evaluate(q, data, '5')", "the first '5' samples; pass a whole number"),
    "no whole number": ("evaluate(q, data, True)", "the first True samples; pass a whole number"),
    "no loss": ("convert(module, data, max_loss='1')", "max loss '1': expected a number"),
    "no error": ("convert(module, data, max_error=[1])", r"max error \[1\]: expected per cent"),
    "no longest run": (
        "convert(module, data, max_timesteps=2.5)",
        "timesteps 2.5: expected a",
    ),
    "no seed": ("convert(module, data, seed='a')", "seed 'a': expected a whole number"),
    "no calibration": (
        "convert(module, data, calibration_samples='9')",
        "calibration samples '9': expected a whole number",
    ),
    "no feedback": ("quantize(net, feedback='no')", "feedback 'no'; expected true or false"),
    "no metrics": ("evaluate(q, data, metrics='no')", "metrics 'no': expected true or false"),
    "no energy samples": (
        "sweep(module, data, energy_samples='9')",
        "energy samples '9': expected a whole number",
    ),
    "no file": ("Network.save(q, None)", "save: got NoneType; pass the path to write"),
    "no place": ("Deployment.save(dep, 3)", "save: got int; pass the path to write"),
    "no page": ("report(q, data, 3)", "save: got int; pass the path to write"),
    "no account": ("estimate_energy(q, 'loihi1', data, account=5)", "unknown account 5; known: "),
    "no encoder": ("convert(module, data, method='rate', input=data)", "unknown encoder Samples"),
    "data as executor": ("stream(q, data)", r"unknown executor of streams Samples\("),
    "no workers": ("evaluate(q, data, workers='2')", "workers '2': expected a whole number"),
    "no scheduler": ("evaluate(q, data, scheduler=2)", "scheduler 2: expected a text"),
    "no folder": ("read_deployed(3)", "got 3; pass the path of a folder of deploy"),
    "no name": ("Samples(X, name=3)", "name=3; pass a line of text"),
    "no placement": (
        "estimate_energy(q, 'loihi1', data, placement=3)",
        "placement 3: pass the path",
    ),
    "no real number": (
        "import_network('a.nir', dynamics='norse', dt='1ms')",
        "'1ms'; expected sec",
    ),
    "no steps": ("import_network('a.nir', timesteps='9')", "timesteps '9'; expected a whole"),
    "no spikes": ("import_network('a.nir', dynamics='lava', multi_spike='2')", "multi_spike '2'"),
    "no floor": ("import_network('a.nir', dynamics='lava', floor='low')", "floor 'low'; expected"),
    "no dynamics": ("import_network('a.nir', dynamics=3)", "unknown dynamics 3; known: exact"),
    "no input": ("import_network('a.nir', input=3)", "unknown input 3; known: current"),
    "no length": ("export(q, 'nir', 'a.nir', dt='1ms')", "dt '1ms'; expected seconds, as 1e-3"),
    "no whole workers": ("evaluate(q, data, workers=1.5)", "workers 1.5: expected a whole number"),
    "no bits": ("quantize(net, layer_bits=[3])", "layer_bits of type list; expected bits by layer"),
    "a name alone": ("run(dep, data, record='relu')", r"expected a list of names, as \['relu'\]"),
    "no result": ("html(3)", "got int; pass a network, a deployment or a result"),
    "no figure": ("plot(3)", "got int; pass a network, an evaluation"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_one_line(
    case: str, net: nd.Network, q: nd.Network, dep: nd.Deployment, data: nd.Samples
) -> None:
    call, message = WRONG[case]
    names = {
        "nd": nd,
        "MyNet": type("MyNet", (nn.Module,), {}),
        "module": module(),
        "make": make,
        "X": X,
        "net": net,
        "q": q,
        "dep": dep,
        "data": data,
    }
    refusals = (nd.UsageError, nd.NetlistError, nd.QuantizationError)
    with pytest.raises(refusals, match=message) as caught:
        eval(f"nd.{call}", names)
    assert "\n" not in str(caught.value)


def test_compile_of_a_real_valued_network_names_quantize(net: nd.Network) -> None:
    with pytest.raises(nd.NeurodeployError, match=r"quantize' first, or quantize\(\)"):
        net.compile("brian2")


def test_a_path_that_does_not_exist(data: nd.Samples, tmp_path: Path) -> None:
    for call in (
        lambda: nd.convert(tmp_path / "absent.onnx", data),
        lambda: nd.quantize(tmp_path / "absent.ndn"),
        lambda: nd.run(tmp_path / "absent", data),
        lambda: nd.load(tmp_path / "absent"),
    ):
        with pytest.raises(nd.NeurodeployError, match="absent"):
            call()
