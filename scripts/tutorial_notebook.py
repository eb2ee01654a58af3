"""Make examples/tutorial.ipynb of docs/tutorial.md: the same text, the same code, run once.

    python scripts/tutorial_notebook.py

The tests compare the cells with the page and run them again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tutorial.md"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
CODE = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n.*?^```\n)?", re.DOTALL | re.MULTILINE)


def cells() -> list[tuple[str, str]]:
    """Kind and text of every cell; the output that the page shows is left to the run."""
    parts = CODE.split(PAGE.read_text(encoding="utf-8"))
    kinds = ("markdown", "code")
    return [(kinds[i % 2], _relinked(part.strip())) for i, part in enumerate(parts) if part.strip()]


def _relinked(text: str) -> str:
    """Links of the page, from the folder of the notebook."""

    def moved(found: re.Match[str]) -> str:
        path = (PAGE.parent / found[1]).resolve()
        return f"]({os.path.relpath(path, NOTEBOOK.parent)}"

    return re.sub(r"\]\((?![a-z]+:)([^)#]+)", moved, text)


def main() -> None:
    """Write the notebook with the output of its cells."""
    import nbformat
    from nbclient import NotebookClient

    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(
        cells=[make[kind](text, id=f"cell-{i}") for i, (kind, text) in enumerate(cells())]
    )
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # times of the run
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                cell.outputs.remove(output)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
