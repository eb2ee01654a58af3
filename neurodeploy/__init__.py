"""neurodeploy: a compiler from trained networks to spiking neuromorphic hardware.

The public names are looked up on first use, so that importing neurodeploy imports neither torch,
lava, brian2 nor networkx.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
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

_PUBLIC = {
    "check": "neurodeploy.api",
    "compile": "neurodeploy.api",
    "convert": "neurodeploy.api",
    "diagnose": "neurodeploy.api",
    "estimate_energy": "neurodeploy.api",
    "evaluate": "neurodeploy.api",
    "load": "neurodeploy.api",
    "quantize": "neurodeploy.api",
    "save": "neurodeploy.api",
    "verify": "neurodeploy.api",
}

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


class _PublicName:
    """A function of the public API, imported when it is first asked for.

    A data descriptor on the module's class comes before the module's own attributes. It has to:
    ``neurodeploy.convert``, ``quantize`` and ``verify`` are functions to the user and packages in
    the tree, and importing such a package makes Python store it as an attribute of this module.
    """

    def __init__(self, name: str, module: str) -> None:
        self._name = name
        self._module = module

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return getattr(importlib.import_module(self._module), self._name)

    def __set__(self, instance: object, value: object) -> None:
        if not isinstance(value, ModuleType):
            raise AttributeError(f"neurodeploy.{self._name} cannot be replaced")


class _Package(ModuleType):
    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_PUBLIC})


for _name, _module in _PUBLIC.items():
    setattr(_Package, _name, _PublicName(_name, _module))
sys.modules[__name__].__class__ = _Package
del _name, _module
