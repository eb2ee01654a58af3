"""The frozen points: what points.toml says, complete or refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

POINTS = Path(__file__).with_name("points.toml")
FLAGS = ("checked", "recalled")
ARCHITECTURE_FLAGS = (*FLAGS, "reconstructed")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure, in SI units or a count."""

    value: float
    unit: str
    source: str
    flag: str


@dataclass(frozen=True, slots=True)
class Stated:
    """A count that the source states, and what still counts as that."""

    text: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """How networks lie on the chips of a board: the same for every point on it."""

    name: str
    compartments: int
    chips_x: int
    chips_y: int
    constants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A network that was deployed, and what was measured."""

    name: str
    title: str
    board: Deployment
    steps: int
    steps_flag: str
    weight_bits: int
    input_shape: tuple[int, int, int]
    input_rate: float
    hidden_rate: float
    layers: tuple[Mapping[str, Any], ...]
    architecture_flag: str
    architecture_note: str
    sources: tuple[str, ...]
    stated: Mapping[str, Stated]
    measured: Mapping[str, Figure]

    @property
    def recalled(self) -> tuple[str, ...]:
        """What was not checked."""
        names = [name for name, figure in self.measured.items() if figure.flag == "recalled"]
        if self.steps_flag == "recalled":
            names.append("steps")
        return tuple(names)


@dataclass(frozen=True, slots=True)
class Row:
    """One data set of a board whose networks are not published."""

    name: str
    cores: int
    frames_per_s: float
    power_w: float
    flag: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Rows of one board, and the models that are fitted to them: names of features."""

    title: str
    note: str
    neurons_per_core: int
    rate: float
    synapses_per_spike: int
    models: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """The whole file."""

    factors: tuple[float, ...]
    sources: Mapping[str, str]
    points: tuple[Point, ...]
    survey: Survey


def load_points(path: Path = POINTS) -> Frozen:
    """Read the frozen file; a key that is missing or a flag that does not exist is a KeyError."""
    with path.open("rb") as file:
        data = tomllib.load(file)
    boards = {name: _deployment(name, table) for name, table in data["boards"].items()}
    points = tuple(_point(name, table, boards) for name, table in data["points"].items())
    return Frozen(
        tuple(data["rates"]["factors"]), data["sources"], points, _survey(data["esser2016"])
    )


def _flag(value: str, known: tuple[str, ...] = FLAGS) -> str:
    if value not in known:
        raise KeyError(f"flag {value!r}: {', '.join(known)}")
    return value


def _deployment(name: str, table: Mapping[str, Any]) -> Deployment:
    return Deployment(
        name,
        table["compartments_per_neuron"],
        table["chips_x"],
        table["chips_y"],
        tuple(table["constants"]),
    )


def _point(name: str, table: Mapping[str, Any], boards: Mapping[str, Deployment]) -> Point:
    stated = {
        what: Stated(entry["text"], entry["low"], entry["high"])
        for what, entry in table["stated"].items()
        if what not in ("source", "flag")
    }
    measured = {
        what: Figure(entry["value"], entry["unit"], entry["source"], _flag(entry["flag"]))
        for what, entry in table["measured"].items()
    }
    channels, height, width = table["input_shape"]
    return Point(
        name,
        table["title"],
        boards[table["board"]],
        table["steps"],
        _flag(table["steps_flag"]),
        table["weight_bits"],
        (channels, height, width),
        table["input_rate"],
        table["hidden_rate"],
        tuple(table["layers"]),
        _flag(table["architecture_flag"], ARCHITECTURE_FLAGS),
        table["architecture_note"],
        _sources(table),
        stated,
        measured,
    )


def _sources(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Names in [sources] that a point's entries give, each once."""
    given = [table[key] for key in ("architecture_source", "steps_source", "weight_bits_source")]
    given += [table["stated"]["source"], *(f["source"] for f in table["measured"].values())]
    return tuple(dict.fromkeys(given))


def _survey(table: Mapping[str, Any]) -> Survey:
    rows = tuple(
        Row(r["name"], r["cores"], r["frames_per_s"], r["power_w"], _flag(r["flag"]))
        for r in table["rows"]
    )
    models = {name: tuple(features) for name, features in table["models"].items()}
    return Survey(
        table["title"],
        table["note"],
        table["neurons_per_core"],
        table["rate"],
        table["synapses_per_spike"],
        models,
        rows,
    )
