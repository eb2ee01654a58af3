"""Every block of code in the documents runs and prints what the page shows, or says why not."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from tests.integration.documents import at, blocks, missing, play, printed_by

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ["CONTRIBUTING.md", "SECURITY.md"]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in OUTSIDE)])
CODE = {page: found for page in PAGES if (found := blocks(page.read_text(encoding="utf-8")))}
RUN = [page for page in CODE if any(not b.why_not for b in CODE[page])]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", CODE, ids=name)
def test_every_block_runs_or_says_why_not(page: Path) -> None:
    """Commands that are only indented are not run: they say why, or become a console."""
    silent = [b.text for b in CODE[page] if b.language == "unmarked" and not b.why_not]
    assert silent == []
    assert all(len(b.why_not.split()) > 2 for b in CODE[page] if b.why_not)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every page may use: the examples of a clone, and the network of the README, trained."""
    pytest.importorskip("torch")
    pytest.importorskip("brian2")
    folder = tmp_path_factory.mktemp("trained")
    (folder / "examples").symlink_to(ROOT / "examples")
    with at(folder):
        printed_by("python examples/digits_network.py digits.pt")
        printed_by(
            "neurodeploy convert examples/digits_network.py:network --weights digits.pt "
            "--data digits --method rate --timesteps 8 -o net.ndn"
        )
        printed_by("neurodeploy quantize net.ndn --fit loihi1 -o net.int8.ndn")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name)
def test_the_page_runs(
    page: Path, trained: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if 'compile("lava")' in page.read_text(encoding="utf-8"):
        request.getfixturevalue("lava_python")
    for path in trained.iterdir():
        shutil.copy(path, tmp_path, follow_symlinks=False)
    with at(tmp_path):
        play(page)


def test_the_notebook_is_the_page() -> None:
    """The same text and code; what it shows is what the page shows, which the test above holds."""
    spec = importlib.util.spec_from_file_location("made", ROOT / "scripts/tutorial_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    cells = json.loads(made.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == made.cells()
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    for cell, block in zip(code, CODE[made.PAGE], strict=True):
        text = "".join(line for o in cell["outputs"] for line in o.get("text", ()))
        assert block.shown
        assert missing(block.shown, text) == []


def test_blocks_are_told_apart() -> None:
    page = (
        "A\n\n```console\n$ neurodeploy a \\\n    --b\nsaid\n```\n\n"
        "<!-- not run: takes a night -->\n\n    python x.py\n\n"
        '```python title="x.py"\nx = 1\n```\n\n```python\nprint(2)\n```\n\n```\n2\n```\n\n'
        "    v <- v + 1\n\nand\n\n    neurodeploy b\n\n```\nneurodeploy c\n```\n"
    )
    found = blocks(page)
    kinds = "console unmarked file python unmarked unmarked"
    assert [b.language for b in found] == kinds.split()
    assert found[0].commands == ["neurodeploy a     --b"]
    assert found[0].shown == ("said",)
    assert [b.why_not for b in found] == ["", "takes a night", "", "", "", ""]
    assert (found[2].title, found[3].shown) == ("x.py", ("2",))


def test_a_line_that_is_not_printed_is_found() -> None:
    printed = "12 samples\n\nT  accuracy\n-  --------\n8   99.0 %\n"
    assert missing(("7 samples", "T  accuracy", "-  -----", "16  9 %", "..."), printed) == []
    assert missing(("T  agreement",), printed) == ["T  agreement"]
