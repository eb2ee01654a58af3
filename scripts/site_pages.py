"""Hooks of MkDocs: the README and its sisters become pages, and every link finds its target.

Pages are written for readers of the tree: links are relative to the file that they stand in, and
may leave ``docs``. Files of the tree that are no pages are copied into the site; folders, which a
site cannot show, lose their link and keep their text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs``."""
    root = Path(config.config_file_path).parent
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(root / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make the links of one page relative to its place in the site."""
    root = Path(config.config_file_path).parent
    outside = {page: source for source, page in PAGES.items()}
    here = page.file.src_uri
    place = root / outside.get(here, f"docs/{here}")

    def relinked(found: re.Match[str]) -> str:
        mark, text, target, anchor = found.groups()
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = PurePosixPath(os.path.relpath((place.parent / target).resolve(), root))
        if (root / path).is_dir():
            return text
        if path.parts[0] == "docs":
            there = str(path.relative_to("docs"))
        elif str(path) in PAGES:
            there = PAGES[str(path)]
        elif (root / path).is_file():
            there = f"files/{path}"
            if files.get_file_from_path(there) is None:
                copied = File.generated(config, there, abs_src_path=str(root / path))
                files.append(copied)
        else:
            return found[0]  # MkDocs says that it is missing
        start = os.path.relpath(there, PurePosixPath(here).parent)
        return f"{mark}[{text}]({start}{anchor or ''})"

    return LINK.sub(relinked, markdown)
