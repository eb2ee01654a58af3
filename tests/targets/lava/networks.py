"""Random integer netlists for the Lava target, with thresholds tuned until everything spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurodeploy.ir.bounds import check_bounds, prove_bounds
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.lava.target import LavaDeployment, LavaTarget

Rng = np.random.Generator
SAMPLES = 3


def compiled(netlist: IntegerNetlist, **options: object) -> LavaDeployment:
    deployment = LavaTarget().compile(Network(netlist), None, options)
    assert isinstance(deployment, LavaDeployment)
    return deployment


def window(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0)),
    dilation: tuple[int, ...] = (1, 1),
) -> Window:
    return Window(size, kernel, stride, padding, dilation)


def neuron(theta: int, **fields: object) -> IntegerNeuron:
    given = {"bias": 0, "initial_membrane": 0, **fields}
    arrays = {k: np.asarray(v) if k in _ARRAYS else v for k, v in given.items()}
    return IntegerNeuron(np.asarray(theta), **arrays)  # type: ignore[arg-type]


_ARRAYS = ("bias", "initial_membrane", "negative_threshold")


def integrator(**fields: object) -> IntegerNeuron:
    return replace(neuron(1, **fields), threshold=None)


def random_net(seed: int, recurrent: bool) -> tuple[IntegerNetlist, Stimulus]:
    """Two inputs, a convolution, a pool, two hidden populations, an integrator and a readout."""
    rng = np.random.default_rng(seed)
    T = int(rng.integers(8, 20))
    patch = window((6, 5), (3, 2), (1, 2), ((1, 1), (0, 1)))
    h, w = patch.output_size
    pool = window((h, w), (2, 2), (int(rng.integers(1, 3)), 1), ((0, 1), (0, 0)))
    signed, graded = bool(rng.integers(2)), int(rng.integers(1, 4))
    modes = ["subtract", "zero", "none"]
    populations = (
        Population("pixels", (2, 6, 5), Input("current", -20, 200)),
        Population("events", (7,), Input("spikes", -2, 3)),
        Population("conv", (4, h, w), neuron(900, bias=rng.integers(-40, 40, 4))),
        Population("pool", (4, *pool.output_size), MaxPool(4, pool)),
        Population(
            "hidden",
            (9,),
            neuron(
                30,
                bias=rng.integers(-3, 5, 9),
                initial_membrane=int(rng.integers(-9, 9)),
                negative_threshold=rng.integers(15, 40) if signed else None,
                payload_max=graded,
                reset=modes[int(rng.integers(2))],
                current_decay=int(rng.integers(500, 4097)),
                membrane_decay=int(rng.integers(0, 900)),
            )
            if signed
            else neuron(30, payload_max=graded, membrane_decay=int(rng.integers(0, 900))),
        ),
        Population("other", (2, 3), neuron(25, reset=modes[int(rng.integers(3))], bias=1)),
        Population("sum", (3,), integrator(bias=2, initial_membrane=-5)),
        Population("answer", (4,), neuron(20, initial_membrane=10)),
    )
    pairs = rng.permutation(9 * 6)[:20]

    def dense(n: int, shape: tuple[int, ...], low: int = -9, high: int = 10) -> Dense:
        return Dense(rng.integers(low, high, (n, int(np.prod(shape)))), shape)

    late = int(rng.integers(1, 5))
    projections = [
        IntegerProjection(
            "pixels", "conv", Conv(rng.integers(-9, 12, (4, 1, 3, 2)), 2, patch, groups=2)
        ),
        IntegerProjection("conv", "pool", identity((4, h, w))),
        IntegerProjection(
            "pool", "hidden", dense(9, (4, *pool.output_size)), exponent=rng.integers(0, 3, 9)
        ),
        IntegerProjection("events", "hidden", dense(9, (7,)), delay=late),
        IntegerProjection(
            "hidden",
            "other",
            Sparse(rng.integers(-9, 15, 20), pairs % 6, pairs // 6, (9,), (2, 3)),
        ),
        IntegerProjection("other", "sum", dense(3, (2, 3)), exponent=np.int64(1)),
        IntegerProjection("other", "answer", dense(4, (2, 3), -4, 12)),
        IntegerProjection("hidden", "answer", dense(4, (9,), -4, 8), delay=1),
    ]
    if recurrent:
        projections += [
            IntegerProjection("hidden", "hidden", dense(9, (9,), -6, 6), delay=3),
            IntegerProjection("other", "hidden", dense(9, (2, 3), -6, 6)),
        ]
    outputs = (Output("sum", "membrane"), Output("answer", "counts"))
    netlist = IntegerNetlist(f"net{seed}", populations, tuple(projections), outputs, T)
    stimulus = {
        "pixels": rng.integers(-20, 201, (SAMPLES, 2, 6, 5)),
        "events": rng.integers(-2, 4, (SAMPLES, T, 7)) * (rng.random((SAMPLES, T, 7)) < 0.4),
    }
    return tuned(netlist, stimulus), stimulus


def random_stock_net(seed: int) -> tuple[IntegerNetlist, Stimulus]:
    """Only what stock processes express: strided, padded, grouped, dilated; pools; skips."""
    rng = np.random.default_rng(seed)
    current = bool(seed % 2)
    first = window((7, 6), (3, 2), (2, 1), ((1, 1), (1, 1)), (1, 2))
    h, w = first.output_size
    pool = window((h, w), (2, 2), (2, 2))
    line = window((11,), (3,), (2,), ((1, 1),), (1,))
    bias = rng.integers(-6, 9, 4)
    flat = (4, *pool.output_size)
    populations = (
        Population("in", (2, 7, 6), Input("current", 0, 15) if current else Input("spikes", 0, 1)),
        Population("signal", (2, 11), Input("spikes", 0, 1)),
        Population("conv", (4, h, w), neuron(60, bias=bias, reset="zero")),
        Population("line", (3, 6), neuron(30, reset="zero")),
        Population("pool", flat, neuron(3, reset="zero")),
        Population("hidden", (8,), neuron(40, reset="zero", bias=1)),
        Population("mixed", (4, h, w), neuron(20, reset="zero")),
        Population("answer", (5,), integrator(bias=1)),
    )
    n_pairs = 40
    pairs = rng.permutation(8 * 4 * h * w)[:n_pairs]
    n_mixed = 4 * h * w
    projections = (
        IntegerProjection(
            "in", "conv", Conv(rng.integers(-9, 12, (4, 1, 3, 2)), 2, first, groups=2)
        ),
        IntegerProjection("signal", "line", Conv(rng.integers(-9, 12, (3, 2, 3)), 2, line)),
        IntegerProjection("conv", "pool", SumPool(rng.integers(1, 3, 4), pool)),
        IntegerProjection(
            "pool",
            "hidden",
            Dense(rng.integers(-16, 20, (8, int(np.prod(flat)))), flat),
            exponent=rng.integers(1, 3, 8),
        ),
        # A skip: two steps late, through DelayDense.
        IntegerProjection("line", "hidden", Dense(rng.integers(-20, 24, (8, 18)), (3, 6))),
        IntegerProjection(
            "hidden",
            "mixed",
            Sparse(
                rng.integers(1, 30, n_pairs), pairs % n_mixed, pairs // n_mixed, (8,), (4, h, w)
            ),
        ),
        IntegerProjection("conv", "mixed", identity((4, h, w), np.int64(7))),
        IntegerProjection(
            "mixed",
            "answer",
            Dense(rng.integers(-128, 128, (5, n_mixed)), (4, h, w)),
            exponent=np.int64(1),
        ),
    )
    T = 10 + seed
    netlist = IntegerNetlist(
        f"stock{seed}", populations, projections, (Output("answer", "membrane"),), T
    )
    raster = rng.integers(0, 2, (SAMPLES, T, 2, 7, 6))
    stimulus = {
        "in": rng.integers(0, 16, (SAMPLES, 2, 7, 6)) if current else raster,
        "signal": (rng.random((SAMPLES, T, 2, 11)) < 0.3).astype(np.int64),
    }
    return tuned(netlist, stimulus), stimulus


def many_groups() -> tuple[IntegerNetlist, Stimulus]:
    """More groups than stock Conv counts, and padding that differs, in all that becomes a Conv."""
    rng = np.random.default_rng(0)
    C, size = 130, (3, 2)
    patch = window(size, (2, 2), padding=((1, 2), (2, 0)), dilation=(1, 2))
    wide = (2 * C, *patch.output_size)
    pooled = window(patch.output_size, (2, 2), (2, 1), ((0, 1), (1, 0)))
    populations = (
        Population("in", (C, *size), Input("spikes", 0, 1)),
        Population("conv", wide, neuron(9, reset="zero", bias=1)),
        Population("straight", wide, neuron(rng.integers(1, 9, 2 * C), reset="zero")),
        Population("sum", (2 * C, *pooled.output_size), neuron(3, reset="zero")),
    )
    projections = (
        IntegerProjection(
            "in", "conv", Conv(rng.integers(-9, 12, (2 * C, 1, 2, 2)), C, patch, groups=C)
        ),
        IntegerProjection("conv", "straight", identity(wide, rng.integers(1, 9, 2 * C))),
        IntegerProjection("straight", "sum", SumPool(rng.integers(1, 3, 2 * C), pooled)),
    )
    netlist = IntegerNetlist("groups", populations, projections, (Output("sum", "counts"),), 9)
    return netlist, {"in": rng.integers(0, 2, (2, 9, C, *size))}


def chain(timesteps: int, **readout: object) -> IntegerNetlist:
    """Four inputs, two hidden layers of three, and a readout: small and quick to compile."""
    rng = np.random.default_rng(5)
    return IntegerNetlist(
        "chain",
        (
            Population("in", (4,), Input("current", 0, 9)),
            Population("a", (3,), neuron(40, initial_membrane=7, bias=1)),
            Population("b", (3,), neuron(20, initial_membrane=3)),
            Population("out", (2,), neuron(15, **readout)),
        ),
        (
            IntegerProjection("in", "a", Dense(rng.integers(0, 4, (3, 4)), (4,))),
            IntegerProjection("a", "b", Dense(rng.integers(3, 9, (3, 3)), (3,))),
            IntegerProjection("b", "out", Dense(rng.integers(3, 9, (2, 3)), (3,))),
        ),
        (Output("out", "counts"),),
        timesteps,
    )


def chain_stimulus(samples: int) -> Stimulus:
    return {"in": np.random.default_rng(6).integers(1, 10, (samples, 4))}


def rates(netlist: IntegerNetlist, record: RunRecord) -> dict[str, float]:
    """Share of neuron-steps with a spike of every population that computes."""
    return {
        p.name: float((record.spikes[p.name] != 0).mean())
        for p in netlist.populations
        if isinstance(p.model, MaxPool)
        or (isinstance(p.model, IntegerNeuron) and p.model.threshold is not None)
    }


def tuned(netlist: IntegerNetlist, stimulus: Stimulus) -> IntegerNetlist:
    """Scale thresholds until every population spikes in 1-60 % of its neuron-steps."""
    for _ in range(60):
        measured = rates(netlist, run_reference(netlist, stimulus))
        wrong = {n: r for n, r in measured.items() if not 0.01 <= r <= 0.6}
        if not wrong:
            assert not check_bounds(prove_bounds(netlist)), netlist.name
            return netlist
        for name in list(wrong):  # a pool has no threshold of its own
            if isinstance(netlist.by_name[name].model, MaxPool):
                wrong |= {q.pre: wrong[name] for q in netlist.incoming[name]}
        populations = tuple(
            _scaled(p, 1.4 if wrong[p.name] > 0.6 else 0.75) if p.name in wrong else p
            for p in netlist.populations
        )
        netlist = replace(netlist, populations=populations)
    raise AssertionError(f"{netlist.name}: {wrong}")


def _scaled(population: Population, factor: float) -> Population:
    model = population.model
    if not isinstance(model, IntegerNeuron) or model.threshold is None:
        return population

    def times(theta: np.ndarray) -> np.ndarray:
        return np.maximum(1, np.rint(theta * factor).astype(np.int64))

    negative = model.negative_threshold
    changed = replace(
        model,
        threshold=times(model.threshold),
        negative_threshold=None if negative is None else times(negative),
    )
    return replace(population, model=changed)


def assert_exact(netlist: IntegerNetlist, found: RunRecord, expected: RunRecord) -> None:
    """Every recorded spike and membrane of ``found`` is that of ``expected``."""
    for what in ("spikes", "membranes"):
        for name, values in getattr(found, what).items():
            wanted = getattr(expected, what)[name]
            assert values.shape == wanted.shape, (netlist.name, what, name)
            wrong = np.argwhere(values != wanted)
            assert wrong.size == 0, (netlist.name, what, name, wrong[0], len(wrong))


def computing(netlist: IntegerNetlist) -> list[str]:
    """Populations that have a membrane."""
    return [p.name for p in netlist.populations if not isinstance(p.model, Input)]
