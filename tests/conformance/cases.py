"""The conformance cases: every feature of the contract, small, deterministic, by name.

``CASES`` maps a name to a thunk; ``case(name)`` builds it once. ``assert_exact`` compares an
executor with the reference: every spike of every population, and membranes.
"""

from __future__ import annotations

# Importing registers the cases.
from tests.conformance import (  # noqa: F401
    cases_connectivity,
    cases_gains,
    cases_inputs,
    cases_memory,
    cases_neurons,
    cases_targets,
    cases_timing,
)
from tests.conformance.netlists import Case
from tests.conformance.registry import (
    CASES,
    assert_exact,
    case,
    differences,
    expected,
    integrators,
    stateful,
)

__all__ = [
    "CASES",
    "Case",
    "assert_exact",
    "case",
    "differences",
    "expected",
    "integrators",
    "stateful",
]
