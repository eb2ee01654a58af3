"""The text that names a data set: ``KIND:PATH[@train|test][#first=N][#norm=...][#range=lo,hi]``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from neurodeploy.datasets.events.spec import is_events_text, no_samples
from neurodeploy.datasets.normalization import NAMED, Normalization, normalization_name
from neurodeploy.errors import DataError, UnknownNameError, UsageError

KINDS = ("cifar10", "digits", "imagefolder", "mnist", "npz", "python")
SPLITS = ("train", "test")
OPTIONS = ("first", "layout", "norm", "range")
LAYOUTS = ("NCHW", "NHWC")


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A parsed specification; nothing has been read yet.

    Parameters
    ----------
    text : str
        As written.
    kind : str
        One of KINDS.
    path : Path or None
        None for data that is embedded.
    split : str or None
        None if the text names none.
    first : int or None
    norm : Normalization or None
    value_range : (float, float) or None
        Only for ``npz`` and ``python``.
    layout : {"NCHW", "NHWC"}
        Likewise.
    factory : str or None
        Of ``python``: the name in its file.
    """

    text: str
    kind: str
    path: Path | None
    split: str | None = None
    first: int | None = None
    norm: Normalization | None = None
    value_range: tuple[float, float] | None = None
    layout: str = "NCHW"
    factory: str | None = None


def parse_spec(text: str) -> DataSpec:
    """Parse a specification.

    A file or folder whose own name ends like a modifier (``digits@train.npz`` does not,
    ``run#first=3`` does) is found if the whole text up to there exists.

    Raises
    ------
    UnknownNameError
        For a kind, split or option that does not exist.
    UsageError
        For a value that cannot be read, or for events.
    """
    if is_events_text(text):
        raise no_samples(text)
    kind, rest = _split_kind(text)
    location, split, options = _split_modifiers(text, rest)
    if kind == "digits" and location:
        raise UsageError(f"data {text!r}: digits is embedded and takes no path")
    if kind != "digits" and not location:
        example = "npz:samples.npz" if kind == "npz" else f"{kind}:data/{kind}"
        raise UsageError(f"data {text!r}: {kind} needs a path, as in {example}")
    factory = None
    if kind == "python":
        location, _, factory = location.rpartition(":")
    if kind not in ("npz", "python"):
        for name in {"range", "layout"} & set(options):
            raise UsageError(
                f"data {text!r}: {name} is for .npz files and files of Python; {kind} has a known"
                f" {name}"
            )
    if options.get("layout", "NCHW") not in LAYOUTS:
        raise UnknownNameError(f"layout (in data {text!r})", options["layout"], LAYOUTS)
    return DataSpec(
        text=text,
        kind=kind,
        path=Path(location) if location else None,
        split=split,
        first=_first(text, options["first"]) if "first" in options else None,
        norm=_norm(text, options["norm"]) if "norm" in options else None,
        value_range=_range(text, options["range"]) if "range" in options else None,
        layout=options.get("layout", "NCHW"),
        factory=factory,
    )


def _split_kind(text: str) -> tuple[str, str]:
    head, colon, rest = text.partition(":")
    if colon and head in KINDS:
        return head, rest
    bare = re.split("[@#]", text, maxsplit=1)[0]
    if bare in KINDS:
        return bare, text[len(bare) :]
    if re.search(r"\.npz(?=$|[@#])", text):
        return "npz", text
    if re.search(r"\.py:\w+(?=$|[@#])", text):
        return "python", text
    raise UnknownNameError(
        "data set kind",
        head if colon else bare,
        [
            *("cifar10:PATH", "digits", "imagefolder:PATH", "mnist:PATH", "FILE.npz"),
            *("FILE.py:FACTORY", "events:PATH"),
        ],
    )


def _split_modifiers(text: str, rest: str) -> tuple[str, str | None, dict[str, str]]:
    """Take options, then the split, off the end, as long as what is left may be the path."""
    options: dict[str, str] = {}
    location = rest
    while "#" in location and not Path(location).exists():
        before, _, option = location.rpartition("#")
        name, equals, value = option.partition("=")
        if name not in OPTIONS or not equals:
            if Path(before).exists() or "/" not in option:
                raise UnknownNameError(f"option (in data {text!r})", name, OPTIONS)
            break
        if name in options:
            raise UsageError(f"data {text!r}: option {name} is given twice")
        options[name] = value
        location = before
    if "@" not in location or Path(location).exists():
        return location, None, options
    before, _, split = location.rpartition("@")
    if split in SPLITS:
        return before, split, options
    if "/" not in split and "." not in split:
        raise UnknownNameError(f"split (in data {text!r})", split, SPLITS)
    return location, None, options


def _first(text: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise UsageError(f"data {text!r}: first={value} is not a whole number above 0")
    return int(value)


def _numbers(text: str, what: str, value: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"data {text!r}: {what} has {value!r} where numbers are needed")
    return numbers


def _norm(text: str, value: str) -> Normalization:
    if value in NAMED:
        return NAMED[value]
    means, slash, deviations = value.partition("/")
    if not slash:
        raise UsageError(
            f"data {text!r}: norm={value} is neither one of {', '.join(NAMED)} nor MEANS/STDS, as "
            "in norm=0.5,0.4,0.3/0.2,0.2,0.2"
        )
    return Normalization(_numbers(text, "norm", means), _numbers(text, "norm", deviations))


def _range(text: str, value: str) -> tuple[float, float]:
    numbers = _numbers(text, "range", value)
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise UsageError(f"data {text!r}: range={value} is not LOW,HIGH with LOW below HIGH")
    return numbers[0], numbers[1]


def training_text(text: str) -> str:
    """Name the whole training split of the data that a text names, normalization included.

    Raises
    ------
    UsageError
        For data without splits, or a text that cannot be read.
    """
    spec = parse_spec(text)
    if spec.kind in ("npz", "python"):
        what = "an .npz file" if spec.kind == "npz" else "a file of Python"
        raise UsageError(
            f"data {text!r}: {what} has no training split; name the calibration data as well"
        )
    place = spec.kind if spec.path is None else f"{spec.kind}:{spec.path}"
    if spec.norm is None:
        return f"{place}@train"
    if (name := normalization_name(spec.norm)) is not None:
        return f"{place}@train#norm={name}"
    halves = (",".join(map(repr, half)) for half in (spec.norm.mean, spec.norm.std))
    return f"{place}@train#norm={'/'.join(halves)}"


def existing_path(spec: DataSpec) -> Path:
    """Return the path of a specification.

    Raises
    ------
    DataError
        If nothing is there.
    """
    if spec.path is None or not spec.path.exists():
        raise DataError(f"data {spec.text!r}: {spec.path}: no such file or folder")
    return spec.path
