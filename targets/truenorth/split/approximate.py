"""Fan-in beyond a core, approximately: a netlist that fits, with partial sums in rates.

``split="approximate"`` rewrites the netlist before anything is planned, and the cores then equal
the rewritten netlist, spike for spike and with one tick per step. The inputs of a population that
does not fit are cut into chunks; every chunk becomes a population of *rails*, ordinary
integrate-and-fire neurons with soft reset, up to two per neuron: one takes its weights, one takes
them with all signs turned. A rail has a unit U as its threshold
(:mod:`neurodeploy.targets.truenorth.split.rails`); the final neuron receives it on an axon of
weight U or -U, one step later than it received its inputs before. Positive rails start from U (k +
1/2) / K in chunk k of K, negative ones from what is left to U, so that the rests of the chunks
differ and cancel.

Rails of positive and of negative weights apart have sums that only grow, and so nothing to climb
out of. But these sums are larger than the net ones, and units with them: on lenet_mnist the error
of an output's count was 0.60 spikes, against 0.50 with net sums.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.checks import wide_fan_in
from neurodeploy.targets.truenorth.layers import Decomposition, Layer, decompose, extract
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.chunks import ApproximateCut, cut_population


@dataclass(frozen=True, slots=True, eq=False)
class Restated:
    """A rewritten netlist, and what was done, per population as JSON values."""

    netlist: IntegerNetlist
    entries: tuple[dict[str, Any], ...]

    @property
    def summary(self) -> str:
        """One line."""
        return "; ".join(
            f"{e['population']} in {e['chunks']} chunks, a spike worth {e['unit_min']} to "
            f"{e['unit_max']} (from {e['units_from']})"
            for e in self.entries
        )


def rails_name(name: str, chunk: int, taken: Collection[str]) -> str:
    """Name of the populations of a chunk's partial sums."""
    found = f"{name}.rails{chunk}"
    while found in taken:
        found += "_"
    return found


def wide_populations(netlist: IntegerNetlist, limits: CrossbarLimits) -> list[str]:
    """Populations whose inputs take more axons than a core has."""
    found = []
    for population in netlist.populations:
        name = population.name
        if isinstance(population.model, Input):
            continue
        if wide_fan_in(netlist, name, limits) is None:
            parts = decompose(extract(netlist, name), limits)
            if isinstance(parts, Decomposition) and (
                np.bincount(parts.neuron).max(initial=0) <= limits.axons
            ):
                continue
        found.append(name)
    return found


def restate(
    netlist: IntegerNetlist, names: Collection[str], limits: CrossbarLimits
) -> Restated | list[Violation]:
    """Rewrite these populations, or tell what stands against it.

    Parameters
    ----------
    netlist : IntegerNetlist
    names : collection of str
        Populations with inputs.
    limits : CrossbarLimits
    """
    found: list[Violation] = []
    populations: list[Population] = []
    projections = [q for q in netlist.projections if q.post not in names]
    entries: list[dict[str, Any]] = []
    for population in netlist.populations:
        name = population.name
        if name in names:
            refused = _refusal(netlist, name)
            layer = extract(netlist, name)
            cut = refused or cut_population(netlist, layer, limits)
            if isinstance(cut, Violation):
                found.append(cut)
            else:
                rails, links, entry = _rewritten(netlist, population, layer, cut)
                populations += rails
                projections += links
                entries.append(entry)
        populations.append(population)
    if found:
        return found
    changed = replace(netlist, populations=tuple(populations), projections=tuple(projections))
    return Restated(changed, tuple(entries))


def _refusal(netlist: IntegerNetlist, name: str) -> Violation | None:
    if name in netlist.schedule.cyclic:
        return Violation(
            name,
            'fan-in beyond a core inside a cycle: split="approximate" would make the cycle\'s '
            "delays a step longer",
            remedy='compile with split="exact", or use a smaller recurrent layer',
        )
    depth = netlist.schedule.depth
    for projection in netlist.incoming[name]:
        apart = depth[name] - depth[projection.pre]
        if projection.delay is not None and projection.delay != apart:
            return Violation(
                projection.label,
                'split="approximate" keeps the steps of aligned delays only: delay',
                projection.delay,
                apart,
                "leave the delay out, so that it is aligned",
            )
    return None


def _rewritten(
    netlist: IntegerNetlist, population: Population, layer: Layer, cut: ApproximateCut
) -> tuple[list[Population], list[IntegerProjection], dict[str, Any]]:
    """Rails of all chunks, all projections into them and into the population, and the report."""
    name, shape = population.name, population.shape
    channels, places = shape[0], population.size // shape[0]
    by_channel = cut.sums.bound.reshape(-1, channels, places, 2).max(axis=2)
    populations: list[Population] = []
    projections: list[IntegerProjection] = []
    incoming = [_Incoming.of(q, layer, cut.chunk, netlist) for q in netlist.incoming[name]]
    for k in range(cut.sums.n_chunks):
        channel, sign = np.nonzero(by_channel[k])
        if not channel.size:
            continue
        rails = rails_name(name, k, netlist.by_name)
        unit = cut.unit[channel, sign]
        rail_shape = (channel.size, *shape[1:])
        phase = np.where(sign, 2 * (cut.sums.n_chunks - k) - 1, 2 * k + 1)
        start = unit * phase // (2 * cut.sums.n_chunks)
        model = IntegerNeuron(unit, np.zeros((), dtype=np.int64), start)
        populations.append(Population(rails, rail_shape, model))
        for given in incoming:
            link = given.onto(rails, k, channel, sign, rail_shape)
            if link is not None:
                projections.append(link)
        projections.append(_final_link(rails, population, channel, (1 - 2 * sign) * unit))
    used = cut.unit[cut.unit > 0]
    entry = {
        "population": name,
        "chunks": cut.sums.n_chunks,
        "rails": int(cut.sums.rails().max(initial=0)),
        "rail_neurons": sum(p.size for p in populations),
        "unit_min": int(used.min()),
        "unit_max": int(used.max()),
        "units_from": "proved bounds" if cut.sums.mean is None else "calibration means",
        "expected_error": round(cut.error, 4),
    }
    return populations, projections, entry


@dataclass(frozen=True, slots=True, eq=False)
class _Incoming:
    """One projection, its synapses by chunk.

    Parameters
    ----------
    projection : IntegerProjection
    by_channel : int64 ``[C_in]`` or None
        Chunk of every input channel of a convolution that the chunks do not cut.
    synapses : tuple of int64 arrays, or None
        Post, pre, weight and chunk of every synapse, otherwise.
    """

    projection: IntegerProjection
    by_channel: IntArray | None
    synapses: tuple[IntArray, IntArray, AnyArray, IntArray] | None

    @classmethod
    def of(
        cls, projection: IntegerProjection, layer: Layer, chunk: IntArray, netlist: IntegerNetlist
    ) -> _Incoming:
        connectivity = projection.connectivity
        pre = netlist.by_name[projection.pre]
        chunk_of: IntArray = np.full(pre.size, -1)
        # Delays are aligned, so that a population is one source at most.
        for s, source in enumerate(layer.sources):
            if source.pre == pre.name:
                mine = np.flatnonzero(layer.key_source == s)
                chunk_of[layer.key_neuron[mine]] = chunk[mine]
        if isinstance(connectivity, Conv):
            rows = chunk_of.reshape(connectivity.channels_in, -1)
            highest = rows.max(axis=1, keepdims=True)
            if ((rows == highest) | (rows < 0)).all():
                return cls(projection, highest[:, 0], None)
        post, source_, weight = connectivity.to_coo()
        live = np.flatnonzero(weight)
        post, source_, weight = post[live], source_[live], weight[live]
        return cls(projection, None, (post, source_, weight, chunk_of[source_]))

    def onto(
        self, rails: str, chunk: int, channel: IntArray, sign: IntArray, shape: tuple[int, ...]
    ) -> IntegerProjection | None:
        """The inputs of a chunk's rails; None if there are none."""
        connectivity = (
            self._convolution(chunk, channel, sign)
            if self.by_channel is not None
            else self._listed(chunk, channel, sign, shape)
        )
        if not connectivity.weight.any():
            return None
        given = self.projection
        exponent = given.exponent if given.exponent.ndim == 0 else given.exponent[channel]
        return _projection(given.pre, rails, connectivity, given.delay, exponent)

    def _convolution(self, chunk: int, channel: IntArray, sign: IntArray) -> Conv:
        conv = self.projection.connectivity
        assert isinstance(conv, Conv)
        assert self.by_channel is not None
        c_out, c_group = conv.weight.shape[:2]
        whole: IntArray = np.zeros((c_out, conv.channels_in, *conv.window.kernel), dtype=np.int64)
        for c in range(c_out):
            first = c // (c_out // conv.groups) * c_group
            whole[c, first : first + c_group] = conv.weight[c]
        whole[:, self.by_channel != chunk] = 0
        turn = (1 - 2 * sign).reshape(-1, *(1,) * (whole.ndim - 1))
        return Conv(whole[channel] * turn, conv.channels_in, conv.window)

    def _listed(
        self, chunk: int, channel: IntArray, sign: IntArray, shape: tuple[int, ...]
    ) -> Sparse:
        assert self.synapses is not None
        post, pre, weight, chunk_of = self.synapses
        live = np.flatnonzero(chunk_of == chunk)
        post, pre, weight = post[live], pre[live], weight[live]
        places = int(np.prod(shape[1:], dtype=np.int64))
        n_channels = self.projection.connectivity.post_shape[0]
        number: IntArray = np.full((n_channels, 2), -1)
        number[channel, sign] = np.arange(channel.size)
        rail = number[post // places]
        live, turned = np.nonzero(rail >= 0)
        return Sparse(
            weight[live] * (1 - 2 * turned),
            rail[live, turned] * places + post[live] % places,
            pre[live],
            self.projection.connectivity.pre_shape,
            shape,
        )


def _final_link(
    rails: str, population: Population, channel: IntArray, worth: IntArray
) -> IntegerProjection:
    """Every rail onto its neuron."""
    shape = population.shape
    if len(shape) == 1:
        index = np.arange(channel.size)
        listed = Sparse(worth, channel, index, (channel.size,), shape)
        return _projection(rails, population.name, listed, None, np.int64(0))
    n = len(shape) - 1
    weight: IntArray = np.zeros((shape[0], channel.size, *(1,) * n), dtype=np.int64)
    weight[channel, np.arange(channel.size)] = worth.reshape(-1, *(1,) * n)
    window = Window(shape[1:], (1,) * n, (1,) * n, ((0, 0),) * n, (1,) * n)
    return _projection(
        rails, population.name, Conv(weight, channel.size, window), None, np.int64(0)
    )


def _projection(
    pre: str, post: str, connectivity: Connectivity, delay: int | None, exponent: Any
) -> IntegerProjection:
    bits = max(1, int(np.abs(connectivity.weight).max(initial=0)).bit_length()) + 1
    return IntegerProjection(pre, post, connectivity, delay, exponent, bits)
