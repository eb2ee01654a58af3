"""Programs that need brian2 and numpy alone: run where neurodeploy cannot be imported."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import CapacityError, UnknownNameError, UsageError
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder
from neurodeploy.testing.cases import case, expected, stateful
from neurodeploy.testing.conformance import union

pytest.importorskip("brian2", reason="the programs are Brian2's")

WITHOUT_NEURODEPLOY = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("neurodeploy", "targets", "safetensors", "torch", "h5py"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def ran(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", WITHOUT_NEURODEPLOY, str(program), *arguments],
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )


CHOSEN = (
    *(
        "all_of_it",
        "graded_reset_next",
        "maximum_now",
        "memory",
        "phases_3",
        "powers_of_two_signed",
    ),
    *("dense_current", "conv2d_asymmetric", "recurrent_two_populations", "pool_signed_overlapping"),
)


def test_cases_run_in_one_program_with_every_spike(tmp_path: Path) -> None:
    """Conformance cases side by side: two samples, one behind the other."""
    chosen = [case(name) for name in CHOSEN]
    chosen = [
        dataclasses.replace(c, stimulus={n: x[:2] for n, x in c.stimulus.items()}) for c in chosen
    ]
    whole = union(chosen, "cases")
    program, stimulus, out = (tmp_path / n for n in ("net.py", "in.npz", "out.npz"))
    nd.Network(whole.netlist).export("brian2", program)
    np.savez(stimulus, **whole.stimulus)
    done = ran(program, str(stimulus), "-o", str(out))
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(out)
    record = run_reference(whole.netlist, whole.stimulus, membranes=stateful(whole.netlist))
    for name in (n for n in found if n.endswith(".membrane")):
        wanted = record.membranes[name.removesuffix(".membrane")]
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
    compared = 0
    for name, spikes in record.spikes.items():
        if name in found:
            np.testing.assert_array_equal(found[name], spikes, err_msg=name)
            compared += 1
        else:
            assert not spikes.any(), name
    assert compared > len(chosen)


def _small() -> nd.Network:
    return nd.Network(case("dense_spikes").netlist)


def test_the_same_network_is_the_same_program(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    for path in (one, other):
        found = _small().export("brian2", path)
    assert one.read_bytes() == other.read_bytes()
    assert found.to_dict()["to"] == "brian2"
    text = one.read_text()
    assert "import neurodeploy" not in text
    assert str(tmp_path) not in text


def test_outputs_are_printed_and_a_wrong_stimulus_is_one_line(tmp_path: Path) -> None:
    program, stimulus = tmp_path / "net.py", tmp_path / "in.npz"
    c = case("dense_spikes")
    _small().export("brian2", program)
    np.savez(stimulus, **c.stimulus)
    done = ran(program, str(stimulus))
    record = expected("dense_spikes")
    lines = []
    for output in c.netlist.outputs:
        name, counts = output.population, output.decode == "counts"
        told = record.spikes[name].sum(axis=1) if counts else record.membranes[name][:, -1]
        what = "spikes" if counts else "membrane"
        lines += [f"sample {b}: {name}: {what} {v.tolist()}" for b, v in enumerate(told)]
    assert done.stdout.strip().splitlines() == lines
    for values, text in (
        ({}, "no array"),
        ({name: x[:, :-1] for name, x in c.stimulus.items()}, "expected integers"),
        ({name: x + 9 for name, x in c.stimulus.items()}, "expected 0 to"),
    ):
        np.savez(stimulus, **values)
        done = ran(program, str(stimulus))
        assert done.returncode == 1
        assert text in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    real = nd.Network(case("dense_spikes").netlist)
    with pytest.raises(UsageError, match=r"net.txt: choose a name that ends in \.py"):
        real.export("brian2", tmp_path / "net.txt")
    with pytest.raises(UsageError, match="dynamics norse: brian2 files have none"):
        real.export("brian2", tmp_path / "net.py", dynamics="norse")
    huge = NetlistBuilder(T=10_000).input("x", (400,), high=200).dense(3, threshold=2**23 - 9)
    with pytest.raises(CapacityError, match="target brian2"):
        nd.Network(huge.output()).export("brian2", tmp_path / "net.py")
    known = "unknown format 'truenorth'; known: brian2, net, nir, sanafe"
    with pytest.raises(UnknownNameError, match=known):
        real.export("truenorth", tmp_path / "net.py")
