"""The surrogate-gradient example, shortened: trained by snnTorch, imported, quantized, verified."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import neurodeploy as nd

TIMESTEPS = 4


def run(python: Path, repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        [python, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_residual_network_of_snntorch_is_trained_and_deployed(
    tmp_path: Path, frameworks_python: Path, lava_python: Path, repository: Path
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    pytest.importorskip("brian2")
    folder = repository / "examples" / "surrogate"
    weights, written = str(tmp_path / "weights.pt"), tmp_path / "net.ndn"
    told = run(
        frameworks_python,
        repository,
        str(folder / "train_surrogate.py"),
        *("--epochs", "3", "-o", weights),
    )
    trained = re.search(r"([\d.]+) % of 355 test images", told)
    assert trained
    source = float(trained[1])
    assert source > 50
    run(
        frameworks_python,
        repository,
        *("-m", "neurodeploy", "import", f"{folder / 'spiking_resnet.py'}:digits_network", weights),
        *("--shape", "1x8x8", "--input", "current", "--levels", "16"),
        *("--timesteps", str(TIMESTEPS), "-o", str(written)),
    )
    real = nd.load(written)
    assert isinstance(real, nd.Network)
    # The netlist is computed in another precision: a membrane at its threshold may fall either way.
    found = real.evaluate("digits").accuracy
    assert found == pytest.approx(source / 100, abs=1.01 / 355)
    integer = real.quantize(8)
    kept = integer.evaluate("digits").accuracy
    assert kept is not None
    assert kept > found - 0.02
    deployment = integer.compile("lava")
    against = ["reference", "engine", "brian2"]
    deployment.verify("digits", 2, against=against).assert_exact()


def test_training_without_its_data_is_one_line(
    tmp_path: Path, frameworks_python: Path, repository: Path
) -> None:
    script = str(repository / "examples" / "surrogate" / "train_surrogate.py")
    absent = str(tmp_path / "absent")
    done = subprocess.run(
        [frameworks_python, script, "--mnist", absent, "-o", str(tmp_path / "weights.pt")],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"train_surrogate\.py: .*no such file or folder\n", done.stderr)
