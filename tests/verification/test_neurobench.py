"""Metrics of NeuroBench: by hand, for any parts of the samples, and as its own package counts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.execution import run_engine
from neurodeploy.testing import NetlistBuilder
from neurodeploy.verification.neurobench import Counts, count, metrics_of


def test_two_neurons_by_hand() -> None:
    """Three inputs, two neurons, four steps; every figure by hand."""
    weight = np.array([[5, 0, -1], [3, 3, 0]])
    netlist = NetlistBuilder(T=4).input("x", (3,)).dense(weight, threshold=6).output()
    x = np.array([[[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]])
    counts = count(netlist, {"x": x})
    # v: 5, 10 - 6 = 4, 4, 3 and 3, 9 - 6 = 3, 3, 3
    assert counts == Counts(
        samples=1,
        neuron_steps=8,
        spikes=2,
        macs=0,
        acs=2 + 3 + 0 + 1,
        dense=4 * 6,
        updates=2 + 1 + 0 + 1,
    )
    found = metrics_of(netlist, counts)
    assert found.footprint == 6 * 1 + 1 * 4
    assert found.state_bytes == 2 * 4
    assert (found.connection_sparsity, found.activation_sparsity) == (2 / 6, 6 / 8)


def test_values_that_are_no_spikes_are_multiplied() -> None:
    netlist = (
        NetlistBuilder(T=3)
        .input("x", (2,), kind="current")
        .dense(np.array([[2, 0], [1, 1]]), threshold=4)
        .dense(np.array([[1, 1]]), threshold=1)
        .output()
    )
    x = {"x": np.array([[3, 0], [0, 1]])}
    counts = count(netlist, x)
    # A current acts in each of the three steps: on neurons 0 and 1, and on neuron 1 alone.
    assert counts.macs == 3 * 2 + 3 * 1
    hidden = run_engine(netlist, x).spikes[netlist.populations[1].name]
    assert counts.acs == np.count_nonzero(hidden) > 0


def test_parts_add_up() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-4, 5, (5, 8))
    netlist = NetlistBuilder(T=6).input("x", (8,)).dense(weight, threshold=7).output()
    x = rng.integers(0, 2, (10, 6, 8))
    parts = [count(netlist, {"x": x[i : i + 3]}) for i in range(0, 10, 3)]
    assert sum(parts, Counts()) == count(netlist, {"x": x})


def test_the_package_counts_the_same(frameworks_python: Path, repository: Path) -> None:
    if subprocess.run(
        [frameworks_python, "-c", "import neurobench"], capture_output=True
    ).returncode:
        pytest.skip("the frameworks are not installed: neurobench; make setup-frameworks")
    done = subprocess.run(
        [frameworks_python, "-m", "tests.verification.package_metrics"],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["network"] for row in found] == ["dense", "convolutional"]
    for row in found:
        ours = {name: row["ours"][name] for name in row["package"]}
        # The package rounds this one.
        ours["connection_sparsity"] = round(ours["connection_sparsity"], 4)
        assert ours == row["package"]
        assert row["ours"]["effective_acs"] > 100
        assert 0.1 < row["ours"]["activation_sparsity"] < 0.9
