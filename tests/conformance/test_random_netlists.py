"""Random netlists over the whole contract equal the reference on every path that runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.fuzz.check import Checked, DifferenceError, check
from tests.conformance.fuzz.generator import draw_case
from tests.conformance.fuzz.paths import PATHS, Path, available
from tests.ir.adversaries import any_stimulus, assert_inside

BLOCK, BLOCKS = 25, 8
COMPARED = 15
"""Of each block: `make fuzz` does thousands."""
drawn: dict[int, Checked] = {}

# All that the generator draws, with the least share of the netlists of a run that have it.
EXPECTED = {
    0.3: "conv, dense, sparse, reset subtract, reset zero, reset none, several projections, "
    "graded, input current, input spikes, current memory, leak, exponents 1, fixed delay, stride, "
    "signed",
    0.1: "sumpool, conv 1-D, conv 2-D, groups, depthwise, dilation, asymmetric, one channel, "
    "one row, one column, cycle, self loop, memory, power of two, input gain, no current decay, "
    "equal weights, negated weights, hundreds of channels, dropped, 16 bits, integrator, "
    "bias per neuron, states beyond 32 bits, wide current",
    0.02: "uniform, pool of four",
    0.05: "reset value, reset subtract-next, a decay per neuron, a floor, saturation, "
    "a refractory period",
    0.01: "pool now, pool now signed, pool maximum, pool winner, pool maximum signed, "
    "pool winner signed, pool in a cycle, lag, firing gain, long, wide spikes, "
    "threshold beyond 32 bits, comparison, pool gains, "
    "maxima over a constant input, spacing of a conv, spacing of a sumpool, spacing and stride",
}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_netlists_equal_the_reference_on_every_path(block: int) -> None:
    paths, _ = available()
    assert paths
    for seed in range(block * BLOCK, block * BLOCK + COMPARED):
        checked = drawn[seed] = check(seed, paths)
        assert set(checked.kernels) == {path.name for path in paths}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_path_is_tested_here(path: Path) -> None:
    why = path.missing()
    if why is not None:
        pytest.skip(f"{path.name}: {why}")
    assert check(0, [path]).kernels[path.name]


def test_the_generator_draws_everything_and_most_of_it_spikes() -> None:
    counts: Counter[str] = Counter()
    silent = 0
    for seed in range(BLOCK * BLOCKS):
        checked = drawn.get(seed) or check(seed, [])
        counts.update(checked.features)
        silent += checked.silent
    n = BLOCK * BLOCKS
    for share, names in EXPECTED.items():
        rare = {name: counts[name] for name in names.split(", ") if counts[name] < share * n}
        assert not rare, f"drawn in fewer than {share * n:.0f} of {n} netlists"
    assert set(counts) <= {"exponents 0", *", ".join(EXPECTED.values()).split(", ")}
    assert silent < 0.06 * n


def test_a_seed_is_one_netlist() -> None:
    (one, given), (two, again) = draw_case(3), draw_case(3)
    assert one == two
    assert one != draw_case(4)[0]
    for name, values in given.items():
        np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("block", range(4))
def test_adversaries_stay_inside_the_bounds_of_random_netlists(block: int) -> None:
    for seed in range(1000 + block * 20, 1000 + (block + 1) * 20):
        netlist, given = draw_case(seed)
        assert_inside(netlist, given)
        assert_inside(netlist, any_stimulus(netlist, np.random.default_rng(seed)))


def _wrong(
    netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
) -> tuple[RunRecord, frozenset[str]]:
    """A reference in which negative weights of listed synapses count once too little."""
    links = []
    for q in netlist.projections:
        weight = q.connectivity.weight
        if q.connectivity.kind == "sparse":
            q = replace(q, connectivity=q.connectivity.with_weight(weight + (weight < 0)))
        links.append(q)
    wrong = replace(netlist, projections=tuple(links))
    return run_reference(wrong, stimulus, membranes=membranes), frozenset()


def test_a_wrong_executor_is_told_with_a_small_netlist() -> None:
    path = Path("wrong", _wrong, lambda: None)
    failed = 0
    for seed in range(20):
        netlist, _ = draw_case(seed)
        try:
            check(seed, [path])
        except DifferenceError as error:
            failed += 1
            text = str(error)
            assert text.startswith(f"seed {seed} on 'wrong': ")
            assert f"python -m tests.conformance.fuzz --seed {seed} -n 1" in text
            # One projection and what makes its source spike are enough to show it.
            assert text.count("\nprojection ") <= 3 < 2 + len(netlist.projections)
            assert "sparse" in text
    assert failed >= 10


def test_a_refusal_of_what_is_proved_is_a_difference() -> None:
    def refuse(*_: object) -> tuple[RunRecord, frozenset[str]]:
        raise ValueError("too wide")

    with pytest.raises(DifferenceError, match="seed 0 on 'refuses': ValueError: too wide"):
        check(0, [Path("refuses", refuse, lambda: None)])
