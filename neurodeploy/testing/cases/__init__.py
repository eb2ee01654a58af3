"""The conformance cases: every feature of docs/semantics.md, small, deterministic, by name.

``CASES`` maps a name to a thunk; ``case(name)`` builds it once.
"""

from __future__ import annotations

# Importing registers the cases.
from neurodeploy.testing.cases import (  # noqa: F401
    connectivity,
    gains,
    inputs,
    listening,
    memory,
    narrow,
    native,
    neurons,
    timing,
)
from neurodeploy.testing.cases.catalogue import CASES, Case, add, case, expected, stateful

__all__ = ["CASES", "Case", "add", "case", "expected", "stateful"]
