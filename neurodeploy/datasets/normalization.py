"""The normalization that a source network expects of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import UsageError


@dataclass(frozen=True, slots=True)
class Normalization:
    """``(x - mean) / std`` per channel: what the source network expects, never applied here.

    Parameters
    ----------
    mean, std : tuple of float
        One value per channel, or one for all. In units of x.

    Raises
    ------
    UsageError
        For lengths that differ, values that are not finite, or a std that is not above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for values in (self.mean, self.std):
            if not isinstance(values, tuple | list) or any(isinstance(v, str) for v in values):
                raise UsageError(
                    f"normalization: {values!r}; pass a tuple of numbers, one per channel"
                )
        if not self.mean or len(self.mean) != len(self.std):
            raise UsageError(
                f"normalization: {len(self.mean)} means and {len(self.std)} standard deviations; "
                "give one of each per channel, as in 0.5,0.4,0.3/0.2,0.2,0.2"
            )
        if not all(np.isfinite([*self.mean, *self.std])) or min(self.std) <= 0:
            raise UsageError(
                f"normalization: means {self.mean} and standard deviations {self.std} must be "
                "finite and the latter above 0"
            )

    def by_channel(self, n: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Means and standard deviations of ``n`` channels."""
        repeat = n if len(self.mean) == 1 else 1
        return self.mean * repeat, self.std * repeat


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Channel statistics of ImageNet's training images in [0, 1], as torchvision's models use them."""

MNIST = Normalization((0.1307,), (0.3081,))
"""Mean and standard deviation of MNIST's training images in [0, 1]."""
CIFAR10 = Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Channel statistics of CIFAR-10's training images in [0, 1]."""
NAMED = {"mnist": MNIST, "cifar10": CIFAR10, "imagenet": IMAGENET}
"""Normalizations by the names that #norm and Samples take; all are of values in [0, 1]."""

NormalizationLike = Normalization | str | tuple[float | Sequence[float], float | Sequence[float]]


def as_normalization(given: NormalizationLike, option: str) -> Normalization:
    """Read ``(mean, std)``, numbers or one number per channel, or a name.

    Raises
    ------
    UsageError
        For anything else.
    """
    if isinstance(given, Normalization):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]
    try:
        mean, std = (tuple(np.atleast_1d(np.asarray(v, np.float64)).tolist()) for v in given)
    except (TypeError, ValueError):
        raise UsageError(
            f"{option}={given!r}: pass (mean, std), each a number or one per channel, or one of "
            f"{', '.join(NAMED)}"
        ) from None
    return Normalization(mean, std)


def normalization_name(norm: Normalization) -> str | None:
    """The name of one that has one."""
    return next((name for name, known in NAMED.items() if known == norm), None)


def expect_unit_range(name: str, norm: Normalization, value_range: tuple[float, float]) -> None:
    """Refuse statistics of values in [0, 1] for values in another range.

    Raises
    ------
    UsageError
        With the numbers that a normalization in the units of these values would have.
    """
    known, (low, high) = normalization_name(norm), value_range
    if known is None or (low >= 0 and high <= 1):
        return
    means = ",".join(f"{v * (high - low) + low:g}" for v in norm.mean)
    deviations = ",".join(f"{v * (high - low):g}" for v in norm.std)
    raise UsageError(
        f"{name}: norm={known} is of values in [0, 1], these lie in [{low:g}, {high:g}] and are "
        f"normalized as they are; write "
        f"norm={means}/{deviations}"
    )
