"""Packets from core to core, in closed form per projection.

A packet is one spike on its way to one core, however many synapses it meets there: a spike that
takes two projections between the same populations is one packet per core. Packets that the host
injects (``spikes`` inputs) stand apart: they enter at the core that receives them and cross no
mesh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.cut.axons import Reach
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import on_chip, projection_reach
from neurodeploy.hardware.cut.reach import merge
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection


@dataclass(frozen=True, slots=True, eq=False)
class CoreFlows:
    """Packets between the cores of a mapping.

    Parameters
    ----------
    n_cores : int
    source, target, packets : int64 ``[n_pairs]``
        Every pair of cores once, in ascending order; only pairs with packets. A core that sends to
        itself is a pair too.
    from_host : int64 ``[n_cores]``
        Packets that the host sends to each core.
    measured : bool
        Packets of a run; else of one spike of every neuron.
    """

    n_cores: int
    source: IntArray
    target: IntArray
    packets: IntArray
    from_host: IntArray
    measured: bool

    @property
    def total(self) -> int:
        """Packets between cores; those of the host are not among them."""
        return int(self.packets.sum())

    def sent(self) -> IntArray:
        """Packets that leave each core: ``[n_cores]``."""
        return _sum_by(self.source, self.packets, self.n_cores)

    def received(self) -> IntArray:
        """Packets that reach each core, those of the host too: ``[n_cores]``."""
        return _sum_by(self.target, self.packets, self.n_cores) + self.from_host


def core_flows(
    mapping: CoreMap,
    netlist: IntegerNetlist,
    spikes: Mapping[str, IntArray] | None = None,
) -> CoreFlows:
    """Packets between the cores of a mapping.

    Parameters
    ----------
    mapping : Mapping
    netlist : IntegerNetlist
    spikes : mapping of population to int64 ``shape``, optional
        How often every neuron fired, inputs included; one spike of every neuron if not given.
    """
    n = mapping.n_cores
    keys: list[IntArray] = []
    counts: list[IntArray] = []
    from_host = np.zeros(n, dtype=np.int64)
    for pre, post, reaches in reaches_of(mapping, netlist):
        arriving = merge(reaches)
        first = mapping.first[post]
        if pre not in mapping.first:
            once = np.ones(arriving.pre_shape, dtype=np.int64)
            injected = once if spikes is None else spikes[pre]
            from_host[first : first + arriving.n_tiles] += arriving.packets(injected)
            continue
        flow = arriving.flow(None if spikes is None else spikes[pre], mapping.tilings[pre])
        keys.append((mapping.first[pre] + flow.source) * n + first + flow.target)
        counts.append(flow.packets)
    if not keys:
        none = np.zeros(0, dtype=np.int64)
        return CoreFlows(n, none, none, none, from_host, spikes is not None)
    # Populations lie on cores of their own and reaches of a pair are merged: no key comes twice.
    key, packets = np.concatenate(keys), np.concatenate(counts)
    order = np.argsort(key, kind="stable")
    source, target = np.divmod(key[order], n)
    return CoreFlows(n, source, target, packets[order], from_host, spikes is not None)


def reaches_of(mapping: CoreMap, netlist: IntegerNetlist) -> Iterator[tuple[str, str, list[Reach]]]:
    """Source, target and reaches of all on-chip projections, those of a pair together."""
    pairs: dict[tuple[str, str], list[IntegerProjection]] = {}
    for projection in netlist.projections:
        if on_chip(netlist, projection):
            pairs.setdefault((projection.pre, projection.post), []).append(projection)
    for (pre, post), projections in pairs.items():
        target, tiling = netlist.by_name[post], mapping.tilings[post]
        yield pre, post, [projection_reach(q, target, tiling) for q in projections]


def _sum_by(index: IntArray, values: IntArray, n: int) -> IntArray:
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, index, values)
    return total
