"""A fluent builder of small integer netlists, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, PoolRule
from neurodeploy.testing import parts
from neurodeploy.testing.parts import Padding, Shape, Sizes
from neurodeploy.testing.stimuli import random_stimulus

Weight = int | float | Sequence[Any] | AnyArray
OF_PROJECTIONS = ("delay", "exponent", "bits")


class NetlistBuilder:
    """Builds an integer netlist layer by layer.

    ::

        net = (
            NetlistBuilder(T=16)
            .input("x", (1, 8, 8))
            .conv(w, threshold=60)
            .maxpool(2)
            .dense(v)
            .output()
        )

    Every call but ``output`` adds to this builder and returns it. A layer takes its input from the
    population added last, or from the one named by ``after``, and is called by its kind and
    number (``conv_1``, ``maxpool_2``, ``dense_3``) unless ``name`` says otherwise. Its other
    options are those of

    - the projection: ``delay`` (steps; None: aligned by the schedule), ``exponent`` (scalar or per
      channel), ``bits`` (declared width of the weights, 8),
    - the neurons: ``threshold`` (None: they integrate and are read by their membrane), and the
      fields of :class:`~neurodeploy.ir.neurons.IntegerNeuron`: ``bias``, ``initial_membrane``,
      ``negative_threshold``, ``reset``, ``payload_max``, ``payload_code``, ``memory``,
      ``input_gain``, ``firing_gain``, ``comparison``, ``current_decay``, ``membrane_decay``,
    - the population: ``unit``, ``source``, ``coding``, ``mean``.

    Where weights do not matter, a number of neurons or channels stands for them, and they are
    drawn.

    Parameters
    ----------
    T : int
        Steps of a sample.
    name : str
    seed : int or numpy Generator
        What weights and stimuli are drawn from.

    Raises
    ------
    NetlistError
        From every method, in one line: for unknown names and options, shapes that do not fit, and
        whatever a netlist refuses.
    """

    def __init__(
        self, T: int = 16, name: str = "net", *, seed: int | np.random.Generator = 0
    ) -> None:
        self.T = T
        self.name = name
        try:
            self.rng = np.random.default_rng(seed)
        except (TypeError, ValueError):
            raise NetlistError(
                f"{name}: seed {seed!r}; expected a whole number from 0 on"
            ) from None
        self._populations: dict[str, Population] = {}
        self._projections: list[IntegerProjection] = []

    def __getitem__(self, name: str) -> Population:
        """The population of that name."""
        if name not in self._populations:
            known = ", ".join(self._populations) or "none yet"
            raise NetlistError(f"{self.name}: no population {name!r}; populations: {known}")
        return self._populations[name]

    @property
    def last(self) -> Population:
        """The population added last."""
        if not self._populations:
            raise NetlistError(f"{self.name}: has no population yet; begin with input(name, shape)")
        return self._populations[next(reversed(self._populations))]

    def __repr__(self) -> str:
        return f"NetlistBuilder({self.name}: T = {self.T}, {', '.join(self._populations)})"

    def input(
        self,
        name: str,
        shape: Sizes,
        *,
        kind: Literal["spikes", "current"] = "spikes",
        low: int = 0,
        high: int | None = None,
    ) -> NetlistBuilder:
        """Add an input of values within [low, high]; by default 0..1, for currents 0..255."""
        most = (1 if kind == "spikes" else 255) if high is None else high
        return self._add(Population(name, _sizes(shape), Input(kind, low, most)))

    def neurons(
        self, name: str, shape: Sizes, threshold: Any = None, **options: Any
    ) -> NetlistBuilder:
        """Add neurons without projections; see :meth:`connect`."""
        return self._add(parts.neuron(name, _sizes(shape), threshold, **options))

    def dense(
        self, weight: Weight, *, shape: Sizes | None = None, **options: Any
    ) -> NetlistBuilder:
        """Add a layer that sees every neuron: ``weight[post, pre]``, or a number of neurons.

        ``shape`` is that of the new population (default: one axis), which has the same size.
        """
        pre = self._before(options)
        link: Connectivity
        if shape is not None and len(_sizes(shape)) > 1:
            link = self._listed(1.0 if isinstance(weight, int) else weight, pre, _sizes(shape))
        elif isinstance(weight, int):
            link = Dense(self.draw((self._number(weight), pre.size)), pre.shape)
        else:
            link = Dense(self._array(weight), pre.shape)
        return self.layer(link, kind="dense", after=pre.name, **options)

    def sparse(self, weight: Weight, shape: Sizes, **options: Any) -> NetlistBuilder:
        """Add a layer of listed synapses: ``weight[post, pre]``, or the share that is drawn.

        A weight of 0 in a matrix is no synapse.
        """
        pre = self._before(options)
        link = self._listed(weight, pre, _sizes(shape))
        return self.layer(link, kind="sparse", after=pre.name, **options)

    def conv(
        self,
        weight: Weight,
        kernel: Sizes = 3,
        *,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        spacing: Sizes = 1,
        **options: Any,
    ) -> NetlistBuilder:
        """Add a convolution: ``weight[c_out, c_in / groups, *kernel]``, or a number of channels.

        ``kernel`` is read only where weights are drawn. One number counts for every axis;
        ``padding`` is a number, one per axis, or a pair (before, after) per axis. ``spacing`` is
        how far apart the cells of the input stand, as for a transposed convolution.
        """
        pre = self._before(options)
        drawn = isinstance(weight, int)
        array = self._array(weight)
        if len(pre.shape) < 2 or not (drawn or array.ndim == len(pre.shape) + 1):
            raise NetlistError(
                f"{self.name}: a convolution of weights {array.shape} over {pre.name!r} of shape "
                f"{pre.shape}; expected [c_out, c_in, *kernel] over [channels, *size]"
            )
        size = kernel if drawn else array.shape[2:]
        where = parts.window(pre.shape[1:], size, stride, padding, dilation, spacing)
        if drawn:
            per_group = pre.shape[0] // max(groups, 1)
            array = self.draw((self._number(weight), per_group, *where.kernel))
        link = Conv(array, pre.shape[0], where, groups)
        return self.layer(link, kind="conv", after=pre.name, **options)

    def sumpool(
        self,
        kernel: Sizes,
        weight: int | Sequence[int] | AnyArray = 1,
        *,
        stride: Sizes | None = None,
        padding: Padding = 0,
        dilation: Sizes = 1,
        spacing: Sizes = 1,
        **options: Any,
    ) -> NetlistBuilder:
        """Add neurons that see the sum of each window times a weight per channel."""
        pre = self._before(options)
        step = kernel if stride is None else stride
        where = parts.window(pre.shape[1:], kernel, step, padding, dilation, spacing)
        weights = self._array(weight)
        if not weights.size or pre.shape[0] % weights.size:
            raise NetlistError(
                f"{self.name}: {weights.size} weights of a sum over {pre.name!r}; expected one for "
                f"each of {pre.shape[0]} channels, or so many that they are repeated for all"
            )
        link = parts.sumpool(pre.shape[0], where, weights)
        return self.layer(link, kind="sumpool", after=pre.name, **options)

    def maxpool(
        self,
        kernel: Sizes,
        *,
        stride: Sizes | None = None,
        padding: Padding = 0,
        dilation: Sizes = 1,
        rule: PoolRule = "maximum",
        signed: bool | None = None,
        input_gain: Sequence[int] = (),
        weight: int | Sequence[int] | AnyArray | None = 1,
        name: str | None = None,
        **options: Any,
    ) -> NetlistBuilder:
        """Add a max-pooling population; ``signed`` by default if its source is.

        ``weight`` (scalar or per channel) takes each neuron to its own cell; with None there is no
        projection yet.
        """
        pre = self._before(options)
        step = kernel if stride is None else stride
        where = parts.window(pre.shape[1:], kernel, step, padding, dilation)
        negative = pre.emits_negative if signed is None else signed
        name = self._named(name, "maxpool")
        self._add(parts.pool(name, pre.shape[0], where, rule, negative, input_gain))
        if weight is None:
            return self
        return self.connect(pre.name, name, identity(pre.shape, np.asarray(weight)), **options)

    def layer(
        self,
        connectivity: Connectivity,
        *,
        name: str | None = None,
        after: str | None = None,
        kind: str = "layer",
        threshold: Any = None,
        **options: Any,
    ) -> NetlistBuilder:
        """Add neurons and their projection of any connectivity."""
        if not isinstance(connectivity, Connectivity):
            raise NetlistError(
                f"{self.name}: a layer of {type(connectivity).__name__}; expected a Connectivity"
            )
        pre = self.last if after is None else self[after]
        link = {k: options.pop(k) for k in OF_PROJECTIONS if k in options}
        name = self._named(name, kind)
        self._add(parts.neuron(name, connectivity.post_shape, threshold, **options))
        return self.connect(pre.name, name, connectivity, **link)

    def connect(
        self,
        pre: str,
        post: str,
        weight: Weight | Connectivity,
        *,
        delay: int | None = None,
        exponent: Any = 0,
        bits: int = 8,
    ) -> NetlistBuilder:
        """Add a projection between populations by name, recurrent ones too.

        Parameters
        ----------
        pre, post : str
        weight : Connectivity, array ``[n_post, n_pre]`` or float
            A matrix connects all pairs; a float is the share of the pairs that are drawn.
        delay : int or None
        exponent : int or array
        bits : int
        """
        source, sink = self[pre], self[post]
        if isinstance(weight, Connectivity):
            link = weight
        elif self._array(weight).ndim == 2 and len(sink.input_shape) == 1:
            link = Dense(self._array(weight), source.shape)
        else:
            link = self._listed(weight, source, sink.input_shape)
        self._projections.append(
            parts.project(pre, post, link, delay, exponent=exponent, bits=bits)
        )
        return self

    def output(self, *populations: str | Output) -> IntegerNetlist:
        """The netlist, read at these populations (default: the one added last).

        A name is decoded by counts if its population fires, else by its membrane; an
        :class:`~neurodeploy.ir.netlist.Output` as it says.
        """
        read = populations or (self.last.name,)
        layers = list(self._populations.values())
        return parts.net(self.name, layers, self._projections, read, self.T)

    def stimulus(self, samples: int = 3, **options: Any) -> dict[str, IntArray]:
        """Random input for what has been declared so far; see :func:`random_stimulus`."""
        if samples < 0:
            raise NetlistError(f"{self.name}: a stimulus of {samples} samples")
        inputs = [p for p in self._populations.values() if isinstance(p.model, Input)]
        return random_stimulus(inputs, self.T, self.rng, samples=samples, **options)

    def draw(self, shape: Sizes, low: int = -30, high: int = 45) -> IntArray:
        """Integers of [low, high)."""
        return self.rng.integers(low, high, shape)

    def _add(self, population: Population) -> NetlistBuilder:
        if population.name in self._populations:
            raise NetlistError(
                f"{self.name}: population {population.name!r} is there already; pass another name"
            )
        self._populations[population.name] = population
        return self

    def _number(self, given: Any) -> int:
        """Neurons or channels to draw weights for."""
        if isinstance(given, bool) or given < 1:
            raise NetlistError(f"{self.name}: {given} neurons or channels; expected at least 1")
        return int(given)

    def _array(self, weight: Any) -> AnyArray:
        try:
            return np.asarray(weight)
        except ValueError:
            raise NetlistError(f"{self.name}: weights in rows of different length") from None

    def _before(self, options: dict[str, Any]) -> Population:
        """The source of the next layer, taken out of its options."""
        after = options.pop("after", None)
        return self.last if after is None else self[after]

    def _named(self, name: str | None, kind: str) -> str:
        return f"{kind}_{len(self._populations)}" if name is None else name

    def _listed(self, weight: Weight, pre: Population, post: Shape) -> Sparse:
        if isinstance(weight, int | float):
            if not 0 < weight <= 1:
                raise NetlistError(
                    f"{self.name}: {weight} of the pairs of {pre.name!r} and its targets; expected "
                    "a share above 0 and at most 1, or weights[post, pre]"
                )
            return parts.sparse(self.rng, pre.shape, post, weight)
        matrix, expected = self._array(weight), (int(np.prod(post)), pre.size)
        if matrix.shape != expected:
            raise NetlistError(
                f"{self.name}: weights of shape {matrix.shape} from {pre.name!r}; expected "
                f"{expected}"
            )
        rows, columns = np.nonzero(matrix)
        return Sparse(matrix[rows, columns], rows, columns, pre.shape, post)


def _sizes(shape: Sizes) -> Shape:
    return (shape,) if isinstance(shape, int) else tuple(shape)
