"""The layers of the tree, enforced on the imports of every file."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "neurodeploy"

RANKS = {
    "errors": 0,
    "version": 0,
    "registry": 1,
    "notebook": 1,
    "json_values": 1,
    "loading": 1,
    "numerics": 1,
    "distribution": 2,
    "ir": 2,
    "source": 3,
    "network": 4,
    "boards": 4,
    "conversion": 5,
    "quantization": 5,
    "exchange": 6,
    "execution": 5,
    "datasets": 5,
    "hardware": 6,
    "targets": 7,
    "verification": 8,
    "diagnosis": 9,
    "sweeps": 9,
    "testing": 9,
    "stages": 10,
    "render": 11,
    "api": 12,
    "cli": 14,
    "__main__": 15,
}
ORDERS = {
    "source": {"evaluation": 1, "torch": 2, "onnx": 3},
    "conversion": {"lowering": 1, "calibration": 2, "method": 3, "registry": 4, "methods": 5},
    "execution": {"native": 1, "pytorch": 1},
    "hardware": {"boards": 1, "cut": 2, "fit": 3, "place": 3, "price": 4, "search": 5},
}
"""Order of the rooms inside a layer: none looks into one above or beside it.

What is not listed are single files that lie below all of them and may import each other.
"""
FORBIDDEN_TO_TARGETS = ("neurodeploy.ir.reference", "neurodeploy.execution")
HEAVY = {"torch", "lava", "brian2", "networkx"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def source_files() -> list[Path]:
    found: list[Path] = []
    for folder in [PACKAGE, PACKAGE / "targets", PACKAGE / "boards"]:
        # pathlib follows no links below the folder that it is asked for.
        found += [p for p in folder.rglob("*.py") if "__pycache__" not in p.parts]
    return sorted(set(found))


SOURCES = {module_name(path): path for path in source_files()}


def imports(tree: ast.AST, module: str) -> set[str]:
    """Modules that a file imports anywhere in it, `from package import module` resolved."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            assert node.module is not None
            names.add(node.module)
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in SOURCES:
                    names.add(full)
    return names


@functools.cache
def imports_of(name: str) -> set[str]:
    """What a module of :data:`SOURCES` imports."""
    return imports(ast.parse(SOURCES[name].read_text(encoding="utf-8")), name)


def layer(module: str) -> str | None:
    """Second part of a dotted name; None for the top package, which stands above all."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def room(module: str) -> str | None:
    """Third part of a dotted name; None for a layer itself, which opens its rooms to the others."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 else None


def import_faults(module: str, imported: set[str]) -> list[str]:
    """Every import of one module that breaks a rule."""
    own = layer(module)
    if own is None:
        return []
    faults = []
    for name in sorted(imported):
        if name.split(".")[0] in ("targets", "boards", "tests"):
            faults.append(f"{module} imports {name}, which is no installed name")
        other = layer(name) if name.split(".")[0] == "neurodeploy" else None
        if other is None:
            continue
        if other not in RANKS:
            faults.append(f"{module} imports {name}, whose layer has no rank")
        elif other != own and RANKS[other] >= RANKS[own]:
            faults.append(f"{module} (rank {RANKS[own]}) imports {name} (rank {RANKS[other]})")
        if other == own and own in ORDERS:
            order, here, there = ORDERS[own], room(module), room(name)
            if here and there and here != there:
                mine, theirs = order.get(here, 0), order.get(there, 0)
                if theirs > mine or theirs == mine > 0:
                    faults.append(f"{module} (room {mine}) imports {name} (room {theirs})")
        if own == "targets":
            if name.startswith(FORBIDDEN_TO_TARGETS):
                faults.append(f"{module} imports {name}: a target may not see what it is held to")
            here, there = room(module), room(name)
            both = {f"neurodeploy.targets.{part}" for part in (here, there)}
            packages = {p for p in both if SOURCES.get(p, Path()).name == "__init__.py"}
            if other == "targets" and here != there and len(packages) == 2:
                faults.append(f"{module} imports {name}: targets are siblings")
    return faults


DOORS = {"network", "notebook", "stages.reported", "targets.deployment"}
"""Whose objects have the public functions as methods, and import the package for them."""


def test_nothing_imports_the_whole_package_from_inside() -> None:
    for name, path in SOURCES.items():
        if layer(name) in ("cli", "__main__", None) or name.removeprefix("neurodeploy.") in DOORS:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^ *(from neurodeploy import|import neurodeploy as)", text, re.M), (
            name
        )


TOGETHER = {
    ("neurodeploy.targets.lava.stream", "neurodeploy.targets.lava.target"),
    ("neurodeploy.targets.truenorth.deployment", "neurodeploy.targets.truenorth.stream"),
}
"""A deployment opens its stream, which runs on it: one thing in two files."""


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = nx.DiGraph(
        (module, name)
        for module in SOURCES
        for name in imports_of(module) & set(SOURCES)
        # A package's face hands names on, and its doors are told above.
        if SOURCES[module].name != "__init__.py" and SOURCES[name].name != "__init__.py"
    )
    circles = {tuple(sorted(c)) for c in nx.strongly_connected_components(graph) if len(c) > 1}
    assert circles == TOGETHER


def test_the_scan_sees_both_linked_folders() -> None:
    assert {"neurodeploy.errors", "neurodeploy.ir", "neurodeploy.targets"} <= set(SOURCES)
    assert (PACKAGE / "targets").is_symlink()
    assert (PACKAGE / "boards").is_symlink()


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer(name) for name in SOURCES} - {None} <= set(RANKS)


def test_every_folder_inside_an_ordered_layer_has_a_place() -> None:
    for name, order in ORDERS.items():
        assert set(order) <= {room(module) for module in SOURCES if layer(module) == name}
        folders = {
            room(module)
            for module, path in SOURCES.items()
            if layer(module) == name and path.name == "__init__.py"
        }
        assert folders - {None} <= set(order), name


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_keep_to_the_layers(module: str) -> None:
    assert import_faults(module, imports_of(module)) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("neurodeploy.ir.netlist", "neurodeploy.conversion.methods.rate"),
        ("neurodeploy.conversion.methods.rate", "neurodeploy.quantization.weights"),
        ("neurodeploy.quantization.weights", "neurodeploy.execution.pytorch.engine"),
        ("neurodeploy.render.text", "neurodeploy.cli.options"),
        ("neurodeploy.targets.lava.worker", "neurodeploy.ir.reference"),
        ("neurodeploy.targets.lava.worker", "neurodeploy.execution"),
        ("neurodeploy.verification.compare", "targets.lava"),
        ("neurodeploy.hardware.count", "neurodeploy.common"),
        ("neurodeploy.hardware.cut.partition", "neurodeploy.hardware.place.placement"),
        ("neurodeploy.hardware.price.estimate", "neurodeploy.hardware.search"),
        ("neurodeploy.conversion.lowering.units", "neurodeploy.conversion.calibration.thresholds"),
        ("neurodeploy.conversion.calibration.silence", "neurodeploy.conversion.methods.rate"),
        ("neurodeploy.execution.native.engine", "neurodeploy.execution.pytorch.engine"),
        ("neurodeploy.execution.order", "neurodeploy.execution.native.links"),
        ("neurodeploy.source.torch.frontend", "neurodeploy.source.onnx.frontend"),
        ("neurodeploy.source.analog", "neurodeploy.source.torch.frontend"),
    ],
)
def test_a_forbidden_import_is_found(module: str, imported: str) -> None:
    assert import_faults(module, {imported})


def test_targets_may_not_import_each_other() -> None:
    folders = sorted(
        name
        for name, path in SOURCES.items()
        if name.count(".") == 2 and layer(name) == "targets" and path.name == "__init__.py"
    )
    for one in folders:
        for other in folders:
            assert bool(import_faults(f"{one}.x", {other})) == (one != other)


def test_every_package_is_listed_for_the_wheel() -> None:
    # Read as text: tomllib is absent on Python 3.10.
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("\npackages = [", 1)[1].split("]", 1)[0]
    listed = ast.literal_eval("[" + block + "]")
    found = sorted(name for name, path in SOURCES.items() if path.name == "__init__.py")
    assert listed == found


@pytest.mark.parametrize(
    "module", ["neurodeploy", "neurodeploy.errors", "neurodeploy.cli.group", "neurodeploy.datasets"]
)
def test_light_modules_import_nothing_heavy(module: str, fresh_python) -> None:
    loaded = fresh_python(f"import {module}, sys; print(*sys.modules)").split()
    assert not HEAVY & {name.split(".")[0] for name in loaded}


def test_help_imports_no_command(fresh_python) -> None:
    out = fresh_python(
        "import sys\n"
        "from neurodeploy.cli import run\n"
        "assert run(['--help']) == 0\n"
        "print('modules:', *sys.modules)"
    )
    loaded = set(out.split("modules:")[1].split())
    assert "neurodeploy.cli.group" in loaded
    assert not loaded & {"numpy", "rich", "neurodeploy.cli.doctor", "neurodeploy.targets"}


def test_no_public_name_is_a_package(fresh_python) -> None:
    import neurodeploy

    packages = {name.split(".")[1] for name in SOURCES if name.count(".")}
    assert not packages & set(neurodeploy.__all__)
    out = fresh_python(
        "from unittest import mock\n"
        "import neurodeploy as nd\n"
        "import neurodeploy.conversion.registry as registry\n"
        "with mock.patch.object(nd, 'convert', lambda: 'patched'):\n"
        "    print(nd.convert())\n"
        "print(registry.METHODS is not None, callable(nd.convert), 'convert' in dir(nd))"
    )
    assert out.split() == ["patched", "True", "True", "True"]


def test_every_public_name_is_there() -> None:
    import neurodeploy

    assert all(hasattr(neurodeploy, name) for name in neurodeploy.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        neurodeploy.absent  # noqa: B018


def test_requirements_pin_every_version() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) >= 5
    for lock in locks:
        lines = lock.read_text(encoding="utf-8").splitlines()
        wanted = [line for line in lines if line and not line.startswith("#")]
        assert wanted
        assert [line for line in wanted if "==" not in line or line.startswith("-")] == []


def test_no_path_of_a_machine_in_the_tree() -> None:
    marks = ["/" + "home/", "/" + "root/", "/" + "work/"]
    for path in SOURCES.values():
        text = path.read_text(encoding="utf-8")
        assert not [mark for mark in marks if mark in text], path
