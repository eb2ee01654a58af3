"""The public address of the project, and what wheel and source distribution say of it.

``setup.py`` runs this file alone. No address is written down anywhere: it is that of the ``origin``
from which a checkout was cloned, where this is a repository on a public forge. An unpacked source
distribution says what the checkout said that it was made from.
"""

from __future__ import annotations

import re
import subprocess
import sys
from email import message_from_bytes
from functools import partial
from pathlib import Path
from typing import NamedTuple

GIT_SECONDS = 20
# https://[user[:token]@]host[:port]/path, ssh://[user@]host[:port]/path, [user@]host:path. Only the
# host (and the port of https) and the path go on: what stands before the @ may be a secret.
HTTPS = re.compile(r"https://(?:[^/@]*@)?([^/@:]+(?::\d+)?)/(.+)")
SSH = re.compile(r"ssh://(?:[^/@]*@)?([^/@:]+)(?::\d+)?/(.+)")
SCP = re.compile(r"(?:[^/@:]+@)?([^/@:]+):(.+)")
# Neither an IP address, nor a name of one machine or of a local network.
HOST = re.compile(r"(?:[a-z\d-]+\.)+(?!(?:local|localhost|internal|lan|home|test)\b)[a-z]{2,}")
OWNER_AND_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)+")
IMAGE = re.compile(r"(!\[[^\]]*\]\()([^)\s]+)")
LINK = re.compile(r"(\]\()([^)\s]+)")
ELSEWHERE = re.compile(r"[a-z][a-z\d+.-]*:|[#/]", re.IGNORECASE)


class Forge(NamedTuple):
    """Where a forge shows files and issues; ``{home}`` is the address of the repository."""

    page: str
    raw: str
    issues: str


GITHUB = Forge(
    "{home}/blob/{commit}/{path}",
    "https://raw.githubusercontent.com/{project}/{commit}/{path}",
    "{home}/issues",
)
GITLAB = Forge("{home}/-/blob/{commit}/{path}", "{home}/-/raw/{commit}/{path}", "{home}/-/issues")
CODEBERG = Forge(
    "{home}/src/commit/{commit}/{path}", "{home}/raw/commit/{commit}/{path}", "{home}/issues"
)


class Repository(NamedTuple):
    """A repository on a forge, at the commit of the checkout."""

    host: str
    project: str
    commit: str

    @property
    def home(self) -> str:
        """Its address."""
        return f"https://{self.host}/{self.project}"

    @property
    def forge(self) -> Forge | None:
        """Where its files are shown, or None: other forges are linked to, and not guessed at."""
        if self.host == "github.com":
            return GITHUB
        if self.host.startswith("gitlab."):
            return GITLAB
        return CODEBERG if self.host == "codeberg.org" else None

    def filled(self, template: str, path: str = "") -> str:
        """Return an address of the forge, for a file or folder of the commit."""
        return template.format(home=self.home, project=self.project, commit=self.commit, path=path)


def repository(remote: str, commit: str) -> Repository | None:
    """Return the repository that a remote of git names, or None if it is on no public forge."""
    for pattern in (HTTPS, SSH) if "://" in remote else (SCP,):
        found = pattern.fullmatch(remote)
        if found:
            host, project = found[1].lower(), found[2].rstrip("/").removesuffix(".git")
            if HOST.fullmatch(host.partition(":")[0]) and OWNER_AND_NAME.fullmatch(project):
                return Repository(host, project, commit)
    return None


def git(root: Path, *arguments: str) -> list[str]:
    """Return the lines that git says, none where it fails or is not there."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return done.stdout.splitlines()


def checked_out(root: Path) -> Repository | None:
    """Return the repository from which the checkout was cloned, or None."""
    # The prefix is empty at the top of a checkout; elsewhere the origin is that of another project.
    place = git(root, "rev-parse", "--show-prefix", "HEAD")
    remote = git(root, "remote", "get-url", "origin")
    if len(place) != 2 or place[0] or len(remote) != 1:
        return None
    return repository(remote[0], place[1])


def links(found: Repository) -> dict[str, str]:
    """Return the addresses by their names on PyPI."""
    named = {"Homepage": found.home, "Source": found.home}
    if found.forge:
        named["Documentation"] = found.filled(found.forge.page, "docs")
        named["Changelog"] = found.filled(found.forge.page, "CHANGELOG.md")
        named["Issues"] = found.filled(found.forge.issues)
    return named


def absolute(text: str, root: Path, found: Repository, forge: Forge) -> str:
    """Return a page of the root with its links and images to files of the checkout made whole."""

    def made_whole(template: str, link: re.Match[str]) -> str:
        path, sign, anchor = link[2].partition("#")
        # What looks like a link in a block of code leads to no file.
        if ELSEWHERE.match(link[2]) or not (root / path).exists():
            return link[0]
        return link[1] + found.filled(template, path) + sign + anchor

    text = IMAGE.sub(partial(made_whole, forge.raw), text)
    return LINK.sub(partial(made_whole, forge.page), text)


def metadata(root: Path) -> dict[str, object]:
    """Return the arguments of ``setup`` that depend on the public address; say what is missing."""
    if (root / "PKG-INFO").is_file():
        said = message_from_bytes((root / "PKG-INFO").read_bytes())
        urls = dict(line.split(", ", 1) for line in said.get_all("Project-URL", []))
        text = said.get_payload(decode=True).decode("utf-8")
    else:
        found = checked_out(root)
        urls = links(found) if found else {}
        text = (root / "README.md").read_text(encoding="utf-8")
        if found and found.forge:
            text = absolute(text, root, found, found.forge)
    if "Documentation" not in urls:
        why = "this forge's pages are unknown" if urls else "origin is on no public forge"
        print(f"note: links of the README stay relative: {why}", file=sys.stderr)
    return {
        "long_description": text.strip() + "\n",
        "long_description_content_type": "text/markdown",
        "project_urls": urls,
    }
