"""What the arguments of both scripts can be."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number above zero."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number above zero is needed")
    return value
