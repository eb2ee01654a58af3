"""Colours of figures; pages follow light and dark with variables of the same names."""

from __future__ import annotations

TEXT, MUTED, LINE = "#1b1f24", "#69707a", "#d6dae0"
BLUE, CYAN, GREY, RED = "#4477aa", "#66ccee", "#bbbbbb", "#ee6677"
YELLOW, GREEN, PURPLE = "#ccbb44", "#228833", "#aa3377"
SERIES = (BLUE, RED, GREEN, YELLOW, PURPLE, CYAN, GREY)
"""Paul Tol's bright scheme, which people with any colour vision tell apart."""
