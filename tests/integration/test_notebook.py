"""The notebook of the examples runs as it stands and shows what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("brian2")
pytest.importorskip("torch")
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

BARS = ("convert", "quantize", "evaluate", "diagnose", "run", "verify", "energy")


def shown(notebook: Any) -> list[list[tuple[str, ...]]]:
    """Of every code cell, the kinds of its outputs: numbers depend on the machine."""
    return [
        [(o.output_type, *sorted(o.get("data", ()))) for o in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter and its event loop
def test_the_notebook(lava_python: Path, repository: Path, tmp_path: Path) -> None:
    stored = nbformat.read(repository / "examples" / "digits.ipynb", as_version=4)
    notebook = nbformat.read(repository / "examples" / "digits.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    # Streams are warnings; a shipped notebook has none, and one of another machine may.
    found = [[o for o in cell if o[0] != "stream"] for cell in shown(notebook)]
    assert found == shown(stored)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    texts = [str(o.data["text/plain"]) for o in outputs if o.output_type == "execute_result"]
    (verified,) = [text for text in texts if text.startswith("Verification(")]
    assert "lava against reference, brian2: exact, 10 samples" in verified
    assert texts[-1] == "True"  # arrays and a normalized loader give the same spikes
    html = [str(o.data.get("text/html", "")) for o in outputs if "data" in o]
    for bar in BARS:
        assert f"{bar}: done" in html
    assert sum("<table>" in text for text in html) >= 8
