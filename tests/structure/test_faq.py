"""Every message that docs/faq.md explains is one that the code can print."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAQ = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^### `(.+)`$", FAQ, re.MULTILINE)
SOURCES = [*(ROOT / "neurodeploy").rglob("*.py"), *(ROOT / "targets").rglob("*.py")]


@functools.cache
def texts() -> list[str]:
    """Every text in the code; what an f-string fills in is one character that nobody types."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "\0" for v in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def known(message: str) -> bool:
    """Whether one text of the code holds the parts of a message, in their order."""
    parts = [re.escape(part) for part in message.split("...") if part.strip()]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(text) for text in texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_says_it(message: str) -> None:
    if message.startswith("unknown "):  # the class of these errors puts the sentence together
        message = "unknown ...; known: ..."
    assert known(message)


def test_a_message_that_nobody_prints_is_found() -> None:
    assert len(MESSAGES) > 20
    assert not known("... is a message that no line of the code holds")
    assert not known("; compile again with ... was changed after it was compiled")
