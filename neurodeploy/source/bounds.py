"""What a network may make of its samples and constants: a small file must not fill the memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

from neurodeploy.errors import NetlistError

MOST_ELEMENTS = 2**26
"""Elements of one activation of one sample: a thousand channels of 256 x 256."""
MOST_TOGETHER = 2**29
"""Elements of all activations of one sample, with the matrices that resample them."""


def expect_few(sizes: Iterable[int], what: str, most: int = MOST_ELEMENTS) -> int:
    """The product of sizes; NetlistError if it is above ``most``."""
    # Sizes come from files: as Python's integers they cannot overflow.
    size = math.prod(abs(int(n)) for n in sizes)
    if size > most:
        shown = str(size) if size < 10**15 else "more than 10^15"
        raise NetlistError(f"{what} of {shown} elements, at most {most} fit; make it smaller")
    return size


class Budget:
    """Elements of which only so many may be made.

    Parameters
    ----------
    most : int
    what : str
        What is made of them, in the plural.
    """

    def __init__(self, most: int, what: str) -> None:
        self.most = most
        self.what = what
        self.spent = 0

    def expect(self, size: int) -> None:
        """NetlistError if no ``size`` elements are left."""
        expect_few([self.spent + size], f"makes {self.what}", self.most)

    def spend(self, size: int) -> None:
        """Count ``size`` elements that are made."""
        self.expect(size)
        self.spent += size
