"""Integer arithmetic of netlists (docs/semantics.md)."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import AnyArray

DECAY_ONE = 4096


def trunc0_decay(x: AnyArray, decay: int | AnyArray) -> AnyArray:
    """``trunc0(x * (4096 - decay) / 4096)`` for int64 ``x``: toward zero, unlike ``>>``."""
    product = x * (DECAY_ONE - decay)
    return np.asarray(np.sign(product) * (np.abs(product) // DECAY_ONE))
