"""Service for notebooks: objects as tables, data frames, and progress unless it was given."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from html import escape
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from neurodeploy.errors import TargetUnavailableError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

REFRESH_S = 0.1
"""Between two updates of a bar; a browser shows no more."""


_showing: list[Bar] = []


class Shown:
    """A base of what a notebook shows as tables, by :func:`neurodeploy.html`."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        import neurodeploy as nd

        return nd.html(self)


class Plotted(Shown):
    """A base of results with a figure, by :func:`neurodeploy.plot`."""

    __slots__ = ()

    def plot(self) -> Figure:
        """The figure of the result, as the page shows it.

        Raises
        ------
        TargetUnavailableError
            If matplotlib is not installed.
        """
        import neurodeploy as nd

        return nd.plot(self)


def data_frame(content: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table, from columns by name or from rows.

    Raises
    ------
    TargetUnavailableError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise TargetUnavailableError(
            "data frames need pandas, which is not installed; pip install 'neurodeploy[report]'"
        ) from error
    return pd.DataFrame(content)


def expect_matplotlib() -> None:
    """Refuse to plot before any work.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "plots need matplotlib, which is not installed; pip install 'neurodeploy[report]'"
        ) from error


def in_notebook() -> bool:
    """Whether the code runs in a notebook's kernel; imports nothing."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Bar:
    """Progress in the output of a cell: a bar that ends as a line of text.

    Parameters
    ----------
    what : str
        What is being done.
    handle : object
        ``update`` shows HTML in the place of what it showed before.
    """

    def __init__(self, what: str, handle: Any) -> None:
        self._what = what
        self._handle = handle
        self._stage = ""
        self._shown_at = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of work are done."""
        now = time.monotonic()
        if now - self._shown_at >= REFRESH_S:
            self._shown_at = now
            bar = f'<progress value="{done}" max="{max(total, 1)}"></progress>'
            self._show(f"{bar} {done} / {total}")

    def stage(self, description: str) -> None:
        """Say what is being done now; the bar starts again."""
        self._stage = f" ({description})"
        self._show("<progress></progress>")

    def end(self) -> None:
        """Leave a line that does not depend on how fast it was."""
        self._stage = ""
        self._show("done")

    def _show(self, content: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(f"{escape(self._what + self._stage)}: {content}"))


def shows_progress(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that takes ``progress``: unless it is given, notebooks show a bar.

    A function that takes ``stage`` as well tells the bar what it does now. What runs inside another
    one shows none.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def shown(*args: P.args, **kwargs: P.kwargs) -> T:
            if kwargs.get("progress") is not None or _showing or not in_notebook():
                return function(*args, **kwargs)
            with notebook_bar(what) as bar:
                kwargs["progress"] = bar
                if "stage" in signature(function).parameters:
                    kwargs.setdefault("stage", bar.stage)
                return function(*args, **kwargs)

        return shown

    return decorate


@contextmanager
def notebook_bar(what: str) -> Iterator[Bar]:
    """Show a bar in the cell that runs while the block does."""
    from IPython.display import HTML, display

    bar = Bar(what, display(HTML(escape(what)), display_id=True))
    _showing.append(bar)
    try:
        yield bar
    finally:
        _showing.pop()
        bar.end()
