"""Build the distribution and try it as users get it, in empty environments.

    python scripts/try_wheel.py [CASE ...] [--folder DIR]

The wheel is built from the source distribution, so that what is missing there is missing here; it
holds a native library, and is for the Python that runs this.
Every case is a Python, an extra, and what has to work: commands outside of the tree. Interpreters
are found as ``make setup`` finds them; a case without one is told and counts as failed. pip takes
the newest of everything, of PyTorch as well, with CUDA on Linux;
``PIP_CONSTRAINT=requirements/main-3.11.txt`` keeps it to the versions of a lock.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from email import message_from_bytes
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from setup_environments import CLEAN, ROOT, Environment, find_interpreter

CONFORMS = (
    "from neurodeploy.testing import assert_conforms; "
    "assert_conforms({0!r}, cases=['dense_spikes']); print({0!r}, 'conforms')"
)
BARE = """
import neurodeploy as nd
from neurodeploy.testing import NetlistBuilder
net = nd.Network(NetlistBuilder(T=8).input("x", (1, 8, 8)).conv(4, threshold=60).dense(10).output())
net.save("small.ndn")
assert nd.load("small.ndn").netlist == net.netlist
print(nd.__version__, sorted(nd.list_targets()), len(nd.list_boards()), "boards")
"""
CONVERT = """
import torch, neurodeploy as nd
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(),
                             torch.nn.Linear(16, 10))
x = torch.rand(64, 1, 8, 8)
net = nd.convert(module, nd.Samples(x.numpy()), method="rate", timesteps=8)
net = net.quantize(8, fit="loihi1")
net.save("net.ndn")
print(net)
"""
REPORTED = "nd.load('net.ndn').energy(['loihi1'], nd.Samples('digits@test')[:5])"
CASES = {
    "bare-3.12": ("3.12", "", [BARE, CONFORMS.format("truenorth")]),
    "bare-3.13": ("3.13", "", [BARE, CONFORMS.format("truenorth")]),
    "brian2-3.12": ("3.12", "[brian2]", [BARE, CONFORMS.format("brian2")]),
    "brian2-3.13": ("3.13", "[brian2]", [BARE, CONFORMS.format("brian2")]),
    "torch-3.11": ("3.11", "[torch]", [BARE, CONVERT]),
    "all-3.11": ("3.11", "[all]", [CONVERT, f"import neurodeploy as nd; print({REPORTED})"]),
    "lava-3.10": ("3.10", "[lava,brian2]", [BARE, CONFORMS.format("lava")]),
}
COMMANDS = (["doctor"], ["boards"], ["methods"], ["inspect", "{network}"])


def said(command: list[str], folder: Path) -> str:
    """Run a command outside of the tree; return its last line, or stop with all that it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**CLEAN, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def built(folder: Path) -> tuple[Path, Path]:
    """Return the source distribution and the wheel of this Python."""
    maker = folder / "maker"
    said([sys.executable, "-m", "venv", str(maker)], folder)
    python = str(maker / "bin" / "python")
    said([python, "-m", "pip", "install", "-q", "build", "setuptools>=77", "twine"], folder)
    said([python, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], folder)
    wheels, archives = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    files = [str(path) for path in wheels + archives]
    print(f"built {', '.join(Path(name).name for name in files)}")
    print(said([python, "-m", "twine", "check", "--strict", *files], folder), flush=True)
    print("project URLs:", "; ".join(project_urls(wheels[0])) or "none: no public address")
    return archives[0], wheels[0]


def project_urls(wheel: Path) -> list[str]:
    """Return names and addresses that PyPI would show beside the project."""
    with zipfile.ZipFile(wheel) as opened:
        [name] = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(opened.read(name))
    return list(said.get_all("Project-URL", []))


def tried(name: str, archive: Path, wheel: Path, folder: Path) -> bool:
    """Install one case and run what has to work."""
    version, extra, programs = CASES[name]
    wanted = Environment(
        name, name, (version,), f"NEURODEPLOY_PYTHON{version.replace('.', '')}", ""
    )
    interpreter = find_interpreter(wanted, sys.executable)
    if interpreter is None:
        print(f"{name}: no Python {version}")
        return False
    began = time.monotonic()
    here = folder / name
    said([interpreter.path, "-m", "venv", str(here)], folder)
    python = str(here / "bin" / "python")
    print(f"{name}: Python {interpreter.version}, pip install neurodeploy{extra}", flush=True)
    # Elsewhere pip makes the wheel of the source distribution, with the compiler that is there.
    given = wheel if f"-cp{version.replace('.', '')}-" in wheel.name else archive
    said([python, "-m", "pip", "install", "-q", "--no-compile", f"{given}{extra}"], here)
    said([python, "-m", "pip", "check"], here)
    for program in programs:
        print(f"  {said([python, '-c', program], here)}", flush=True)
    network = next(iter(here.glob("*.ndn")))
    for command in COMMANDS:
        words = [word.format(network=network) for word in command]
        said([str(here / "bin" / "neurodeploy"), *words], here)
    print(f"  {len(COMMANDS)} commands, {time.monotonic() - began:.0f} s", flush=True)
    return True


def main() -> int:
    """Build, and try the named cases (all)."""
    parser = argparse.ArgumentParser(description="Try the wheel as users get it.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in (a temporary one)")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"unknown case {unknown.pop()!r}; known: {', '.join(CASES)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        archive, wheel = built(folder)
        results = [tried(name, archive, wheel, folder) for name in arguments.cases or CASES]
        return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
