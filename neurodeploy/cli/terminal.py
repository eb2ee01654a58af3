"""The one door to standard output and standard error.

Names and descriptions come from files, and files from strangers: a terminal would obey the control
characters in them. Everything printed here shows them instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from neurodeploy.render.text import visible

LONGEST_ERROR = 1600
"""Characters of an error line: about a screen."""


def program() -> str:
    """How the user called this program: ``make`` leaves nobody's PATH changed."""
    called = Path(sys.argv[0])
    return str(called) if not called.is_absolute() and called.parent.name else "neurodeploy"


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text, their control characters shown."""
    click.echo(visible(text), err=err, nl=nl)


def tell(text: str) -> None:
    """Print one line on standard error, cut in the middle where it would fill the screen."""
    line = visible(" ".join(text.split()))
    if len(line) > LONGEST_ERROR:
        # The place stands at the beginning of an error and the remedy at its end.
        cut = f" ... ({len(line) - LONGEST_ERROR} characters left out) ... "
        line = line[: LONGEST_ERROR * 3 // 4] + cut + line[-(LONGEST_ERROR // 4) :]
    click.echo(line, err=True)
