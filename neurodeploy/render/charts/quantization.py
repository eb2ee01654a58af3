"""Charts of quantization: what states need of their width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurodeploy.render.charts.figure import chart, name_ticks, new_figure, tip
from neurodeploy.render.charts.palette import BLUE, MUTED, RED

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@chart
def states_figure(rows: Sequence[Mapping[str, Any]], state_bits: int) -> Figure:
    """Bits that the worst state of each layer needs, against the bits that there are."""
    names = [str(row["layer"]) for row in rows]
    bits = [int(row["state_bound"]).bit_length() + 1 for row in rows]
    figure = new_figure(max(6.4, 0.5 * len(rows) + 2), 2.9)
    axes: Any = figure.subplots()
    colours = [BLUE if n <= state_bits else RED for n in bits]
    for bar, row, n in zip(
        axes.bar(range(len(rows)), bits, 0.6, color=colours), rows, bits, strict=True
    ):
        tip(bar, f"{row['layer']}: worst state {row['state_bound']}, {n} of {state_bits} bits")
    line = axes.axhline(state_bits, color=MUTED, linestyle="--", label=f"limit: {state_bits} bits")
    tip(line, f"states have {state_bits} bits")
    name_ticks(axes, names)
    axes.set_ylabel("bits, sign included")
    axes.set_title("Worst state that was proved, against its limit")
    axes.set_ylim(0, max(state_bits, *bits) * 1.08)
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower left")
    return figure
