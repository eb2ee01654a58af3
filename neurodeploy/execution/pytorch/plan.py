"""The execution plan of a netlist: components in order, maps, formats, memory.

Time is folded into the batch. In a netlist without cycles the whole raster of a population is
known before any population that it drives opens its window, so each projection is one product
over all steps. A projection whose delay is shorter than the distance in depth, ``k`` steps too
short, delivers at step t what was emitted at step t + k, and nothing in the last k steps. Only
populations on a common cycle advance step by step, together. On integer netlists a population
takes a few steps at a time, so that its input stays in cache.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from neurodeploy.errors import UsageError
from neurodeploy.execution.pytorch.float_products import float_product
from neurodeploy.execution.pytorch.integer_products import integer_product
from neurodeploy.execution.pytorch.kernels import Drive, ExtendedKernel, Kernel, NeuronKernel
from neurodeploy.execution.pytorch.layout import vector
from neurodeploy.execution.pytorch.pool_kernel import MaxPoolKernel
from neurodeploy.execution.pytorch.precision import Precision, prove_precision
from neurodeploy.execution.pytorch.products import GatherProduct, Product
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population, RealNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.ir.siblings import sibling_groups

# Samples side by side take about this many bytes per thread: larger batches fall out of the
# caches, smaller ones spend their time between operations.
CHUNK_BYTES = 32 * 2**20
MAX_CHUNK_THREADS = 8
MAX_CHUNK = 256
# Integers pass through a dozen operations in a step, which find them in cache below this.
STATE_BYTES = 2**19
BLOCK_BYTES = 2**20
"""Input of a population over the steps that it takes at a time, where it is known before."""


@dataclass(frozen=True, slots=True)
class PlannedLink:
    """A projection, ready to run: step t gets what ``pre`` emitted at step t + ``shift``."""

    pre: str
    product: Product
    shift: int


@dataclass(frozen=True, slots=True)
class SharedInput:
    """What siblings hear, summed once for the ``members`` of a group and without their biases.

    Of a real-valued netlist. ``sign`` is this one's; ``bias`` is ``[n]``, or None where it does not
    join the input.
    """

    group: int
    members: int
    sign: int
    bias: torch.Tensor | None

    def own(self, drive: Drive) -> Drive:
        """The input of one of them, in memory of its own."""
        constant, varying = (
            None if part is None else part * self.sign for part in (drive.constant, drive.varying)
        )
        joined = varying if constant is None else constant
        if self.bias is not None and joined is not None:
            joined.add_(self.bias)
        return Drive(constant, varying)


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A population, ready to run.

    ``outer`` links come from populations that are finished before, ``inner`` ones from the same
    cycle. ``constant_bias`` is ``[n]``, for populations whose bias joins the constant part of
    their input. ``shared`` is given for siblings, whose links are those of the first.
    """

    population: Population
    kernel: Kernel
    state: torch.dtype
    raster: torch.dtype
    outer: tuple[PlannedLink, ...]
    inner: tuple[PlannedLink, ...]
    constant_bias: torch.Tensor | None
    shared: SharedInput | None = None

    @property
    def fires(self) -> bool:
        """Whether it emits."""
        return not self.population.is_integrator

    def block(self, batch: int, timesteps: int) -> int:
        """Steps at a time; floats take all, so that sums do not depend on the batch."""
        if self.state.is_floating_point:
            return timesteps
        step = batch * math.prod(self.population.input_shape) * self.state.itemsize
        return int(np.clip(BLOCK_BYTES // max(step, 1), 1, timesteps))


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """Plan of an engine.

    Parameters
    ----------
    components : tuple of tuple of PlannedStage
        In order; several stages together form a cycle.
    inputs : mapping
        Input population -> format of its raster.
    uses : mapping
        Population -> number of stages outside its own component that read it.
    sample_bytes : int
        Memory of one sample at the worst moment.
    state_bytes : int
        Membranes of one sample in the largest population; 0: they set no limit.
    """

    components: tuple[tuple[PlannedStage, ...], ...]
    inputs: Mapping[str, torch.dtype]
    uses: Mapping[str, int]
    sample_bytes: int
    state_bytes: int

    def chunk(self) -> int:
        """Samples side by side."""
        budget = CHUNK_BYTES * min(torch.get_num_threads(), MAX_CHUNK_THREADS)
        samples = min(budget // max(self.sample_bytes, 1), STATE_BYTES // max(self.state_bytes, 1))
        return int(np.clip(samples, 1, MAX_CHUNK))


def build_plan(netlist: IntegerNetlist | RealNetlist, timesteps: int, dtype: str) -> EnginePlan:
    """Choose formats and build maps and kernels.

    Raises
    ------
    CapacityError
        If no format is proved exact for an integer netlist.
    UsageError
        For a format other than float32 and float64.
    """
    if dtype not in ("float32", "float64"):
        raise UsageError(f"engine dtype {dtype!r}; expected 'float32' or 'float64'")
    if isinstance(netlist, IntegerNetlist):
        precision = prove_precision(netlist, timesteps)
    else:
        number = torch.float32 if dtype == "float32" else torch.float64
        names = [p.name for p in netlist.populations]
        all_equal = dict.fromkeys(names, number)
        precision = Precision(all_equal, all_equal, all_equal, {})
    component_of = netlist.schedule.component_of
    links: dict[str, tuple[list[PlannedLink], list[PlannedLink]]] = {
        p.name: ([], []) for p in netlist.populations
    }
    depth = netlist.schedule.depth
    siblings = _siblings(netlist)
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        pre, post = projection.pre, projection.post
        if post in siblings and siblings[post].first != post:
            continue
        number = precision.states[post]
        if isinstance(projection, IntegerProjection):
            product = integer_product(
                projection.connectivity, projection.exponent, precision.payloads[pre], number
            )
        else:
            product = float_product(projection.connectivity, number)
        link = PlannedLink(pre, product, depth[post] - depth[pre] - delay)
        links[post][component_of[pre] == component_of[post]].append(link)
    for name, sibling in siblings.items():
        links[name] = links[sibling.first]
    stages = tuple(
        tuple(
            _build_stage(netlist, netlist.by_name[name], links[name], precision, siblings.get(name))
            for name in members
        )
        for members in netlist.schedule.components
        if not isinstance(netlist.by_name[members[0]].model, Input)
    )
    uses = dict.fromkeys(links, 0)
    for component in stages:
        for stage in component:
            for link in stage.outer:
                uses[link.pre] += 1
    inputs = {p.name: precision.rasters[p.name] for p in netlist.inputs}
    states = [
        stage.population.size * stage.state.itemsize for component in stages for stage in component
    ]
    exact = isinstance(netlist, IntegerNetlist)
    return EnginePlan(
        stages,
        inputs,
        uses,
        _sample_bytes(netlist, timesteps, stages, uses),
        max(states, default=0) if exact else 0,
    )


class _Sibling(NamedTuple):
    """One of the ``members`` of a group, whose first is told."""

    group: int
    first: str
    members: int
    sign: int


def _siblings(netlist: IntegerNetlist | RealNetlist) -> dict[str, _Sibling]:
    """Populations of a real-valued netlist whose input is that of another, or its negative."""
    if isinstance(netlist, IntegerNetlist):
        return {}
    schedule = netlist.schedule
    together = Counter(schedule.component_of.values())
    cyclic = {
        p.name
        for p in netlist.populations
        if together[schedule.component_of[p.name]] > 1
        or any(q.pre == p.name for q in netlist.incoming[p.name])
    }
    found = {}
    groups = sibling_groups(netlist, lambda name: (schedule.depth[name], name in cyclic))
    for i, group in enumerate(groups):
        first = group[0].population.name
        if len(group) > 1 and first not in cyclic:
            for one in group:
                found[one.population.name] = _Sibling(i, first, len(group), one.sign)
    return found


def _build_stage(
    netlist: IntegerNetlist | RealNetlist,
    population: Population,
    links: tuple[list[PlannedLink], list[PlannedLink]],
    precision: Precision,
    sibling: _Sibling | None,
) -> PlannedStage:
    outer, inner = links
    # Gathered sums join one that is there already without a result of their own.
    outer = sorted(outer, key=lambda link: isinstance(link.product, GatherProduct))
    state = precision.states[population.name]
    constant_bias, adds_bias, shared = None, True, None
    joins = _bias_may_join_input(population)
    bias = vector(population.spread(_bias(population)), population.shape, state) if joins else None
    if sibling is not None:
        shared = SharedInput(sibling.group, sibling.members, sibling.sign, bias)
        adds_bias = not joins
    elif joins:
        if any(is_constant(netlist, link) for link in outer):
            constant_bias = bias
            adds_bias = False
        else:
            adds_bias = not any(
                link.shift == 0 and link.product.carry_bias(_bias(population), population.shape)
                for link in outer
            )
    raster = precision.rasters[population.name]
    kernel = _kernel(population, precision, adds_bias)
    return PlannedStage(
        population, kernel, state, raster, tuple(outer), tuple(inner), constant_bias, shared
    )


def _kernel(population: Population, precision: Precision, adds_bias: bool) -> Kernel:
    name, model = population.name, population.model
    if isinstance(model, MaxPool):
        return MaxPoolKernel(population, precision.states[name])
    assert not isinstance(model, Input)
    kernel = ExtendedKernel if model.extensions else NeuronKernel
    return kernel(
        population,
        precision.states[name],
        precision.rasters[name],
        adds_bias,
        precision.decays[name],
    )


def _bias(population: Population) -> AnyArray:
    assert isinstance(population.model, IntegerNeuron | RealNeuron)
    return population.model.bias


def _bias_may_join_input(population: Population) -> bool:
    """With a memory of the current it may not: the bias enters the membrane alone."""
    model = population.model
    if not isinstance(model, IntegerNeuron | RealNeuron):
        return False
    return not model.has_current_memory and bool((model.bias != 0).any())


def is_constant(netlist: IntegerNetlist | RealNetlist, link: PlannedLink) -> bool:
    """Whether a link delivers the same in every step."""
    return netlist.by_name[link.pre].is_current_input and link.shift == 0


def _sample_bytes(
    netlist: IntegerNetlist | RealNetlist,
    timesteps: int,
    stages: tuple[tuple[PlannedStage, ...], ...],
    uses: Mapping[str, int],
) -> int:
    """Bytes of one sample at the worst moment, rasters and temporary results."""
    alive = {}
    for population in netlist.inputs:
        steps = 1 if population.is_current_input else timesteps
        alive[population.name] = population.size * steps * 4
    left = dict(uses)
    worst = sum(alive.values())
    for component in stages:
        scratch = 0
        for stage in component:
            n_in = math.prod(stage.population.input_shape)
            width = stage.state.itemsize
            # The sum, one more product beside it, and what a product needs inside.
            inside = max((link.product.scratch_entries() for link in stage.outer), default=0)
            together = len(component) > 1 or bool(component[0].inner)
            steps = timesteps if together else stage.block(1, timesteps)
            sums = 1 + (len(stage.outer) > 1) + (stage.shared is not None)
            scratch += steps * (n_in * width * sums + inside * 8)
            alive[stage.population.name] = stage.population.size * timesteps * stage.raster.itemsize
        worst = max(worst, sum(alive.values()) + scratch)
        for stage in component:
            for link in stage.outer:
                left[link.pre] -= 1
                if left[link.pre] == 0:
                    del alive[link.pre]
    return worst
