"""What goes wrong while the native engine runs: errors in callbacks, no memory, copies, forks."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.testing.parts import dense, net, neuron, project, spikes
from tests.execution.emulated import needs_kernels

pytestmark = needs_kernels
ROOT = Path(__file__).resolve().parents[2]


def engine(threads: int = 1) -> NativeEngine:
    rng = np.random.default_rng(0)
    layers = [spikes("in", (9,)), neuron("h", (5,), 30)]
    netlist = net("small", layers, [project("in", "h", dense(rng, 5, (9,)))], ["h"])
    return NativeEngine(netlist, library.load(), batch_size=1, threads=threads)


def samples(number: int) -> dict[str, np.ndarray]:
    return {"in": np.random.default_rng(1).integers(0, 2, (number, 12, 9))}


def alone(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which a wrong pointer may end."""
    lead = """
        import numpy as np
        from tests.execution.test_native_faults import engine, samples
    """
    text = textwrap.dedent(lead) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_progress_ends_the_run(kind: type[BaseException], threads: int) -> None:
    ours, calls = engine(threads), []

    def progress(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        ours.run(samples(3000), progress=progress)
    assert len(calls) < 2 + 4 * threads
    # What was interrupted leaves nothing behind.
    again = ours.run(samples(4)).spikes["h"]
    np.testing.assert_array_equal(again, engine().run(samples(4)).spikes["h"])


def test_copies_do_not_free_what_they_share() -> None:
    done = alone("""
        import copy
        first = engine()
        first.run(samples(2))
        second = copy.copy(first)
        del first
        second.run(samples(2))
        del second
        kept = engine()  # freed while the interpreter ends
        kept.run(samples(2))
        print("ended")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_addresses_are_not_pickled() -> None:
    for action in (pickle.dumps, copy.deepcopy):
        with pytest.raises((TypeError, ValueError, AttributeError), match="pickle"):
            action(engine())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_runs_after_threads() -> None:
    done = alone("""
        import os
        ours = engine(threads=2)
        want = ours.run(samples(6)).spikes["h"]
        child = os.fork()
        same = (ours.run(samples(6)).spikes["h"] == want).all()
        if child == 0:
            os._exit(0 if same else 1)
        assert same and os.waitpid(child, 0)[1] == 0
        print("ended")
    """)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
def test_a_run_goes_on_after_memory_was_short() -> None:
    done = alone("""
        import resource
        from neurodeploy.ir.connectivity import identity
        from neurodeploy.execution.native.engine import NativeEngine
        from neurodeploy.execution.native.library import load
        from neurodeploy.testing.parts import net, neuron, project, spikes

        # A cycle keeps the input of all steps, everything its events: 48 MB each.
        n, T = 2000, 6000
        layers = [spikes("in", (n,)), neuron("h", (n,), 2), neuron("out", (n,), 1)]
        pairs = [("in", "h"), ("h", "h"), ("h", "out")]
        links = [project(pre, post, identity((n,))) for pre, post in pairs]
        netlist = net("cycle", layers, links, [], T)
        stimulus = np.zeros((1, T, n), dtype=np.int64)
        stimulus[:, ::50, ::7] = 1

        def run(engine):
            return engine.summarize({"in": stimulus}).spikes_per_sample

        def used():
            with open("/proc/self/statm") as told:
                return int(told.read().split()[0]) * resource.getpagesize()

        ours, failed = NativeEngine(netlist, load(), threads=1), 0
        for spare in range(0, 600, 16):
            limit = used() + (spare << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            try:
                found = run(ours)
                break
            except MemoryError as error:
                failed += "no memory for the events of a sample" in str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        assert failed > 2
        for name, values in run(NativeEngine(netlist, load(), threads=1)).items():
            assert (found[name] == values).all() and values.min() > 0
        print("ended")
    """)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
