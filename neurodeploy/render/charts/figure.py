"""Figures in one style, which no file of the machine and no setting of the program changes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.notebook import expect_matplotlib
from neurodeploy.render.charts.palette import LINE, MUTED, TEXT
from neurodeploy.render.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_NAME = 22
"""Characters of a name beside an axis."""

_STYLE = {
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "hatch.color": MUTED,
    "hatch.linewidth": 0.6,
    "figure.dpi": 100,
    # Names of populations are no formulas.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "neurodeploy",
    "svg.image_inline": True,
}


@contextmanager
def own_style() -> Iterator[None]:
    """Our style alone: a matplotlibrc of the working directory may even run LaTeX."""
    expect_matplotlib()
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        # Names of any script: the reader of the page has fonts of their own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def chart(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that draws a figure: it draws in our style."""

    @wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with own_style():
            return function(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of some inches, which notebooks show.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    # Not pyplot: it keeps global state, and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            return png(self)

    figure = Shown(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    stream = io.BytesIO()
    with own_style():
        figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return stream.getvalue()


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits beside an axis; control characters are shown."""
    name = visible(name).replace("\n", "\\n")
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def tip(artist: Any, text: str) -> None:
    """Text that a page shows beside a part of a figure; other files leave it out."""
    artist.set_gid(f"tip:{visible(text)}")


def tinted(levels: AnyArray, colour: str) -> AnyArray:
    """An image of one colour, seen through where levels of 0 .. 1 are low: on any background."""
    from matplotlib.colors import to_rgb

    image = np.empty((*levels.shape, 4))
    image[..., :3] = to_rgb(colour)
    image[..., 3] = np.clip(levels, 0.0, 1.0)
    return image


def show_image(axes: Axes, image: AnyArray, **options: Any) -> None:
    """An image whose pixels stay what they are, and no grid."""
    axes.imshow(image, interpolation="none", **{"aspect": "auto", **options})
    axes.grid(visible=False)


def name_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Names below the places 0, 1, ..., turned where there are many."""
    many = len(names) > 6 or max(map(len, names), default=0) > 12
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if many else {}
    axes.set_xticks(range(len(names)), [shortened(name) for name in names], **turned)
    axes.grid(visible=False, axis="x")
