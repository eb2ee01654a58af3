"""docs/operators.md lists what the tables of the code hold."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the torch front end needs torch")

from neurodeploy.source.lowering import LOWERINGS, ONNX_LOWERINGS, REFUSED
from neurodeploy.source.onnx.frontend import MOVES as ONNX_MOVES
from neurodeploy.source.torch import frontend  # noqa: F401  (fills the table)
from neurodeploy.source.torch.movement import MOVES

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def listed(label: str, names: Iterable[str]) -> str:
    """A paragraph of names; those with an underscore in front are other spellings of torch."""
    shown = sorted({n.removeprefix("aten.") for n in names if not n.startswith("aten._")})
    return textwrap.fill(f"{label}: {', '.join(shown)}", 100)


def rows() -> str:
    """The table of what is refused."""
    return "\n".join(
        f"| {name} | {reason} | {remedy} |" for name, (reason, remedy) in sorted(REFUSED.items())
    )


EXPECTED = {
    "PyTorch, moved": listed("PyTorch, moved", {f"aten.{name}" for name in MOVES}),
    "ONNX, moved": listed("ONNX, moved", ONNX_MOVES),
    "PyTorch": listed("PyTorch", set(LOWERINGS) - {f"aten.{name}" for name in MOVES}),
    "ONNX": listed("ONNX", set(ONNX_LOWERINGS) - ONNX_MOVES),
    "refused": rows(),
}


@pytest.mark.parametrize("part", EXPECTED)
def test_the_page_holds(part: str) -> None:
    assert EXPECTED[part] in PAGE.read_text(), os.linesep + EXPECTED[part]


def test_nothing_is_both_converted_and_refused_for_its_operator() -> None:
    converted = {name.removeprefix("aten.") for name in LOWERINGS} | set(ONNX_LOWERINGS)
    # Instance norm with kept statistics is batch norm.
    assert converted & set(REFUSED) == {"instance_norm"}
