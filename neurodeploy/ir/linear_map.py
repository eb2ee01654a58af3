"""The base of every connectivity: a linear map, its weights, and products that stay exact."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, IntArray, frozen

_Self = TypeVar("_Self", bound="Connectivity")

# Doubles hold every integer up to here, so sums of products below it are exact in any order.
EXACT_FLOAT64 = 2**53


def exact_matmul(a: AnyArray, b: AnyArray) -> AnyArray:
    """``a @ b``; integers stay exact.

    Where the bound proves that doubles hold every sum, BLAS multiplies, and integers confirm its
    product; where they do not, or nothing is proved, they multiply themselves.
    """
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        # Single-precision data asks for single precision: calibration, not execution.
        return np.asarray(np.matmul(a.astype(b.dtype) if b.dtype == np.float32 else a, b))
    a, b = a.astype(np.int64, copy=False), b.astype(np.int64, copy=False)
    if a.size and b.size:
        bound = int(np.abs(a).sum(axis=-1).max()) * int(np.abs(b).max())
        if bound < EXACT_FLOAT64:
            product: AnyArray = np.matmul(a.astype(np.float64), b.astype(np.float64))
            product = product.astype(np.int64)
            if _confirmed(a, b, product):
                return product
    return np.asarray(np.matmul(a, b))


def _confirmed(a: AnyArray, b: AnyArray, product: AnyArray) -> bool:
    """Whether ``product`` is ``a @ b``, by integers alone.

    Both are applied to one vector of odd numbers that nobody chose, modulo 2^64: a product that
    is wrong anywhere agrees with a probability of about 2^-64 (Freivalds 1977, "Probabilistic
    machines can use less running time").
    """
    probe = _probe(product.shape[-1])
    return bool((np.matmul(a, np.matmul(b, probe)[..., None])[..., 0] == product @ probe).all())


@functools.lru_cache(maxsize=64)
def _probe(size: int) -> AnyArray:
    return 2 * np.random.default_rng(size).integers(-(2**62), 2**62, size) + 1


def common_precision(weight: AnyArray, x: AnyArray) -> np.dtype[Any]:
    """The dtype of ``weight . x``: single precision only for real weights and single ``x``."""
    single = x.dtype == np.float32 and weight.dtype.kind == "f"
    return np.dtype(np.float32) if single else np.result_type(weight.dtype, x.dtype)


def checked_weight(weight: AnyArray, ndim: int, where: str) -> AnyArray:
    """Weights as a private float64 or int64 array of ``ndim`` axes; NetlistError for others."""
    array = np.asarray(weight)
    if array.dtype.kind not in "iuf":
        raise NetlistError(f"{where}: weights of dtype {array.dtype}; expected integers or floats")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise NetlistError(f"{where}: weights up to {array.max()}, beyond 64 bits with a sign")
    array = frozen(array, np.float64 if array.dtype.kind == "f" else np.int64)
    if array.ndim != ndim:
        raise NetlistError(f"{where}: weight of shape {array.shape}; expected {ndim} axes")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NetlistError(f"{where}: weights that are not finite")
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Connectivity:
    """Base of all linear maps ``a = W . s`` from ``pre_shape`` to ``post_shape``."""

    weight: AnyArray

    kind: ClassVar[str] = "connectivity"

    def __repr__(self) -> str:
        shapes = " -> ".join("x".join(map(str, s)) for s in (self.pre_shape, self.post_shape))
        return f"{type(self).__name__}({shapes}, {self.n_parameters} parameters)"

    @property
    def pre_shape(self) -> tuple[int, ...]:
        """Shape of the presynaptic population."""
        raise NotImplementedError

    @property
    def post_shape(self) -> tuple[int, ...]:
        """Shape of the postsynaptic population."""
        raise NotImplementedError

    def apply(self, x: AnyArray) -> AnyArray:
        """Return ``W . x`` for ``x`` of shape ``[B, *pre_shape]``: ``[B, *post_shape]``."""
        raise NotImplementedError

    def to_coo(self) -> tuple[IntArray, IntArray, AnyArray]:
        """Every synapse as ``(post, pre, weight)`` with flat C-order indices, zeros included."""
        raise NotImplementedError

    def fan_in(self) -> IntArray:
        """Synapses per postsynaptic neuron: int64 of ``post_shape``."""
        raise NotImplementedError

    def fan_out(self) -> IntArray:
        """Synapses per presynaptic neuron: int64 of ``pre_shape``."""
        raise NotImplementedError

    @property
    def is_integer(self) -> bool:
        """Whether the weights are integers."""
        return bool(self.weight.dtype.kind == "i")

    @property
    def n_parameters(self) -> int:
        """Stored weights."""
        return int(self.weight.size)

    @property
    def n_synapses(self) -> int:
        """Synapses if the map were expanded."""
        return int(self.fan_in().sum())

    def with_weight(self: _Self, weight: AnyArray) -> _Self:
        """The same map with other weights of the same shape."""
        if weight.shape != self.weight.shape:
            raise NetlistError(
                f"{self.kind}: weight of shape {weight.shape}; expected {self.weight.shape}"
            )
        return replace(self, weight=weight)

    def row_sums(self) -> tuple[AnyArray, AnyArray]:
        """Sums of the positive and of the negative weights of each neuron: ``post_shape`` each."""
        ones = np.ones((1, *self.pre_shape), dtype=self.weight.dtype)
        return (
            self.with_weight(np.maximum(self.weight, 0)).apply(ones)[0],
            self.with_weight(np.minimum(self.weight, 0)).apply(ones)[0],
        )

    def scale_channels(self: _Self, scale: AnyArray) -> _Self:
        """Multiply the weights of every postsynaptic channel by ``scale`` (``(C,)``, floats)."""
        lead = scale.reshape(-1, *(1,) * (self.weight.ndim - 1))
        return self.with_weight(self.weight * lead)

    def scale_inputs(self: _Self, scale: AnyArray) -> _Self:
        """Multiply the weights of every presynaptic channel by ``scale`` (``(C,)``, floats)."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((getattr(self, n), getattr(other, n)) for n in self.__dataclass_fields__)
        return all(
            a.dtype == b.dtype and np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
            for a, b in pairs
        )

    __hash__ = None  # type: ignore[assignment]  # equality compares arrays
