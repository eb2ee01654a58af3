"""Functions of one value, maxima and arithmetic of torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.source import arithmetic, moving
from neurodeploy.source.analog import ReLU
from neurodeploy.source.functions import PROGRAMS
from neurodeploy.source.lowering import Ref, lowers
from neurodeploy.source.torch.site import Site


@lowers("relu6", "hardtanh", deferred=True)
def _lower_hardtanh(site: Site, x: Any, min_val: float = 0.0, max_val: float = 6.0) -> Ref:
    return arithmetic.clamped(site, x, min_val, max_val)


@lowers("threshold")
def _lower_threshold(site: Site, x: Any, threshold: float, value: float) -> Ref:
    if threshold == value == 0:
        return site.emit(ReLU(), site.data(x))
    program = f"x {threshold!r} gt x {value!r} where"
    return arithmetic.function(site, site.data(x), program)


@lowers("rrelu", "rrelu_with_noise", "rrelu_with_noise_functional")
def _lower_rrelu(site: Site, x: Any, lower: Any, upper: Any, training: bool, **_: Any) -> Any:
    if training:
        site.refuse("slopes drawn at random in every call; call .eval()")
    y = arithmetic.leaky(site, site.data(x), np.float32((lower + upper) / 2))
    return site.first(y, "the noise of a random slope")


@lowers("log_sigmoid_forward")
def _lower_log_sigmoid(site: Site, x: Any) -> Any:
    y = arithmetic.function(site, site.data(x), PROGRAMS["log_sigmoid"])
    return site.first(y, "the buffer of a log-sigmoid")


@lowers("masked_fill")
def _lower_masked_fill(site: Site, x: Any, mask: Any, value: Any) -> Ref:
    return arithmetic.chosen(site, *(site.value(v) for v in (mask, value, x)))


@lowers("rsub")
def _lower_rsub(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return arithmetic.total(site, site.value(x), site.value(other), -alpha, 1)


@lowers("var")
def _lower_var(
    site: Site, x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, **given: Any
) -> Ref:
    """``(mean(x^2) - mean(x)^2) n / (n - correction)``: squares are functions of one value."""
    ref = site.data(x)
    axes = site.axes(ref, dim)
    n = int(np.prod([ref.shape[a] for a in axes]))
    correction = int(given.get("unbiased", 1 if correction is None else correction))
    square = "x x mul"
    squares = moving.reduced(site, arithmetic.function(site, ref, square), axes, keepdim, True)
    means = moving.reduced(site, ref, axes, keepdim, True)
    y = arithmetic.total(site, squares, arithmetic.function(site, means, square), 1, -1)
    return arithmetic.scaled(site, y, np.asarray(n / (n - correction), np.float32))
