"""neurodeploy: a compiler from trained networks to spiking neuromorphic hardware.

The public names are looked up on first use, so that importing neurodeploy imports neither torch,
lava, brian2 nor networkx.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurodeploy.api import (
        check,
        compile,
        convert,
        diagnose,
        estimate_energy,
        evaluate,
        load,
        quantize,
        save,
        verify,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "check",
    "compile",
    "convert",
    "diagnose",
    "estimate_energy",
    "evaluate",
    "load",
    "quantize",
    "save",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("neurodeploy.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
