"""The reference: against an independent interpreter, and against mutations of itself."""

from __future__ import annotations

import importlib.util
import inspect
from types import ModuleType

import numpy as np
import pytest

from neurodeploy.ir import fixed_point, reference
from neurodeploy.ir.bounds import check_bounds, prove_bounds
from neurodeploy.ir.record import RunRecord
from neurodeploy.testing.conformance import union
from neurodeploy.testing.stimuli import LEAST_RATE, MOST_RATE, rates
from tests.conformance.cases import CASES, assert_exact, case, differences, expected, stateful
from tests.conformance.interpreter import run_interpreter


@pytest.mark.parametrize("name", CASES)
def test_populations_spike_in_1_to_60_percent_of_their_steps(name: str) -> None:
    c = case(name)
    measured = rates(c.netlist, expected(name))
    assert measured
    assert {n for n, r in measured.items() if r == 0} == c.silent
    odd = {n: r for n, r in measured.items() if n not in c.silent}
    assert all(LEAST_RATE <= r <= MOST_RATE for r in odd.values()), odd


@pytest.mark.parametrize("name", CASES)
def test_bounds_are_proved(name: str) -> None:
    assert check_bounds(prove_bounds(case(name).netlist)) == []


@pytest.mark.parametrize("name", CASES)
def test_equals_interpreter(name: str) -> None:
    c, record = case(name), expected(name)
    spikes, membranes = run_interpreter(c.netlist, c.stimulus)
    for p in c.netlist.populations:
        flat = (*record.spikes[p.name].shape[:2], p.size)
        np.testing.assert_array_equal(record.spikes[p.name].reshape(flat), spikes[p.name], p.name)
        if p.name in record.membranes:
            got = record.membranes[p.name].reshape(flat)
            np.testing.assert_array_equal(got, membranes[p.name], p.name)


@pytest.mark.parametrize("name", CASES)
def test_batch_equals_samples_alone(name: str) -> None:
    c, together = case(name), expected(name)
    for b in range(3):
        alone = reference.run_reference(
            c.netlist,
            {n: x[b : b + 1] for n, x in c.stimulus.items()},
            membranes=stateful(c.netlist),
        )
        for ours, theirs in (
            (alone.spikes, together.spikes),
            (alone.membranes, together.membranes),
        ):
            for n in ours:
                np.testing.assert_array_equal(ours[n], theirs[n][b : b + 1], n)


def test_union_of_cases_equals_the_cases() -> None:
    names = [n for n in CASES if case(n).netlist.timesteps == 12][::6]
    joined = union([case(n) for n in names], "joined")
    record = reference.run_reference(joined.netlist, joined.stimulus)
    for name in names:
        for population, want in expected(name).spikes.items():
            np.testing.assert_array_equal(record.spikes[f"{name}.{population}"], want)


def test_a_case_that_differs_is_reported() -> None:
    def last_spike_missing(*args: object, **options: object) -> RunRecord:
        record = reference.run_reference(*args, **options)  # type: ignore[arg-type]
        spikes = {n: x.copy() for n, x in record.spikes.items()}
        spikes["h"][tuple(np.argwhere(spikes["h"])[-1])] = 0
        return RunRecord(record.timesteps, spikes, record.membranes)

    assert_exact(reference.run_reference, case("dense_spikes"))
    with pytest.raises(AssertionError, match=r"dense_spikes: h: 1 of 324 spikes differ"):
        assert_exact(last_spike_missing, case("dense_spikes"))


MUTATIONS = {
    "threshold > instead of >=": ("v >= theta, v // theta", "v > theta, v // theta"),
    "negative threshold < instead of <=": ("self.v <= -level", "self.v < -level"),
    "current decays after the input": (
        "trunc0_decay(self.u, du) + a",
        "trunc0_decay(self.u + a, du)",
    ),
    "leak after the input": (
        "self.v = self.v + (self.u + self.population.spread(model.bias)) * g",
        "self.v = trunc0_decay(self.v + self.u * g, getattr(model, 'membrane_decay', 0))"
        " + self.population.spread(model.bias) * g",
    ),
    "no floor": ("np.maximum(self.v, self.population.spread(model.floor))", "self.v"),
    "no saturation": ("np.clip(self.v, -model.saturation, model.saturation)", "self.v"),
    "a refractory period a step short": (
        "model.refractory * (spikes != 0)",
        "(model.refractory - 1) * (spikes != 0)",
    ),
    "no later reset": ('model.reset == "subtract-next"', "False"),
    "zero for a reset value": ("self.population.spread(model.reset_value), self.v", "0, self.v"),
    "maxima of all for those of now": ('model.rule == "now"', "False"),
    "no bias": ("(self.u + self.population.spread(model.bias))", "self.u"),
    "gain of the input ignored": ("spread(model.bias)) * g", "spread(model.bias)) * 1"),
    "gain of what a pool adds up ignored": ("self.accumulated + a * g", "self.accumulated + a"),
    "gain of what a pool passes on ignored": ("change // g if g", "change if g"),
    "comparison > instead of >=": ("(v >= level)", "(v > level)"),
    "compared with the threshold": ("(v >= level)", "(v >= theta)"),
    "compared with the level of the step before": ("t = self.t - 1", "t = max(self.t - 2, 0)"),
    "gain of the thresholds ignored": ("spread(model.threshold) * h", "spread(model.threshold)"),
    "gain of the negative thresholds ignored": (
        "spread(model.negative_threshold) * h",
        "spread(model.negative_threshold)",
    ),
    "memory counts all steps alike": ("spikes * h", "spikes"),
    "memory is taken back without gain": ("self.emitted // h)", "self.emitted)"),
    "gain of the step before": ("model.gains(self.t)", "model.gains(max(self.t - 1, 0))"),
    "no initial membrane": ("self.v += self.population.spread(model.initial_membrane)", "pass"),
    "zero reset for soft": ('model.reset == "subtract"', "False"),
    "no reset for zero": ('model.reset == "zero"', "False"),
    "soft reset for none": ('model.reset == "subtract"', 'model.reset != "zero"'),
    "one threshold per reset": ("charge = spikes * theta", "charge = np.sign(spikes) * theta"),
    "payload not capped": ("np.minimum(k, model.payload_max)", "k"),
    "negative payload not capped": (
        "np.minimum(k_neg, model.payload_max)",
        "k_neg",
    ),
    "negative spikes count as positive": ("spikes - negative", "spikes + negative"),
    "memory forgets what was emitted": ("self.emitted + spikes", "self.emitted"),
    "memory takes back more than it emitted": (
        "np.minimum(-(self.v // theta), self.emitted // h)",
        "-(self.v // theta)",
    ),
    "memory takes back the negative threshold": (
        "back = theta if model.memory else theta_neg",
        "back = theta_neg",
    ),
    "memory takes back one too few": ("-(self.v // theta), ", "-self.v // theta, "),
    "power of two taken back beyond memory": (
        "np.where(negative > self.emitted // h, negative // 2, negative)",
        "negative",
    ),
    "power of two rounded down": ("(mantissa >= 0.75)", "(mantissa >= 1.0)"),
    "power of two rounded up": ("(mantissa >= 0.75)", "(mantissa > 0.5)"),
    "power of two down from the middle": ("(mantissa >= 0.75)", "(mantissa > 0.75)"),
    "winner by the present input": (
        "model.winner(self.accumulated, a)",
        "model.winner(a, a)",
    ),
    "winner emits the maximum": ("return model.winner(self.accumulated, a)", "return self.v"),
    "pooling forgets": ("self.accumulated + a", "a"),
    "pooling emits the maximum": ("return change", "return maximum"),
    "delay ignored": ("step - delay[id(projection)] - plan", "step - 1 - plan"),
    "window of the source dropped": (
        "if 0 <= emitted_at < T:",
        "emitted_at = min(emitted_at, T - 1)\n                if emitted_at >= 0:",
    ),
    "window of the target dropped": (
        "            if not 0 <= t < T:\n                continue\n",
        "            if t < 0 and population.name in states and not isinstance(\n"
        "                population.model, Input | MaxPool\n"
        "            ):\n"
        "                states[population.name].step(np.int64(0))\n"
        "            if not 0 <= t < T:\n                continue\n",
    ),
    "windows all open at once": ("t = step - plan.depth[population.name]", "t = step"),
    "exponent ignored": (
        "projection.synaptic_input(emitted)",
        "projection.connectivity.apply(emitted)",
    ),
    "payload ignored": (
        "projection.synaptic_input(emitted)",
        "projection.synaptic_input(np.sign(emitted))",
    ),
}


def mutant(old: str, new: str) -> ModuleType:
    """The reference with one text replaced."""
    source = inspect.getsource(reference)
    assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in the reference"
    spec = importlib.util.spec_from_loader("mutant", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(source.replace(old, new), "mutant", "exec"), module.__dict__)
    return module


# Together they notice all of the mutations above: whichever does is found sooner among them.
LIKELY = (
    *("dense_current", "phases_1", "gains_halved", "digits_taken_back", "reset_value", "digits"),
    *("memory_powers_of_two", "gains_halved_powers_of_two", "pool_winner_overlapping"),
    *("phases_in_cycle_delay_1", "phases_in_cycle_delay_3", "phases_graded", "dense_spikes"),
    *("current_with_memory_and_delay", "floor", "saturation", "refractory", "reset_next"),
    *("maximum_now", "gains_halved_signed", "gains_harmonic_powers_of_two"),
    *("powers_of_two_zero_reset", "exponent_scalar"),
)


def cases_that_notice(module: ModuleType) -> list[str]:
    """Conformance cases whose record changes; stops at the first."""
    for name in dict.fromkeys((*LIKELY, *CASES)):
        c = case(name)
        got = module.run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))
        want = expected(name)
        if differences(want, got, want.spikes, stateful(c.netlist)):
            return [name]
    return []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutated_reference_fails_a_case(mutation: str) -> None:
    assert cases_that_notice(mutant(*MUTATIONS[mutation]))


def test_unmutated_copy_of_the_reference_passes() -> None:
    assert cases_that_notice(mutant("trunc0_decay(self.u", "trunc0_decay(+self.u")) == []


def test_floor_instead_of_trunc0_fails_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [expected(n) for n in CASES]  # built before the change
    assert wanted
    monkeypatch.setattr(reference, "trunc0_decay", lambda x, d: x * (4096 - d) // 4096)
    assert cases_that_notice(reference)
    monkeypatch.undo()
    assert reference.trunc0_decay is fixed_point.trunc0_decay
    assert cases_that_notice(reference) == []
