"""The results of a sweep: a row for each configuration and board, and the best among them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.errors import TargetUnavailableError
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.loading.shapes import WHOLE, Shape, has_shape
from neurodeploy.notebook import Shown, data_frame
from neurodeploy.numerics.pareto import undominated
from neurodeploy.sweeps.configurations import Configuration

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

MAX_LOSS = 0.01
"""Share of samples that the choice may lose against the best: a point."""

MEASURED: dict[str, type] = {
    "status": str,
    "error": str,
    "network": str,
    "T": int,
    "samples": int,
    "source_accuracy": float,
    "accuracy": float,
    "accuracy_low": float,
    "accuracy_high": float,
    "agreement": float,
    "relative_error": float,
    "spikes_per_inference": float,
}
"""Columns of every configuration beside its options, with their types."""

PRICED: dict[str, type] = {
    "board": str,
    "verdict": str,
    "energy_j": float,
    "energy_low_j": float,
    "energy_high_j": float,
    "dynamic_j": float,
    "time_s": float,
    "time_low_s": float,
    "time_high_s": float,
    "cores": int,
    "chips": int,
}
"""Columns of a configuration on a board; high ends are empty where a constant is unknown, likely
figures where all that they are made of is."""


_SHARES = ("source_accuracy", "accuracy", "accuracy_low", "accuracy_high", "agreement")
_KINDS: Mapping[type, Shape] = {str: str, int: WHOLE, float: float}
_ALWAYS = {"status", "network", "T", "samples", "spikes_per_inference"}
_DONE: Shape = {
    name: _KINDS[kind] if name in _ALWAYS else (_KINDS[kind], None)
    for name, kind in MEASURED.items()
}
_UNKNOWABLE = {"energy_j", "energy_high_j", "dynamic_j", "time_s", "time_high_s"}
_PRICE: Shape = {
    name: (_KINDS[kind], None) if name in _UNKNOWABLE else _KINDS[kind]
    for name, kind in PRICED.items()
    if name != "board"
}


def is_whole(record: Mapping[str, Any], boards: Sequence[str]) -> bool:
    """Whether a result holds all that the tables show of one, each of its type.

    Parameters
    ----------
    record : mapping
        JSON values.
    boards : sequence of str
        Those of its sweep.
    """
    if record.get("status") == "error":
        return has_shape(record, {"kind": str, "error": str})
    done = {**_DONE, "boards": {...: dict}, "warnings": ([str], None)}
    if record.get("status") != "done" or not has_shape(record, done):
        return False
    shares = [record.get(name) for name in _SHARES]
    return (
        set(record["boards"]) == set(boards)
        and (record.get("accuracy") is None or None not in shares[2:4])
        and all(share is None or share <= 1 for share in shares)
        and not _any_below_0(record, _DONE)
        and all(map(_is_price, record["boards"].values()))
    )


def _is_price(price: Mapping[str, Any]) -> bool:
    if "reason" in price:
        return set(price) == {"verdict", "reason"} and has_shape(price, {...: str})
    if not has_shape(price, _PRICE) or _any_below_0(price, _PRICE):
        return False
    return _is_bar(price, "energy", "j") and _is_bar(price, "time", "s")


def _is_bar(price: Mapping[str, Any], name: str, unit: str) -> bool:
    likely, low, high = (price.get(f"{name}_{end}{unit}") for end in ("", "low_", "high_"))
    if likely is None:
        return low == 0 and high is None
    return bool(low <= likely <= (math.inf if high is None else high))


def _any_below_0(table: Mapping[str, Any], names: Iterable[str]) -> bool:
    return any(isinstance(table.get(name), int | float) and table[name] < 0 for name in names)


@dataclass(frozen=True, slots=True, repr=False)
class Sweep(Shown):
    """Results of a sweep, in the order of its configurations.

    Parameters
    ----------
    common : mapping
        What all configurations share: model, data, samples, boards.
    configurations : tuple of mapping
    records : tuple of mapping
        What came of each, as its file holds it.
    """

    common: Mapping[str, Any]
    configurations: tuple[Configuration, ...]
    records: tuple[Mapping[str, Any], ...]

    def __repr__(self) -> str:
        n, failed = len(self.records), len(self.failures)
        told = f", {failed} without result" if failed else ""
        return f"Sweep({n} configuration{'s' * (n != 1)}{told})"

    @property
    def boards(self) -> tuple[str, ...]:
        """The boards that were asked for."""
        return tuple(self.common["boards"])

    @property
    def options(self) -> tuple[str, ...]:
        """Options that some configuration gives, in the order of their first."""
        return tuple(dict.fromkeys(name for c in self.configurations for name in c))

    @property
    def failures(self) -> tuple[Mapping[str, Any], ...]:
        """Records of configurations that ended in an error."""
        return tuple(record for record in self.records if record["status"] != "done")

    @property
    def source_warning(self) -> str | None:
        """What was warned of the source network, such as an accuracy at chance."""
        told = (line for record in self.records for line in record.get("warnings") or ())
        return next((line for line in told if line.startswith("source network: ")), None)

    def rows(self) -> list[Row]:
        """A flat mapping for each configuration and board: options, measures, prices.

        An option has the name of a column with ``option.`` before it where both share one.
        """
        found = []
        for number, record in enumerate(self.records, 1):
            given: Row = {_column(name): None for name in self.options}
            for name, value in record["configuration"].items():
                plain = isinstance(value, str | int | float | bool)
                given[_column(name)] = value if plain else str(value)
            measured = {name: record.get(name) for name in MEASURED}
            row = {"configuration": number, **given, **measured}
            priced = record.get("boards", {})
            for board in self.boards:
                price = {name: priced.get(board, {}).get(name) for name in PRICED}
                found.append({**row, **price, "board": board})
            if not self.boards:
                found.append(row)
        return found

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame.

        Raises
        ------
        TargetUnavailableError
            If pandas is not installed.
        """
        return data_frame(self.rows())

    def pareto(self, board: str | None = None) -> list[Row]:
        """Rows that no other one beats in both quality and cost, from the cheapest on.

        Quality is the accuracy, or agreement or error where there is none, and cost the likely
        energy on the board, or spikes per inference without one.

        Parameters
        ----------
        board : str, optional
            One of :attr:`boards`. [default: the first, where there are any]
        """
        points = self.points(board)
        return [row for *_, row in undominated(points, lambda p: (p[0], p[1]))]

    def choice(self, board: str | None = None, max_loss: float = MAX_LOSS) -> Row | None:
        """The cheapest row whose quality is within ``max_loss`` of the best; None without any."""
        points = self.points(board)
        if not points:
            return None
        best = max(quality for _, quality, _ in points)
        good = [p for p in points if p[1] >= best - max_loss]
        return min(good, key=lambda p: (p[0], -p[1]))[2]

    def points(self, board: str | None = None) -> list[tuple[float, float, Row]]:
        """Cost, quality and row of all that have both; see :meth:`pareto`."""
        board = self._board(board)
        cost, (quality, sign) = self.cost(board), self.quality
        return [
            (row[cost], sign * row[quality], row)
            for row in self.rows()
            if row.get("board") == board and row.get(cost) is not None and row[quality] is not None
        ]

    def cost(self, board: str | None = None) -> str:
        """Column of what is to be small."""
        return "spikes_per_inference" if self._board(board) is None else "energy_j"

    @property
    def quality(self) -> tuple[str, int]:
        """Column of what tells a good network, and 1 where more of it is better, else -1."""
        for name in ("accuracy", "agreement"):
            if any(record.get(name) is not None for record in self.records):
                return name, 1
        return "relative_error", -1

    def _board(self, board: str | None) -> str | None:
        return self.boards[0] if board is None and self.boards else board

    def to_dict(self) -> dict[str, Any]:
        """JSON values: rows, and the Pareto line and the choice by board as configurations."""
        boards: tuple[str | None, ...] = self.boards or (None,)
        return {
            **self.common,
            "rows": self.rows(),
            "quality": self.quality[0],
            "trade_off": [
                {
                    "board": board,
                    "cost": self.cost(board),
                    "pareto": [row["configuration"] for row in self.pareto(board)],
                    "choice": row["configuration"] if (row := self.choice(board)) else None,
                }
                for board in boards
            ],
        }

    def write(self, folder: Path) -> list[Path]:
        """Write ``results.csv``, and ``results.parquet`` where pyarrow is installed; each whole."""
        rows = self.rows()
        paths = [folder / "results.csv"]
        write_bytes_whole(paths[0], _csv(rows))
        try:
            content = parquet(rows)
        except TargetUnavailableError:
            return paths
        paths.append(folder / "results.parquet")
        write_bytes_whole(paths[1], content)
        return paths


def _column(option: str) -> str:
    taken = option in MEASURED or option in PRICED or option == "configuration"
    return f"option.{option}" if taken else option


def _csv(rows: Sequence[Row]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def parquet(rows: Sequence[Row]) -> bytes:
    """Rows as a file of Parquet; a column has the type of its values, text where they differ.

    Raises
    ------
    TargetUnavailableError
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise TargetUnavailableError(
            "Parquet needs pyarrow, which is not installed; pip install 'neurodeploy[parquet]', or "
            "take the .csv file"
        ) from error
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    columns, fields = [], []
    for name in rows[0]:
        values = [row[name] for row in rows]
        kind = _kind(name, values)
        cast = [v if v is None or isinstance(v, kind) else kind(v) for v in values]
        fields.append(pa.field(name, kinds[kind]))
        columns.append(pa.array(cast, kinds[kind]))
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)), stream)
    return stream.getvalue()


def _kind(name: str, values: Sequence[Any]) -> type:
    known = {"configuration": int, **MEASURED, **PRICED}
    if name in known:
        return known[name]
    found = {type(value) for value in values if value is not None}
    if found == {int, float}:
        return float
    return found.pop() if len(found) == 1 else str
