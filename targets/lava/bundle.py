"""What the Lava target compiles to: everything a run needs, without the netlist.

Depths and delays are those of the schedule. :mod:`neurodeploy.targets.lava.bundle_files` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from neurodeploy.ir.arrays import IntArray

Models = Literal["own", "stock"]
KINDS = ("dense", "conv", "sumpool", "sparse")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An input: ``current`` (one integer per sample, in every step) or ``spikes`` (a raster)."""

    kind: Literal["current", "spikes"]
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NeuronSpec:
    """Integrate-and-fire neurons; quantities are scalar, per channel or per neuron."""

    threshold: IntArray | None
    negative_threshold: IntArray | None
    bias: IntArray
    initial_membrane: IntArray
    reset: Literal["subtract", "zero", "none"]
    payload_max: int
    current_decay: int
    membrane_decay: int
    payload_code: Literal["integer", "power_of_two"] = "integer"
    memory: bool = False
    input_gain: tuple[int, ...] = ()
    firing_gain: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Kernel geometry over the spatial axes, one entry per axis; padding is (before, after)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Pooling over each window of the accumulated input."""

    input_shape: tuple[int, ...]
    window: WindowSpec
    rule: Literal["maximum", "winner"] = "maximum"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """One population: active in steps [depth, depth + T) of a sample."""

    name: str
    shape: tuple[int, ...]
    depth: int
    model: InputSpec | NeuronSpec | PoolSpec

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape that projections target."""
        return self.model.input_shape if isinstance(self.model, PoolSpec) else self.shape

    def spread(self, value: IntArray) -> IntArray:
        """A scalar, per-channel or per-neuron quantity as int64 of ``shape``."""
        if value.ndim == 1 and len(self.shape) > 1:
            value = value.reshape(-1, *(1,) * (len(self.shape) - 1))
        return np.ascontiguousarray(np.broadcast_to(value, self.shape), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ProjectionSpec:
    """Synapses: ``a += (W . s_pre[t - delay]) << exponent``.

    Parameters
    ----------
    pre, post, kind, delay
        ``kind`` is dense ``[n_post, n_pre]``, conv ``[C_out, C_in / groups, *kernel]``, sumpool
        ``[C]`` or sparse ``[n_synapses]`` with flat ``post_index`` and ``pre_index``.
    pre_shape, post_shape : tuple of int
    weight, exponent : integer arrays
        ``exponent`` is a scalar or one per output channel.
    """

    pre: str
    post: str
    kind: str
    delay: int
    pre_shape: tuple[int, ...]
    post_shape: tuple[int, ...]
    weight: IntArray
    exponent: IntArray
    window: WindowSpec | None = None
    groups: int = 1
    post_index: IntArray | None = None
    pre_index: IntArray | None = None

    @property
    def label(self) -> str:
        """``pre->post``, for messages."""
        return f"{self.pre}->{self.post}"

    @property
    def shift(self) -> IntArray:
        """The exponent, broadcastable over ``[lanes, *post_shape]``."""
        if self.exponent.ndim == 0:
            return self.exponent
        return self.exponent.reshape(-1, *(1,) * (len(self.post_shape) - 1))


@dataclass(frozen=True)
class Bundle:
    """A compiled network."""

    network: str
    models: Models
    timesteps: int
    populations: tuple[PopulationSpec, ...]
    projections: tuple[ProjectionSpec, ...]
    outputs: tuple[str, ...]

    @cached_property
    def by_name(self) -> Mapping[str, PopulationSpec]:
        """Populations by name."""
        return {p.name: p for p in self.populations}

    def incoming(self, name: str) -> tuple[ProjectionSpec, ...]:
        """Projections into a population."""
        return tuple(q for q in self.projections if q.post == name)

    @property
    def inputs(self) -> tuple[PopulationSpec, ...]:
        """The input populations."""
        return tuple(p for p in self.populations if isinstance(p.model, InputSpec))

    @property
    def max_depth(self) -> int:
        """The largest depth."""
        return max(p.depth for p in self.populations)
