"""Functions of one value that ONNX alone has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.source import arithmetic
from neurodeploy.source.analog import Function
from neurodeploy.source.lowering import Ref, lowers
from neurodeploy.source.onnx.lowering import OnnxSite


@lowers(onnx=("HardSigmoid",))
def _lower_hard_sigmoid(site: OnnxSite, x: Any, alpha: float = 0.2, beta: float = 0.5) -> Ref:
    """``clip(alpha x + beta, 0, 1)``, which for 1/6 and 1/2 has a name."""
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return site.emit(Function("hardsigmoid"), site.data(x))
    y = arithmetic.scaled(site, site.data(x), np.float32(alpha))
    return arithmetic.clamped(site, arithmetic.shifted(site, y, np.float32(beta)), 0.0, 1.0)


@lowers(onnx=("Identity", "Dropout"))
def _lower_identity(site: OnnxSite, x: Any, _ratio: Any = None, training: Any = None) -> Ref:
    if training is not None and site.array(training).any():
        site.refuse("dropout is active; export in evaluation mode")
    return site.data(x)


@lowers(onnx=("Cast", "CastLike"))
def _lower_cast(site: OnnxSite, x: Any, like: Any = None, *, to: int = 1) -> Ref:
    if to not in (1, 9) or (isinstance(like, np.ndarray) and like.dtype != np.float32):
        site.refuse("conversion to another type than float32")
    return site.data(x)
