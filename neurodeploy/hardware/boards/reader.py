"""Tables of a board file, read strictly: every failure names the file and the key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from neurodeploy.errors import BoardError
from neurodeploy.hardware.boards.constant import BASES, Basis, Constant, Quantity, constant_fault
from neurodeploy.hardware.boards.largest import COUNT, SI, above

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """Checks tables of one file; every failure names the file and the key."""

    origin: str
    sources: dict[str, str]

    def fail(self, key: str, reason: str) -> BoardError:
        return BoardError(f"{self.origin}: {key}: {reason}")

    def table(
        self,
        value: object,
        key: str,
        allowed: Collection[str],
        required: Collection[str] = (),
    ) -> Table:
        if not isinstance(value, dict):
            raise self.fail(key, f"got {value!r}; expected a table")
        unknown = sorted(str(k) for k in value if k not in allowed)
        if unknown:
            raise self.fail(
                f"{key}.{unknown[0]}" if key else unknown[0],
                f"unknown key; known: {', '.join(dict.fromkeys(allowed))}",
            )
        missing = [k for k in required if k not in value]
        if missing:
            raise self.fail(f"{key}.{missing[0]}" if key else missing[0], "missing; add it")
        return value

    def text(self, table: Table, name: str, key: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{key}.{name}".lstrip("."), f"got {value!r}; expected a text")
        return value

    def whole(self, table: Table, name: str, key: str, least: int, most: int = COUNT) -> int:
        value = table.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(f"{key}.{name}", f"got {value!r}; expected a whole number")
        if value < least:
            raise self.fail(f"{key}.{name}", f"{value!r:.30} is below {least}")
        if value > most:
            raise self.fail(f"{key}.{name}", above(value, most))
        return value

    def source(self, table: Table, key: str) -> str:
        text = self.text(table, "source", key)
        if text in self.sources:
            return self.sources[text]
        if " " not in text and (near := get_close_matches(text, self.sources, 1)):
            raise self.fail(
                f"{key}.source",
                f"{text!r} is neither a citation nor a key of [sources]; did you mean {near[0]!r}?",
            )
        return text

    def basis(self, table: Table, key: str) -> Basis:
        return cast(Basis, self.one_of(table.get("basis"), BASES, f"{key}.basis"))

    def one_of(self, value: object, known: Collection[str], key: str) -> str:
        # A list or a table cannot even be looked up.
        if not isinstance(value, str) or value not in known:
            raise self.fail(key, f"{value!r}; expected one of {', '.join(known)}")
        return value

    def constant(self, value: object, key: str, quantity: Quantity) -> Constant | None:
        if value is None:
            return None
        required = ["value", "basis", "source"]
        if quantity != "count":
            # Counts are exact; everything else has an interval.
            required = ["value", "low", "high", "unit", "basis", "source"]
        table = self.table(value, key, (*required, "unit", "leave_one_out"), required)
        fault = constant_fault(table, quantity)
        if fault:
            raise self.fail(key, fault)
        given = {k: v for k, v in table.items() if k not in ("unit", "source")}
        found = Constant(unit=table.get("unit", "1"), source=self.source(table, key), **given)
        if quantity in SI and found.at("high").si > SI[quantity][0]:
            most, unit = SI[quantity]
            told = f"{found.high:g} {found.unit} is above {most:g} {unit}"
            raise self.fail(key, f"{told}, more than any board has; is its unit {found.unit}?")
        return found
