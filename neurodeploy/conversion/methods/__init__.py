"""The conversion methods, one a file, and what they have in common.

The classes of those that are registered, plug-ins included, are attributes of this package, which
is ``neurodeploy.methods``; each is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurodeploy.conversion.registry import METHODS

if TYPE_CHECKING:
    from neurodeploy.conversion.methods.amos import Amos as Amos
    from neurodeploy.conversion.methods.augmented import Augmented as Augmented
    from neurodeploy.conversion.methods.bistable import Bistable as Bistable
    from neurodeploy.conversion.methods.cao import Cao as Cao
    from neurodeploy.conversion.methods.differential import Differential as Differential
    from neurodeploy.conversion.methods.ecc import (
        ExplicitCurrentControl as ExplicitCurrentControl,
    )
    from neurodeploy.conversion.methods.graded import Graded as Graded
    from neurodeploy.conversion.methods.hard_reset import HardReset as HardReset
    from neurodeploy.conversion.methods.momentum import Momentum as Momentum
    from neurodeploy.conversion.methods.radix import Radix as Radix
    from neurodeploy.conversion.methods.rate import RateCoding as RateCoding
    from neurodeploy.conversion.methods.reserve import Reserve as Reserve
    from neurodeploy.conversion.methods.sigma_delta import SigmaDelta as SigmaDelta
    from neurodeploy.conversion.methods.signed_memory import SignedMemory as SignedMemory
    from neurodeploy.conversion.methods.ternary import Ternary as Ternary
    from neurodeploy.conversion.registry import Calibrated as Calibrated
    from neurodeploy.conversion.registry import ChannelNorm as ChannelNorm
    from neurodeploy.conversion.registry import LocalThreshold as LocalThreshold


def _names() -> dict[str, str]:
    """Name of the class -> name of the method."""
    return {e.location.rpartition(":")[2]: name for name, e in METHODS.entries().items()}


def __getattr__(attribute: str) -> Any:
    """Import a method's class when it is first asked for (PEP 562)."""
    names = {} if attribute.startswith("_") else _names()
    if attribute not in names:
        known = f"; methods: {', '.join(sorted(names))}" if names else ""
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}{known}")
    return METHODS.get(names[attribute])


def __dir__() -> list[str]:
    return sorted(_names())
