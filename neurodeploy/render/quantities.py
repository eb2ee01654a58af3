"""Physical quantities as text."""

from __future__ import annotations

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
    scale, prefix = next(((s, p) for s, p in _PREFIXES if abs(value) >= s * 0.9995), _PREFIXES[-1])
    return f"{value / scale:.3g} {prefix}{unit}"


def quantity(value: float | None, unit: str) -> str:
    """:func:`with_prefix`, or ``unknown``."""
    return "unknown" if value is None else with_prefix(value, unit)


def at_least(value: float | None, bound: float, unit: str) -> str:
    """A value; ``at least X`` where only a bound is known, ``unknown`` where that is 0."""
    if value is not None or bound == 0.0:
        return quantity(value, unit)
    return f"at least {with_prefix(bound, unit)}"
