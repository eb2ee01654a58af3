"""Progress bars on standard error, silent where that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from neurodeploy.render.text import visible


class Bar:
    """Progress of a block of work; calling it is a no-op without a terminal."""

    def __init__(self, shown: Any = None, task: Any = None) -> None:
        self._shown = shown
        self._task = task

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of work are done."""
        if self._shown is not None:
            self._shown.update(self._task, completed=done, total=total)

    def stage(self, description: str) -> None:
        """Say what is being done now; the bar starts again."""
        if self._shown is not None:
            self._shown.reset(self._task, description=visible(description), total=None)


@contextmanager
def progress(description: str) -> Iterator[Bar]:
    """Show a bar while the block runs.

    Parameters
    ----------
    description : str
        What is being done.

    Yields
    ------
    Bar
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield Bar(bar, bar.add_task(visible(description), total=None))
