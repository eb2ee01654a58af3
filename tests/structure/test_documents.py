"""The documents name what is there, and tell `convert` as it is."""

from __future__ import annotations

import importlib
import re
import traceback
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("neurodeploy", "targets", "boards", "tests", "benchmarks", "examples", "docs", "scripts")
GROUPS = {"neurodeploy.methods", "neurodeploy.targets"}
"""Groups of entry points, which are no modules, or not only."""


def paths(text: str) -> set[str]:
    """Paths between back quotes (of this tree, by their first folder), and targets of links."""
    quoted = re.findall(r"`([\w.-]+/[\w./*-]*)`", text)
    inner = {p.name for p in (ROOT / "neurodeploy").iterdir() if p.is_dir()}
    known = {path for path in quoted if path.split("/")[0] in {*FOLDERS, *inner}}
    return known | {link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link}


def exists(path: str, page: Path) -> bool:
    for folder in (ROOT, page.parent, ROOT / "neurodeploy"):
        if any(folder.glob(path)) if "*" in path else (folder / path).exists():
            return True
    return False


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    found = paths(page.read_text(encoding="utf-8"))
    placeholders = {path for path in found if "NAME" in path}
    assert [path for path in sorted(found - placeholders) if not exists(path, page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_exists(page: Path) -> None:
    names = set(re.findall(r"\bneurodeploy(?:\.[A-Za-z_]\w*)+", page.read_text(encoding="utf-8")))
    assert [name for name in sorted(names - GROUPS) if not resolves(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_benchmark_exists(page: Path) -> None:
    modules = set(re.findall(r"python -m (benchmarks[\w.]*)", page.read_text(encoding="utf-8")))
    for module in modules:
        path = ROOT / Path(*module.rstrip(".").split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_what_is_not_there_is_found() -> None:
    assert paths("`targets/absent.py` and [a page](absent.md), not `a/b`") == {
        "targets/absent.py",
        "absent.md",
    }
    assert not exists("targets/absent.py", ROOT / "README.md")
    assert not resolves("neurodeploy.absent")
    assert not resolves("neurodeploy.ir.neurons.Absent")
    assert resolves("neurodeploy.ir.neurons.MaxPool.maximum")


def test_the_first_population_is_made_in_the_files_that_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    import neurodeploy as nd

    nn = torch.nn
    # Of some weights no image drives a neuron, and that network is refused.
    torch.manual_seed(0)
    stacks: list[list[str]] = []
    created = nd.Population.__post_init__

    def watched(population: nd.Population) -> None:
        stacks.append([frame.filename for frame in traceback.extract_stack()])
        created(population)

    monkeypatch.setattr(nd.Population, "__post_init__", watched)
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = np.random.default_rng(0).random((16, 4), dtype=np.float32)
    nd.convert(module, nd.Samples(x), method="rate", timesteps=4)
    inside = [Path(name) for name in stacks[0] if str(ROOT / "neurodeploy") in name]
    # The stack begins behind __init__.py, which only looks the name up, and ends in the class;
    # decorators show progress and choose the device.
    files = list(dict.fromkeys(str(path.relative_to(ROOT)) for path in inside))
    around = ("notebook.py", "numerics/device.py", "ir/population.py")
    between = [f for f in files if f not in {f"neurodeploy/{name}" for name in around}]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## `convert`, from")[1].split("\n## ")[0]
    told = re.findall(r"^\d\. `([^`]+)`", section, re.MULTILINE)
    assert told == ["neurodeploy/__init__.py", *between]
    assert len(told) <= 4
