"""The speed benchmark: its quick mode end to end, its clock, and the network that peers get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.conversion.networks import ROOT
from benchmarks.speed import __main__ as command
from benchmarks.speed.cases import CASES, QUICK_CASE, check_present, chosen, converted
from benchmarks.speed.contender import Contender, OwnClock, time_in_turn
from benchmarks.speed.machine import machine
from benchmarks.speed.report import figure, ratios

torch = pytest.importorskip("torch")


def speed(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--quick", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_quick_mode_measures_compares_and_keeps_its_conversion(tmp_path: Path) -> None:
    cache, told = tmp_path / "cache", tmp_path / "told.json"
    options = ("--contenders", "ours,ann,real,reference", "--rounds", "1", "--batch", "1,3")
    done = speed(*options, "--cache", str(cache), "--json", str(told))
    assert done.returncode == 0, done.stderr
    assert "equal the reference" in done.stdout
    found = json.loads(told.read_text())
    assert found["machine"]["torch_capability"]
    assert [r["batch"] for r in found["results"]] == [1, 3]
    assert [r["compared"] for r in found["results"]] == [1, 2]
    for result in found["results"]:
        rows = {c["key"]: c for c in result["contenders"]}
        assert set(rows) == {"ours", "ann", "real", "reference"}
        assert all(c["ms_per_image"] > 0 for c in rows.values())
        assert rows["ann"]["answers_as_source"] == 1.0
    (folder,) = cache.iterdir()
    kept = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    assert set(kept) == {"real.ndn", "quantized.ndn", "seconds.json"}
    again = converted(QUICK_CASE, cache)
    assert {f.name: f.stat().st_mtime_ns for f in folder.iterdir()} == kept
    assert again.convert_s == found["results"][0]["convert_cpu_s"]


def test_evaluate_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    options = ("--what", "evaluate", "--images", "16", "--cache", str(tmp_path / "cache"))
    done = speed(*options, "--json", str(told))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(told.read_text())["results"]
    assert result["images"] == 16
    assert 0 < result["evaluate_cpu_s"] <= result["process_cpu_s"]
    assert result["peak_mb"] > 10


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="two cores are needed",
)
def test_threads_are_measured_idle_and_busy(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    options = ("--what", "threads", "--rounds", "1", "--batch", "8")
    done = speed(*options, "--cache", str(tmp_path / "cache"), "--json", str(told))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(told.read_text())["results"]
    for state in ("idle", "busy"):
        assert set(result["images_per_s"][state]) == {"1", "2"}
        assert all(rate > 0 for rate in result["images_per_s"][state].values())


def test_what_is_mistyped_or_missing_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    done = speed("--contenders", "ours,speedy")
    assert done.returncode == 2
    assert "--contenders speedy: expected some of" in done.stderr
    with pytest.raises(SystemExit, match="--networks lenet: expected some of"):
        chosen("lenet")
    monkeypatch.setattr("benchmarks.speed.cases.model_of", lambda _: ("x", Path("/absent/x.pt")))
    with pytest.raises(SystemExit, match=r"/absent/x\.pt: not found; .*--quick"):
        check_present([CASES[0]])
    check_present([QUICK_CASE])


def test_a_result_that_differs_ends_the_benchmark(tmp_path: Path) -> None:
    from benchmarks.speed.cases import quick_images
    from benchmarks.speed.ours import engine_contender, truth_of
    from neurodeploy.api import stimulus_for

    net = converted(QUICK_CASE, tmp_path).quantized
    stimulus, _ = stimulus_for(net, quick_images(), 4)
    truth = truth_of(net.integer, stimulus, 2)
    contender = engine_contender(stimulus, truth)
    time_in_turn([contender], 1)
    name = net.integer.outputs[0].population
    own = contender.last.traces[name].copy()
    # Beyond the sample nothing is known; within it, one digit too many is seen.
    own[3] += 1
    contender.check(replace(contender.last, traces={name: own}))
    own[1, -1] += 1
    with pytest.raises(SystemExit, match=f"answers of {name}: not those of the reference"):
        contender.check(replace(contender.last, traces={name: own}))
    counts = {k: v.copy() for k, v in contender.last.spikes_per_sample.items()}
    counts["input"][0] += 1
    with pytest.raises(SystemExit, match="spikes of input: not as many"):
        contender.check(replace(contender.last, spikes_per_sample=counts))
    other, _ = stimulus_for(net, quick_images())
    wrong = {k: v[50:] for k, v in other.items()}
    with pytest.raises(SystemExit, match="not those of the reference"):
        engine_contender(wrong, truth)


def test_networks_are_chosen_by_name_or_in_full() -> None:
    assert chosen("") == list(CASES)
    assert [c.timesteps for c in chosen("swish_cifar10")] == [8, 32]
    assert [c.name for c in chosen("vgg_cifar10/graded/4")] == ["vgg_cifar10/graded/4"]


def test_both_lists_of_contenders_are_one() -> None:
    from benchmarks.speed.engine import CONTENDERS

    assert command.CONTENDERS == CONTENDERS
    assert set(CONTENDERS) > command.IN_PEERS_ENVIRONMENT


def test_the_clock_counts_work_and_not_waiting() -> None:
    waiting = Contender("a", "a", lambda: time.sleep(0.001))
    own = Contender("b", "b", lambda: OwnClock(7.0), rounds=1)
    absent = Contender("c", "c", None, "why")
    time_in_turn([waiting, own, absent], 3)
    assert len(waiting.seconds) == 3
    assert waiting.median_s < 0.0005
    assert own.seconds == [7.0]
    assert absent.seconds == []


def test_short_runs_are_repeated() -> None:
    calls: list[int] = []
    short = Contender("a", "a", lambda: calls.append(1))
    time_in_turn([short], 2)
    assert short.repeats > 100
    assert len(calls) == 1 + 2 * short.repeats


def test_ratios_are_over_the_source_network_and_under_spikingjelly() -> None:
    times = {"ours": 2.0, "ann": 0.5, "spikingjelly": 20.0, "norse": None}
    rows = ratios({"contenders": [{"key": k, "ms_per_image": t} for k, t in times.items()]})
    assert [r["times_ann"] for r in rows] == [4.0, 1.0, 40.0, None]
    assert [r["faster_than_spikingjelly"] for r in rows] == [10.0, 40.0, 1.0, None]
    assert [figure(v) for v in (None, 0.0123, 4.0, 41.25, 1234.5)] == [
        "-",
        "0.0123",
        "4.00",
        "41.2",
        "1,234",
    ]


def test_the_machine_is_described() -> None:
    told = machine()
    assert told["processor"]
    assert told["torch"] == torch.__version__


class _Integrate(torch.nn.Module):
    """The neuron that every peer is asked for."""

    def forward(self, currents: Any) -> Any:
        v, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            v = v + current
            spikes.append((v >= 1).to(v.dtype))
            v = v - spikes[-1]
        return torch.stack(spikes)


class _Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.bn = torch.nn.BatchNorm2d(4)
        self.conv2 = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn(self.conv1(x)))
        x = torch.nn.functional.relu(self.conv2(x) + x)
        x = torch.nn.functional.avg_pool2d(x, x.size()[3])
        return self.linear(x.view(x.size(0), -1))


def test_the_network_of_the_peers_codes_the_source_network() -> None:
    from benchmarks.speed.balanced import NoNeuron, halves
    from benchmarks.speed.float_peers import _layer_by_layer

    torch.manual_seed(0)
    network = _Residual().eval()
    x = torch.rand(6, 1, 6, 6)
    net = halves(network, x)
    assert net.neurons == 2
    T = 512
    run = _layer_by_layer(net, x, T, _Integrate, lambda _: None)
    with torch.no_grad():
        expected = network(x)
    np.testing.assert_allclose(run().numpy() / T, expected.numpy(), atol=0.02)
    with pytest.raises(NoNeuron, match="no spiking neuron for SiLU"):
        halves(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.SiLU()), x)


def test_batch_norms_are_folded_and_answers_stay() -> None:
    from benchmarks.speed.cases import quick_network
    from benchmarks.speed.source import folded, source_contender

    network, x = quick_network(), torch.rand(4, 1, 8, 8)
    model = folded(network)
    assert not [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    contender = source_contender(network, x)
    assert contender.run is not None
    with torch.no_grad():
        np.testing.assert_allclose(contender.run().numpy(), network(x).numpy(), atol=1e-5)
