"""Random integer netlists over the whole contract: one seed, one netlist and its stimulus."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError, NetlistError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import projection_interval, prove_bounds
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import POOL_RULES, Input, IntegerNeuron, MaxPool
from tests.conformance.extensions import extended
from tests.conformance.fuzz.draws import Draws, Shape
from tests.conformance.random_netlists import pool_gains

# What every executor of the contract's integers must take: 12 bits below 52 for decays.
MOST_STATE, MOST_PAYLOAD = 2**40, 2**31 - 1
# Keeps one netlist below a tenth of a second.
MOST_NEURONS, MOST_WORK = 2500, 150_000


def draw_case(seed: int) -> tuple[IntegerNetlist, dict[str, IntArray]]:
    """The netlist and the stimulus of a seed; draws are repeated until the bounds are proved."""
    for attempt in range(1000):
        draws = Draws(np.random.default_rng([seed, attempt]))
        netlist = _Drawing(draws).netlist(f"seed{seed}")
        try:
            bounds = prove_bounds(netlist)
        except CapacityError:  # pools in a cycle of pools
            continue
        payload = max((max(-b.spike_low, b.spike_high) for b in bounds.values()), default=0)
        work = sum(p.size for p in netlist.populations) * netlist.timesteps
        fits = max(p.size for p in netlist.populations) <= MOST_NEURONS and work <= MOST_WORK
        proved = all(b.proved and b.magnitude < MOST_STATE for b in bounds.values())
        if fits and proved and payload <= MOST_PAYLOAD:
            return netlist, draw_stimulus(draws, netlist)
    raise AssertionError(f"seed {seed}: no netlist is proved")


def draw_stimulus(draws: Draws, netlist: IntegerNetlist) -> dict[str, IntArray]:
    """Samples that are random, dense, silent, the highest, the lowest, and either of both."""
    random = 14 if draws.chance(0.05) else 1
    stimulus = {}
    for p in netlist.inputs:
        assert isinstance(p.model, Input)
        low, high = p.model.low, p.model.high
        shape = p.shape if p.is_current_input else (netlist.timesteps, *p.shape)
        rng = draws.rng
        samples = [
            np.where(rng.random(shape) < rng.uniform(0, 0.5), rng.integers(low, high + 1, shape), 0)
            for _ in range(random)
        ]
        samples += [
            rng.integers(low, high + 1, shape),
            np.zeros(shape),
            np.full(shape, high),
            np.full(shape, low),
            np.where(rng.random(shape) < 0.5, low, high),
        ]
        stimulus[p.name] = np.stack(samples).astype(np.int64)
    if draws.chance(0.1):
        one = draws.whole(0, random + 4)
        stimulus = {name: values[one : one + 1] for name, values in stimulus.items()}
    return stimulus


@dataclass
class _Drawing:
    draws: Draws
    populations: list[Population] = field(default_factory=list)
    links: list[IntegerProjection] = field(default_factory=list)
    T: int = 1
    # Most networks are of this kind, and executors are fastest there.
    plain: bool = False
    aligned: bool = False

    def netlist(self, name: str) -> IntegerNetlist:
        draws = self.draws
        self.T = draws.pick([33, 64, 65, 70, 130]) if draws.chance(0.05) else draws.whole(1, 20)
        self.plain, self.aligned = draws.chance(0.3), draws.chance(0.5)
        for i in range(draws.pick([1, 1, 1, 2, 2, 3])):
            self._input(f"in{i}")
        if draws.chance(0.2):
            self._stem()
        for i in range(draws.pick([1, 2, 2, 3, 3, 4, 5])):
            self._layer(f"h{i}")
        if draws.chance(0.35):
            for _ in range(draws.whole(1, 3)):
                self._loop()
        for i in range(draws.whole(0, 2)):
            self._readout(f"out{i}")
        populations = list(self.populations)
        if draws.chance(0.3):
            populations = [populations[i] for i in draws.rng.permutation(len(populations))]
        outputs = tuple(
            Output(p.name, "counts" if _emits(p) else "membrane")
            for p in populations
            if not _emits(p) or draws.chance(0.1 if isinstance(p.model, Input) else 0.3)
        )
        return IntegerNetlist(name, tuple(populations), tuple(self.links), outputs, self.T)

    def _input(self, name: str) -> None:
        draws = self.draws
        kind = draws.pick(["binary", "binary", "signed", "graded", "current", "current"])
        if kind == "binary":
            model = Input("spikes", 0, 1)
        elif kind == "signed":
            model = Input("spikes", -1, 1)
        else:
            # Payloads and currents around the widths of integers.
            top = draws.pick([3, 127, 128, 255, 256, 32767, 40_000, 70_000, 2**20])
            low = draws.pick([0, 0, -top, -(top // 3)])
            model = Input("spikes" if kind == "graded" else "current", low, top)
        self.populations.append(Population(name, draws.shape(), model))

    def _stem(self) -> None:
        """What an image meets first in many networks: neurons, and maxima over them."""
        draws, bits = self.draws, self.draws.bits()
        top = draws.pick([15, 255, 4095])
        image = Population("image", draws.shape(), Input("current", draws.pick([0, -top]), top))
        self.populations.append(image)
        link = draws.connectivity(image.shape, bits)
        if len(link.post_shape) == 1:
            return
        incoming = [self._projection(image, "stem", link, bits)]
        incoming = [replace(q, delay=None) if draws.chance(0.8) else q for q in incoming]
        own = link.post_shape[:1]
        threshold = self._threshold(own, min(max(1, self._reach(incoming)), 2**28))
        least = int(np.min(threshold))
        bias = draws.pick([0, least, 3 * least])
        model = IntegerNeuron(
            threshold,
            draws.spread(own, -bias, bias),
            draws.spread(own, -draws.pick([0, 4 * least]), least - 1),
        )
        self._add(Population("stem", link.post_shape, model), incoming)
        pool = self._pool_model(link.post_shape, draws.chance(0.2))
        pool = replace(pool, rule="maximum", input_gain=()) if draws.chance(0.8) else pool
        maxima = Population("maxima", pool.output_shape, pool)
        same = self._projection(self.populations[-1], "maxima", identity(link.post_shape), 2)
        self._add(maxima, [replace(same, exponent=np.asarray(0))])

    def _source(self) -> Population:
        senders = [p for p in self.populations if _emits(p)]
        return senders[-1] if self.draws.chance(0.7) else self.draws.pick(senders)

    def _layer(self, name: str) -> None:
        draws, source = self.draws, self._source()
        if len(source.shape) > 1 and draws.chance(0.25):
            self._pool(name, source)
            return
        bits = draws.bits()
        first = draws.connectivity(source.shape, bits)
        incoming = [self._projection(source, name, first, bits)]
        while draws.chance(0.25):
            other = self._source()
            bits = draws.bits()
            link = draws.link(other.shape, first.post_shape, bits)
            incoming.append(self._projection(other, name, link, bits))
        self._add(self._neuron(name, first.post_shape, incoming), incoming)
        i = 0
        while draws.chance(0.25):
            # Another reader of the very same weights, or of their negatives.
            twin, i = f"{name}twin{i}", i + 1
            sign = draws.pick([1, -1])
            copies = [
                replace(q, post=twin, connectivity=_times(q.connectivity, sign)) for q in incoming
            ]
            self._add(self._neuron(twin, first.post_shape, copies), copies)

    def _add(self, population: Population, incoming: list[IntegerProjection]) -> None:
        self.populations.append(population)
        self.links += incoming

    def _projection(
        self, pre: Population, post: str, connectivity: Any, bits: int
    ) -> IntegerProjection:
        draws = self.draws
        exponent: Any = 0
        if draws.chance(0.4):
            most = draws.pick([3, 3, 3, 3, 12, 20])
            channels = connectivity.post_shape[0]
            exponent = draws.rng.integers(0, most + 1, draws.pick([(), (channels,)]))
        delay = None if self.aligned else draws.pick([None, None, 1, 2, 3, 5])
        if not self.aligned and draws.chance(0.08):
            delay = draws.pick([self.T + 1, 40])
        bits = max(bits, _width(connectivity.weight))
        return IntegerProjection(pre.name, post, connectivity, delay, np.asarray(exponent), bits)

    def _pool(self, name: str, source: Population) -> None:
        draws = self.draws
        negative = source.emits_negative
        signed = negative or draws.chance(0.4)
        model = self._pool_model(source.shape, signed)
        post = Population(name, model.output_shape, model)
        senders = [source]
        while draws.chance(0.25):
            senders.append(draws.pick([p for p in self.populations if _emits(p)]))
        incoming = []
        for sender in senders:
            if signed or not sender.emits_negative:
                bits = max(2, draws.bits())
                link = draws.link(sender.shape, model.input_shape, bits, not signed)
                incoming.append(self._projection(sender, name, link, bits))
        self._add(post, incoming)

    def _pool_model(self, shape: Shape, signed: bool) -> MaxPool:
        draws = self.draws
        rule = draws.pick(POOL_RULES)
        counted = rule == "maximum" and draws.chance(0.6)
        gains = pool_gains(draws.rng, self.T) if counted else ()
        if min(shape[1:]) > 1 and draws.chance(0.4):
            # What most networks have: halves of every axis.
            two, none = (2,) * len(shape[1:]), ((0, 0),) * len(shape[1:])
            halves = Window(shape[1:], two, two, none, (1,) * len(two))
            return MaxPool(shape[0], halves, rule, signed, gains)
        try:
            return MaxPool(shape[0], draws.window(shape[1:], 3), rule, signed, gains)
        except NetlistError:  # a signed window of nothing but padding has no maximum
            where = draws.window(shape[1:], 3, padded=False)
            return MaxPool(shape[0], where, rule, signed, gains)

    def _loop(self) -> None:
        """From a later population, or the same one, back to an earlier one."""
        draws = self.draws
        able = [p for p in self.populations if _emits(p) and not isinstance(p.model, Input)]
        if not able:
            return
        first, last = sorted((draws.whole(0, len(able) - 1), draws.whole(0, len(able) - 1)))
        post, pre = able[first], able[last]
        unsigned = isinstance(post.model, MaxPool) and not post.model.signed
        if unsigned and pre.emits_negative:
            return
        bits = max(2, draws.bits())
        link = draws.link(pre.shape, post.input_shape, bits, unsigned)
        self.links.append(self._projection(pre, post.name, link, bits))

    def _readout(self, name: str) -> None:
        source, bits = self._source(), self.draws.bits()
        link = self.draws.connectivity(source.shape, bits)
        incoming = [self._projection(source, name, link, bits)]
        integrator = self.draws.chance(0.7)
        self._add(self._neuron(name, link.post_shape, incoming, integrator), incoming)

    def _neuron(
        self, name: str, shape: Shape, incoming: list[IntegerProjection], integrator: bool = False
    ) -> Population:
        """Any neuron; thresholds are set by what can arrive in a step."""
        draws = self.draws
        # Thresholds of 1.5 times as much, in steps that count 200 times, stay legal.
        reach = min(max(1, self._reach(incoming)), 2**35)
        more: dict[str, Any] = {"reset": draws.pick(["subtract", "subtract", "zero", "none"])}
        uniform = self.plain and draws.chance(0.5)
        if uniform:
            # All pixels are alike and the reset is soft: engines have kernels of their own for it.
            more["reset"] = "subtract"
        own = shape[:1] if uniform else shape
        plain = self.plain or draws.chance(0.5)
        if not plain:
            decays = [0, 1, 60, 999, 2048, 4095, DECAY_ONE]
            more["current_decay"] = draws.pick([DECAY_ONE, *decays])
            more["membrane_decay"] = draws.pick([0, *decays])
        threshold = None
        if not integrator:
            threshold = self._threshold(own, reach)
        if not (integrator or self.plain):
            more["payload_code"] = draws.pick(["integer", "integer", "power_of_two"])
            payloads = [1, 1, 2, 3, 7, 50, 127, 128, 1000]
            powers = more["payload_code"] == "power_of_two"
            more["payload_max"] = draws.pick([1, 2, 8, 64, 256] if powers else payloads)
            if draws.chance(0.4):
                more["negative_threshold"] = self._threshold(own, reach)
                more["memory"] = more["reset"] == "subtract" and draws.chance(0.5)
        if (
            plain
            and not self.plain
            and (integrator or more["reset"] == "subtract")
            and draws.chance(0.3)
        ):
            more |= self._gains(integrator, more.get("payload_max") == 1)
        bias = draws.pick([0, 0, reach // 20 + 2])
        start = draws.pick([0, reach // 2 + 2, reach // 2 + 2])
        model = IntegerNeuron(
            threshold,
            draws.spread(own, -bias, bias),
            draws.spread(own, -start, start),
            **more,
        )
        if not uniform and draws.chance(0.35):
            model = extended(draws.rng, model, shape)
        return Population(name, shape, model)

    def _threshold(self, shape: Shape, reach: int) -> Any:
        draws = self.draws
        share = draws.pick([0.02, 0.1, 0.3, 0.6, 1.5])
        most = max(1, int(reach * share))
        if draws.chance(0.01):
            # Beyond every membrane, and beyond 32 bits.
            return draws.spread(shape, 2**33, 2**35)
        return draws.spread(shape, 1 if draws.chance(0.2) else max(1, most // 3), most)

    def _gains(self, integrator: bool, binary: bool) -> dict[str, tuple[int, ...]]:
        draws, T = self.draws, self.T
        most = draws.pick([1, 3, 3, 200])
        gains = {"input_gain": draws.rng.integers(0, most + 1, T)}
        if not integrator:
            firing = draws.rng.integers(0, most + 1, T)
            if draws.chance(0.3):
                firing[: draws.whole(0, T - 1)] = 0
            firing[-1] = max(1, firing[-1])
            gains["firing_gain"] = firing
            if draws.chance(0.4):
                del gains[draws.pick(sorted(gains))]
            elif binary and draws.chance(0.8):
                most = draws.pick([1, 4096, 9000, 2**16])
                # With the largest threshold, 2^35, no level leaves the 44 bits of the engine.
                most = most if firing.max() <= 3 else min(most, 9000)
                gains["comparison"] = draws.rng.integers(1, most + 1, T)
        return {name: tuple(values.tolist()) for name, values in gains.items()}

    def _reach(self, incoming: list[IntegerProjection]) -> int:
        """About the most that arrives in one step."""
        by_name = {p.name: p for p in self.populations}
        most = 0
        for q in incoming:
            model = by_name[q.pre].model
            low, high = 0, 1
            if isinstance(model, Input):
                low, high = model.low, model.high
            elif isinstance(model, IntegerNeuron):
                high = min(4, model.payload_max)
                low = -high if model.signed else 0
            least, largest = projection_interval(q, low, high)
            most += int(np.median(np.maximum(-least, largest)))
        return most


def _emits(population: Population) -> bool:
    return not isinstance(population.model, IntegerNeuron) or population.model.fires


def _times(connectivity: Any, sign: int) -> Any:
    return connectivity.with_weight(connectivity.weight * sign)


def _width(weight: IntArray) -> int:
    """Bits that hold the weights and their negatives."""
    return 1 + int(np.abs(weight).max(initial=0)).bit_length()
