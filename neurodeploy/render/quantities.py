"""Physical quantities as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.hardware.boards.interval import Interval

_PREFIXES: tuple[tuple[float, str], ...] = (
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "u"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)


def with_prefix(value: float, unit: str) -> str:
    """Three digits and an SI prefix: ``6.65 ms``; for values below 1000."""
    if value == 0.0:
        return f"0 {unit}"
    scale, prefix = _prefix(value)
    return f"{value / scale:.3g} {prefix}{unit}"


def _prefix(value: float) -> tuple[float, str]:
    return next(((s, p) for s, p in _PREFIXES if abs(value) >= s * 0.9995), _PREFIXES[-1])


def quantity(value: float | None, unit: str) -> str:
    """:func:`with_prefix`, or ``unknown``."""
    return "unknown" if value is None else with_prefix(value, unit)


def told_bar(told: Mapping[str, Any], unit: str) -> str:
    """:func:`with_bar` of the JSON of an interval."""
    return with_bar(Interval.from_dict(told), unit)


def with_bar(interval: Interval | None, unit: str) -> str:
    """``6.65 (4.2 .. 9) ms``; where there is no upper end ``at least 4.2 ms (likely 6.65)``.

    ``unknown`` where nothing of it is known, and no bar where it has no width.
    """
    if interval is None or interval.known is None:
        return "unknown"
    scale, prefix = _prefix(interval.likely) if interval.likely else (1.0, "")

    def told(value: float) -> str:
        number = value / scale
        return f"{number:.0f}" if number >= 999.5 else f"{number:.3g}"

    likely, low = told(interval.likely), told(interval.low)
    if interval.is_open:
        return f"at least {low} {prefix}{unit} (likely {likely})"
    if interval.low == interval.high:
        return f"{likely} {prefix}{unit}"
    return f"{likely} ({low} .. {told(interval.high)}) {prefix}{unit}"
