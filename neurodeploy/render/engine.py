"""How the fast engine runs a netlist here, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.render.text import render_table


def render_engine(told: Mapping[str, Any]) -> str:
    """Report of ``inspect --engine`` on the paths that ``describe_engine`` found."""
    if not told["native"]:
        return f"engine: {told['reason']}"
    shared = told["merged"]
    return "\n\n".join(
        [
            f"engine: native kernels ({told['isa']}), states of {told['state_bits']} bits, "
            f"{shared} population{'s share' if shared != 1 else ' shares'} the sums of another",
            render_table(
                ("projection", "kernel"),
                [(f"{p['pre']} -> {p['post']}", p["kernel"]) for p in told["projections"]],
            ),
        ]
    )
