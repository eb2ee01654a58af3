"""A deployment is loaded and run without the reference or the fast engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import neurodeploy as nd
from neurodeploy.targets.registry import TARGETS
from tests.verification.networks import layered, packed

CODE = """
import sys
import numpy as np

class Forbidden:
    # The executors that targets are held to must not even be asked for.
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("neurodeploy.ir.reference", "neurodeploy.execution")):
            raise ImportError(f"{{name}} was imported")
        return None

sys.meta_path.insert(0, Forbidden())
from neurodeploy.targets.loading import load_deployment

deployment = load_deployment({folder!r})
raster = (np.random.default_rng(0).random((2, 12, 1, 4, 4)) < 0.5).astype(np.int64)
run = deployment.run({{"in": raster}}, membranes=["out"])
print("spikes:", *[int(run.spikes[n].sum()) for n in ("a", "b", "out")])
print("loaded:", *[n for n in sys.modules if n.startswith("neurodeploy.")])
"""


@pytest.mark.parametrize("name", ["lava", "brian2", "truenorth"])
def test_a_deployment_runs_alone(
    name: str,
    tmp_path: Path,
    fresh_python: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> None:
    if name == "lava":
        request.getfixturevalue("lava_python")
    reason = TARGETS.get(name).unavailable()
    if reason is not None:
        pytest.skip(reason)
    nd.save(nd.compile(packed(layered()), name), tmp_path / "compiled")
    told = fresh_python(CODE.format(folder=str(tmp_path / "compiled")))
    spikes, loaded = (line.split()[1:] for line in told.splitlines() if ":" in line)
    assert all(int(n) > 0 for n in spikes)
    assert f"neurodeploy.targets.{name}.target" in loaded
    wrong = ("neurodeploy.ir.reference", "neurodeploy.execution", "neurodeploy.verification")
    assert [m for m in loaded if m.startswith(wrong)] == []
    others = {"lava", "brian2", "truenorth"} - {name}
    assert [m for m in loaded if m.split(".")[2:3] and m.split(".")[2] in others] == []


def test_the_guard_works(fresh_python: Callable[[str], str], tmp_path: Path) -> None:
    """The same guard stops the import of the reference."""
    guard = CODE.format(folder="").split("from neurodeploy.targets.loading", maxsplit=1)[0]
    told = fresh_python(
        guard + "try:\n    import neurodeploy.ir.reference\nexcept ImportError as e:\n    print(e)"
    )
    assert told.strip() == "neurodeploy.ir.reference was imported"
