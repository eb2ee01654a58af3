"""The one door to standard output and standard error.

Names and descriptions come from files, and files from strangers: a terminal would obey the control
characters in them. Everything printed here shows them instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

import click

from neurodeploy.errors import NeurodeployWarning, UsageError
from neurodeploy.render.text import to_json, visible

if TYPE_CHECKING:
    from neurodeploy.cli.group import State

MISMATCH = 1
"""Status of a command whose two runs differ."""
LONGEST_ERROR = 1600
"""Characters of an error line: about a screen."""


def say(told: str | Mapping[str, Any], *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text, their control characters shown, or JSON values as JSON.

    Raises
    ------
    UsageError
        If standard output takes no more, as a full disk.
    """
    text = told if isinstance(told, str) else to_json(told)
    try:
        click.echo(visible(text), err=err, nl=nl)
    except BrokenPipeError:
        raise
    except OSError as error:
        if not err:
            raise UsageError(f"standard output: {error.strerror}; lead it elsewhere") from error


def tell(text: str, *, whole: bool = False) -> None:
    """Print one line on standard error, cut in the middle where it would fill the screen.

    What standard error does not take is lost: the status of the command tells it too.
    """
    line = visible(text if whole else " ".join(text.split()))
    if len(line) > LONGEST_ERROR:
        # The place stands at the beginning of an error and the remedy at its end.
        cut = f" ... ({len(line) - LONGEST_ERROR} characters left out) ... "
        line = line[: LONGEST_ERROR * 3 // 4] + cut + line[-(LONGEST_ERROR // 4) :]
    say(line, err=True)


@contextlib.contextmanager
def one_line_warnings(state: State) -> Iterator[None]:
    """Warnings of neurodeploy, and of the user's own files, as one line each; each once.

    Those of libraries, which name places in their code, are shown with ``--debug`` only.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning
        told: set[str] = set()

        def show_line(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, NeurodeployWarning):
                text = f"warning: {message}"
            elif state.debug:
                show(message, category, filename, lineno, file, line)
                return
            elif _is_of_a_library(filename):
                return
            else:
                text = f"warning: {filename}:{lineno}: {message}"
            if text not in told:
                told.add(text)
                tell(text)

        warnings.simplefilter("always", NeurodeployWarning)
        warnings.showwarning = show_line
        yield


def _is_of_a_library(filename: str) -> bool:
    """Whether a file belongs to neurodeploy, to an installed package or to Python itself."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = {own, os.path.dirname(os.__file__), *filter(_holds_packages, sys.path)}
    where = os.path.abspath(filename)
    return filename.startswith("<") or any(where.startswith(f"{place}{os.sep}") for place in places)


def _holds_packages(folder: str) -> bool:
    return os.path.basename(folder) in ("site-packages", "dist-packages")
