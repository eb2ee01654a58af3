"""Project URLs and links of the README in the metadata: where they come from, and what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
GITHUB = "https://github.com/example/neurodeploy.git"
HOME = "https://github.com/example/neurodeploy"
RAW = "https://raw.githubusercontent.com/example/neurodeploy"
BUILD = "import setuptools.build_meta as b; b.prepare_metadata_for_build_wheel({!r})"


@pytest.fixture(scope="module")
def urls() -> ModuleType:
    path = ROOT / "scripts/project_urls.py"
    spec = importlib.util.spec_from_file_location("project_urls", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(root), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "docs").mkdir(parents=True)
    (root / "docs/a.png").touch()
    (root / "README.md").write_text("![Ångström](docs/a.png)\n", encoding="utf-8")
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "first")
    return root


@pytest.mark.parametrize(
    ("remote", "home"),
    [
        (GITHUB, HOME),
        (f"{HOME}/", HOME),
        ("git@github.com:example/neurodeploy.git", HOME),
        ("GitHub.com:example/neurodeploy", HOME),
        ("ssh://git@github.com/example/neurodeploy.git", HOME),
        ("ssh://git@github.com:22/example/neurodeploy.git", HOME),
        ("https://user:secret@github.com/example/neurodeploy.git", HOME),
        ("https://secret@github.com/example/neurodeploy", HOME),
        ("https://gitlab.com/group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("https://git.example.org:8443/a/b.c", "https://git.example.org:8443/a/b.c"),
    ],
)
def test_a_remote_on_a_public_forge_names_its_address(
    remote: str, home: str, urls: ModuleType
) -> None:
    assert urls.repository(remote, "c0ffee").home == home


@pytest.mark.parametrize(
    "remote",
    [
        "/srv/git/neurodeploy.git",
        "../neurodeploy",
        "neurodeploy",
        "C:/src/neurodeploy",
        "file:///srv/git/neurodeploy.git",
        "file://host.example.org/srv/neurodeploy.git",
        "http://github.com/example/neurodeploy",
        "git://github.com/example/neurodeploy",
        "https://localhost/example/neurodeploy",
        "https://forge.internal/example/neurodeploy",
        "https://192.168.1.7/example/neurodeploy",
        "git@work:example/neurodeploy.git",
        "git@192.168.1.7:example/neurodeploy.git",
        "git@github.com:/srv/neurodeploy.git",
        "https://github.com/neurodeploy",
        "https://github.com/example/../neurodeploy",
        "https://github.com/example/neurodeploy?token=secret",
        "https://user:se@cret@github.com/example/neurodeploy",
        "https://user:se/cret@github.com/example/neurodeploy",
        "",
    ],
)
def test_other_remotes_name_none(remote: str, urls: ModuleType) -> None:
    assert urls.repository(remote, "c0ffee") is None


@pytest.mark.parametrize(
    ("host", "page", "raw", "issues"),
    [
        (
            "github.com",
            "https://github.com/o/n/blob/c0ffee/docs",
            "https://raw.githubusercontent.com/o/n/c0ffee/a.png",
            "https://github.com/o/n/issues",
        ),
        (
            "gitlab.example.org",
            "https://gitlab.example.org/o/n/-/blob/c0ffee/docs",
            "https://gitlab.example.org/o/n/-/raw/c0ffee/a.png",
            "https://gitlab.example.org/o/n/-/issues",
        ),
        (
            "codeberg.org",
            "https://codeberg.org/o/n/src/commit/c0ffee/docs",
            "https://codeberg.org/o/n/raw/commit/c0ffee/a.png",
            "https://codeberg.org/o/n/issues",
        ),
    ],
)
def test_each_forge_shows_files_at_its_own_addresses(
    host: str, page: str, raw: str, issues: str, urls: ModuleType
) -> None:
    found = urls.repository(f"https://{host}/o/n", "c0ffee")
    assert urls.links(found) == {
        "Homepage": f"https://{host}/o/n",
        "Source": f"https://{host}/o/n",
        "Documentation": page,
        "Changelog": page.removesuffix("docs") + "CHANGELOG.md",
        "Issues": issues,
    }
    assert found.filled(found.forge.raw, "a.png") == raw


def test_links_and_images_to_files_become_absolute(urls: ModuleType, checkout: Path) -> None:
    (checkout / "b.md").touch()
    text = (
        "![a](docs/a.png) [b](b.md#c) [![d](docs/a.png)](docs) [e](https://pypi.org/b.md)"
        " [f](#b.md) `x[0](none.md)` ![g](https://b.org/docs/a.png) [h](mailto:a@b.org) [i](/b)"
    )
    found = urls.repository(GITHUB, "c0ffee")
    assert urls.absolute(text, checkout, found, found.forge) == (
        f"![a]({RAW}/c0ffee/docs/a.png) [b]({HOME}/blob/c0ffee/b.md#c)"
        f" [![d]({RAW}/c0ffee/docs/a.png)]({HOME}/blob/c0ffee/docs)"
        " [e](https://pypi.org/b.md)"
        " [f](#b.md) `x[0](none.md)` ![g](https://b.org/docs/a.png) [h](mailto:a@b.org) [i](/b)"
    )


def test_the_readme_leads_nowhere_relative_then(urls: ModuleType) -> None:
    found = urls.repository(GITHUB, "c0ffee")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    target = re.compile(r"""(?:\]\(|\]: *|(?:src|href)=["']?)([^)\s"'>]+)""")
    assert "docs/report.png" in target.findall(text)
    whole = target.findall(urls.absolute(text, ROOT, found, found.forge))
    assert f"{RAW}/c0ffee/docs/report.png" in whole
    assert [link for link in whole if (ROOT / link.partition("#")[0]).exists()] == []


def test_a_checkout_says_from_where_and_at_which_commit_it_is(
    urls: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "remote", "add", "origin", "https://user:secret@github.com/example/neurodeploy")
    told = urls.metadata(checkout)
    assert told == {
        "long_description": f"![Ångström]({RAW}/{commit}/docs/a.png)\n",
        "long_description_content_type": "text/markdown",
        "project_urls": urls.links(urls.repository(GITHUB, commit)),
    }
    assert "secret" not in str(told) + str(capsys.readouterr())


def test_an_unknown_forge_is_linked_to_and_not_guessed_at(
    urls: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(checkout, "remote", "add", "origin", "https://git.example.org/o/n.git")
    told = urls.metadata(checkout)
    home = "https://git.example.org/o/n"
    assert told["project_urls"] == {"Homepage": home, "Source": home}
    assert told["long_description"] == "![Ångström](docs/a.png)\n"
    said = "note: links of the README stay relative: this forge's pages are unknown\n"
    assert capsys.readouterr().err == said


def inside_another(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(checkout, "remote", "add", "origin", GITHUB)
    (checkout / "vendored").mkdir()
    shutil.copy(checkout / "README.md", checkout / "vendored")
    return checkout / "vendored"


def without_origin(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(checkout, "remote", "add", "upstream", GITHUB)
    return checkout


def local_origin(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(checkout, "remote", "add", "origin", str(checkout))
    return checkout


def without_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.rmtree(checkout / ".git")
    git(checkout, "init", "-q")
    git(checkout, "remote", "add", "origin", GITHUB)
    return checkout


def other_git(text: str) -> Callable[[Path, pytest.MonkeyPatch], Path]:
    """A case with another program in git's place."""

    def made(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        git(checkout, "remote", "add", "origin", GITHUB)
        program = checkout / "bin/git"
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return checkout

    return made


def without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    other_git("")(checkout, monkeypatch)
    (checkout / "bin/git").unlink()
    return checkout


GIT_THAT_HANGS = other_git("#!/bin/sh\nexec /bin/sleep 60\n")


@pytest.mark.parametrize(
    "case",
    [
        inside_another,
        without_origin,
        local_origin,
        without_commit,
        pytest.param(other_git(f"#!/bin/sh\necho; echo {GITHUB}; exit 128\n"), id="git fails"),
        pytest.param(GIT_THAT_HANGS, id="git hangs"),
        pytest.param(other_git("\x7fELF\n"), id="git of no format"),
        pytest.param(other_git("#!/bin/sh\nprintf '\\377\\376\\n'\n"), id="git says bytes"),
        without_git,
    ],
)
def test_without_an_address_the_readme_stays_and_a_line_says_so(
    case,
    urls: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(urls, "GIT_SECONDS", 20 if case is not GIT_THAT_HANGS else 0.2)
    told = urls.metadata(case(checkout, monkeypatch))
    assert told["project_urls"] == {}
    assert told["long_description"] == "![Ångström](docs/a.png)\n"
    said = "note: links of the README stay relative: origin is on no public forge\n"
    assert capsys.readouterr().err == said


def test_the_metadata_of_a_build_have_them_and_those_of_its_sdist_the_same(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in ("neurodeploy", "targets", "boards"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for folder in ("scripts", "docs"):
        (tree / folder).mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    for name in ("scripts/project_urls.py", "docs/report.png"):
        shutil.copy(ROOT / name, tree / name)
    with (tree / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\nÅngström\n")
    git(tree, "init", "-q")
    git(tree, "commit", "-q", "--allow-empty", "-m", "first")
    git(tree, "remote", "add", "origin", GITHUB)

    def built() -> bytes:
        folder = tmp_path / "metadata"
        folder.mkdir()
        command = [sys.executable, "-c", BUILD.format(str(folder))]
        subprocess.run(command, cwd=tree, env=os.environ, check=True, capture_output=True)
        [path] = folder.glob("*/METADATA")
        said = path.read_bytes()
        shutil.rmtree(folder)
        return said

    of_checkout = built()
    told = message_from_bytes(of_checkout)
    assert f"Homepage, {HOME}" in told.get_all("Project-URL")
    assert f"Issues, {HOME}/issues" in told.get_all("Project-URL")
    assert len(told.get_all("Project-URL")) == 5
    assert told["Description-Content-Type"] == "text/markdown"
    picture = f"]({RAW}/{git(tree, 'rev-parse', 'HEAD')}/docs/report.png)"
    assert picture in told.get_payload()

    # An unpacked source distribution has the metadata, and neither git nor the documentation.
    (tree / "PKG-INFO").write_bytes(of_checkout)
    for folder in (".git", "docs"):
        shutil.rmtree(tree / folder)
    assert built() == of_checkout
