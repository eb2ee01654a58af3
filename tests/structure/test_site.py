"""The documentation builds as a site, from the tree alone, and a warning is an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neurodeploy as nd

ROOT = Path(__file__).resolve().parents[2]
EXTERNAL = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:)?//')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="pip install 'neurodeploy[docs]'")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that leads nowhere stands for a network that is not there.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    # Not --quiet, which hides warnings from the strict mode too.
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_asks_nobody(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    wanted = {p.relative_to(ROOT / "docs").with_suffix(".html") for p in ROOT.glob("docs/**/*.md")}
    assert wanted | {Path("index.html")} <= {page.relative_to(site) for page in pages}
    asking = [page.name for page in pages if EXTERNAL.search(page.read_text(encoding="utf-8"))]
    assert asking == []


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in site.glob("reference/*.html"))
    named = set(re.findall(r'id="neurodeploy\.(\w+)"', text))
    left_out = {"__version__", "methods"}
    assert set(nd.__all__) - left_out - named == set()


def test_files_of_the_tree_can_be_fetched(site: Path) -> None:
    assert (site / "files" / "examples" / "tutorial.ipynb").is_file()
    assert 'href="files/examples/tutorial.ipynb"' in (site / "tutorial.html").read_text(
        encoding="utf-8"
    )
