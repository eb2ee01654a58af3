"""Types of fields in files, told before a constructor stumbles over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pytest

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.loading.typed import mistyped


@dataclass
class Everything:
    count: int = 1
    share: float = 0.5
    word: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "x")
    rows: tuple[tuple[int, int], ...] = ()
    numbers: AnyArray | None = None
    whole: IntArray | None = None
    table: Mapping[str, int] | None = None
    flag: bool = False


@pytest.mark.parametrize(
    "fields",
    [
        {"share": -(2**63)},
        {"share": 2, "sizes": (1, 2), "rows": ((1, 2),), "table": {"a": 1}, "flag": True},
        {"numbers": np.ones(2, np.float32), "whole": np.ones(2, np.int8)},
        {"numbers": None, "pair": (3, "y"), "word": "b"},
    ],
)
def test_right_types(fields: dict[str, object]) -> None:
    assert mistyped(Everything, fields) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("count", True, "True; expected a whole number"),
        ("count", 2.0, "2.0; expected a whole number"),
        ("share", "1", "'1'; expected a number"),
        ("share", 2**63, "9223372036854775808; expected a number"),
        ("word", "c", "'c'; expected 'a' or 'b'"),
        ("sizes", (1, "2"), "'2'; expected a whole number"),
        ("sizes", 3, "3; expected a list, each entry a whole number"),
        ("pair", (1,), "of type list; expected a list of 2"),
        ("rows", ((1, 2), (1, None)), "None; expected a whole number"),
        ("numbers", {"a": 1}, "of type table; expected an array of numbers or nothing"),
        ("numbers", np.array(["x"]), "of <U1; expected an array of numbers or nothing"),
        ("whole", np.ones(2), "of float64; expected an array of whole numbers or nothing"),
        ("table", {"a": "b"}, "of type table; expected a table or nothing"),
        ("flag", 1, "1; expected true or false"),
        ("word", "x" * 999, "'" + "x" * 59 + "; expected 'a' or 'b'"),
    ],
)
def test_wrong_types(name: str, value: object, told: str) -> None:
    assert mistyped(Everything, {name: value}) == f"Everything: {name} {told}"


def test_an_alias_is_what_it_stands_for() -> None:
    """NumPy 2.5 declares NDArray by a ``type`` statement, which Python has from 3.12 on."""
    extensions = pytest.importorskip("typing_extensions")
    scalar = TypeVar("scalar")
    array = np.ndarray[Any, np.dtype[scalar]]  # type: ignore[valid-type]
    alias = extensions.TypeAliasType("Aliased", array, type_params=(scalar,))

    @dataclass
    class Aliased:
        numbers: Any

    Aliased.__annotations__["numbers"] = alias[np.int64] | None
    assert mistyped(Aliased, {"numbers": np.ones(2, np.int64)}) is None
    assert mistyped(Aliased, {"numbers": None}) is None
    told = mistyped(Aliased, {"numbers": 3})
    assert told == "Aliased: numbers 3; expected an array of whole numbers or nothing"
