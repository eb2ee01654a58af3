"""Figures as SVG inside a page: its colours, its text, and tips that it can show."""

from __future__ import annotations

import io
import re
from html import escape, unescape
from typing import TYPE_CHECKING

from neurodeploy.render.charts import palette
from neurodeploy.render.charts.figure import own_style
from neurodeploy.render.markup import Markup, element

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    palette.TEXT: "fg",
    palette.MUTED: "muted",
    palette.LINE: "line",
    palette.BLUE: "blue",
    palette.CYAN: "cyan",
    palette.GREY: "grey",
    palette.RED: "red",
    palette.YELLOW: "yellow",
    palette.GREEN: "green",
    palette.PURPLE: "purple",
}
"""Colours of figures, and the page's variables for them, which follow light and dark."""

_UNUSED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|\s*<defs>\s*</defs>", re.DOTALL)
_COLOUR = re.compile("|".join(COLOURS), re.IGNORECASE)
_FONT = re.compile(r"font: ([^;\"]*?)([\d.]+)px [^;\"]*")
_LONG_NUMBER = re.compile(r"(?<=[\d])\.(\d{3,})")
_TIP = re.compile(r'<g id="tip:([^"]*)">')
_NAME = re.compile(r'(id="|url\(#|href="#)')


def svg(figure: Figure, name: str, description: str) -> Markup:
    """A figure as an element of a page.

    Parameters
    ----------
    figure : Figure
    name : str
        Of letters, digits and dashes; unique in the page.
    description : str
        What it shows, for those who cannot see it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    with own_style():
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set_visible(False)
        # Not savefig, which draws everything once more before.
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    text = stream.getvalue()
    text = _UNUSED.sub("", text[text.index("<svg") :])
    head, _, body = text.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    width = round(float(box[1].split()[2]) * 96 / 72)
    body = _TIP.sub(_tipped, body)
    body = _NAME.sub(rf"\g<1>{name}-", body)
    body = _COLOUR.sub(lambda found: f"var(--{COLOURS[found[0].lower()]})", body)
    body = _FONT.sub(r"font: \1\2px var(--font)", body)
    body = re.sub(r"\s*\n\s*", "\n", body.removesuffix("</svg>\n"))
    body = _rounded(body)
    return element(
        "svg",
        Markup(body),
        viewBox=box[1],
        role="img",
        aria_label=description,
        style=f"--width: {width}px",
        tabindex="0" if 'class="tip"' in body else None,
    )


def _tipped(found: re.Match[str]) -> str:
    return f'<g class="tip"><title>{escape(unescape(found[1]))}</title>'


def _rounded(body: str) -> str:
    """Coordinates to hundredths of a point; what stands between quotes of images is no number."""
    pieces = re.split(r'((?:xlink:)?href="data:[^"]*"|<text.*?</text>|<title>.*?</title>)', body)
    pieces[::2] = [_LONG_NUMBER.sub(lambda n: f".{n[1][:2]}", piece) for piece in pieces[::2]]
    return "".join(pieces)
