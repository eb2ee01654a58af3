"""Small netlists and conformance for the tests of targets; needs no pytest."""

from __future__ import annotations

from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.conformance import assert_conforms

__all__ = ["NetlistBuilder", "assert_conforms"]
