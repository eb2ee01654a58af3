"""Runs a random netlist on every path and compares every spike and membrane with the reference."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.errors import CapacityError, NeurodeployError
from neurodeploy.execution.native.program import build_program
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Conv, SumPool
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.printer import print_netlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.fuzz.generator import draw_case
from tests.conformance.fuzz.paths import Path, available


class DifferenceError(AssertionError):
    """A path does not equal the reference; says how to repeat it."""


@dataclass(frozen=True)
class Checked:
    """What one seed covered: features of its netlist, kernels by path, spikes of the reference."""

    seed: int
    features: frozenset[str]
    kernels: dict[str, frozenset[str]]
    silent: bool


def check(seed: int, paths: Collection[Path] | None = None) -> Checked:
    """Draw the netlist of a seed and run it on every path.

    Raises
    ------
    DifferenceError
        With the path, what differs first, a netlist that is as small as it was found, and the
        command that repeats it.
    """
    netlist, stimulus = draw_case(seed)
    everything = [p.name for p in netlist.populations]
    reference = run_reference(netlist, stimulus, membranes=everything)
    kernels = {}
    for path in available()[0] if paths is None else paths:
        try:
            record, kernels[path.name] = path.run(netlist, stimulus, everything)
            found = difference(netlist, record, reference)
        except Exception as error:
            # A refusal is a difference too: what is drawn is proved to fit.
            found = f"{type(error).__name__}: {error}"
        if found is not None:
            raise DifferenceError(_report(seed, path, found, netlist, stimulus))
    computed = [p.name for p in netlist.populations if not isinstance(p.model, Input)]
    silent = not any(reference.spikes[name].any() for name in computed)
    return Checked(seed, frozenset(features(netlist)), kernels, silent)


def outcome(seed: int) -> Checked | tuple[int, str]:
    """The same for other processes: the seed and the message where there is a difference."""
    try:
        return check(seed)
    except DifferenceError as error:
        return seed, str(error)


def difference(netlist: IntegerNetlist, ours: RunRecord, reference: RunRecord) -> str | None:
    """The first thing that differs, in the order in which populations run; None: nothing does."""
    if ours.timesteps != reference.timesteps:
        return f"timesteps {ours.timesteps} against {reference.timesteps}"
    kinds = {
        "spikes": (ours.spikes, reference.spikes),
        "membranes": (ours.membranes, reference.membranes),
    }
    for kind, (mine, theirs) in kinds.items():
        if set(mine) != set(theirs):
            return f"{kind} of {sorted(mine)} against {sorted(theirs)}"
    for name in netlist.schedule.order:
        for kind, (mine, theirs) in kinds.items():
            a, b = mine[name], theirs[name]
            if a.shape != b.shape or a.dtype != b.dtype:
                return f"{name}: {kind} {a.dtype}{a.shape} against {b.dtype}{b.shape}"
            if not np.array_equal(a, b):
                at = tuple(int(i) for i in np.argwhere(a != b)[0])
                return f"{name}: {kind}[sample, step, *neuron = {at}] {a[at]} against {b[at]}"
    return None


def features(netlist: IntegerNetlist) -> Iterator[str]:
    """What a netlist has of everything that there is; the tests ask for all of it."""
    yield from ("cycle",) if netlist.schedule.cyclic else ()
    yield from ("long",) if netlist.timesteps > 64 else ()
    wide = any(b.magnitude >= 2**31 for b in prove_bounds(netlist).values())
    yield from ("states beyond 32 bits",) if wide else ()
    yield from ("maxima over a constant input",) if _pooled(netlist) else ()
    for p in netlist.populations:
        m = p.model
        yield from ("hundreds of channels",) if p.shape[0] >= 100 else ()
        if isinstance(m, Input):
            yield f"input {m.kind}"
            yield from (f"wide {m.kind}",) if m.high >= 2**15 else ()
        elif isinstance(m, MaxPool):
            yield f"pool {m.rule}{' signed' if m.signed else ''}"
            yield from ("pool of four",) if m.window.n_taps == 4 and m.rule == "maximum" else ()
            yield from ("pool gains",) if m.input_gain else ()
            yield from ("pool in a cycle",) if p.name in netlist.schedule.cyclic else ()
        else:
            yield from _neuron_features(m)
            yield from ("lag",) if p.lag else ()
            alike = all(getattr(m, name).ndim < 2 for name in m.quantities())
            yield from ("uniform",) if alike and p.shape[0] % 8 == 0 and _is_simple(m) else ()
        if not isinstance(m, Input) and len(netlist.incoming[p.name]) > 1:
            yield "several projections"
    seen: list[tuple[str, np.ndarray]] = []
    for q in netlist.projections:
        link = q.connectivity
        yield link.kind
        yield f"exponents {q.exponent.ndim}"
        yield from ("fixed delay",) if q.delay is not None else ()
        yield from ("dropped",) if q.delay is not None and q.delay > netlist.timesteps else ()
        yield from ("self loop",) if q.pre == q.post else ()
        yield from ("16 bits",) if q.weight_bits > 12 else ()
        for pre, weight in seen:
            if pre == q.pre and weight.shape == link.weight.shape and weight.any():
                yield from ("equal weights",) if np.array_equal(weight, link.weight) else ()
                yield from ("negated weights",) if np.array_equal(weight, -link.weight) else ()
        seen.append((q.pre, link.weight))
        if isinstance(link, Conv | SumPool) and link.window.is_spaced:
            yield f"spacing of a {link.kind}"
            yield from ("spacing and stride",) if max(link.window.stride) > 1 else ()
        if isinstance(link, Conv):
            where = link.window
            yield f"conv {len(where.kernel)}-D"
            yield from ("groups",) if link.groups > 1 else ()
            yield from ("depthwise",) if link.groups == link.channels_in > 1 else ()
            yield from ("stride",) if max(where.stride) > 1 else ()
            yield from ("dilation",) if max(where.dilation) > 1 else ()
            yield from ("asymmetric",) if any(a != b for a, b in where.padding) else ()
            yield from ("one channel",) if link.channels_in == 1 else ()
            yield from ("one column",) if where.output_size[-1] == 1 else ()
            yield from ("one row",) if where.output_size[0] == 1 else ()


def _pooled(netlist: IntegerNetlist) -> bool:
    """Whether an engine runs maxima from the largest inputs of their neurons."""
    try:
        return build_program(netlist, netlist.timesteps).pooled > 0
    except CapacityError:
        return False


def _is_simple(m: IntegerNeuron) -> bool:
    """Whether it is what most networks consist of."""
    binary = m.fires and not m.signed and m.payload_max == 1 and m.reset == "subtract"
    keeps = m.has_current_memory or m.leaks or m.extensions
    return binary and not (m.has_gains or keeps)


def _neuron_features(m: IntegerNeuron) -> Iterator[str]:
    if not m.fires:
        yield "integrator"
        return
    yield f"reset {m.reset}"
    graded = m.payload_max > 1
    for name, has in {
        "signed": m.signed,
        "memory": m.memory,
        "graded": graded and m.payload_code == "integer",
        "power of two": graded and m.payload_code == "power_of_two",
        "input gain": bool(m.input_gain),
        "firing gain": bool(m.firing_gain),
        "comparison": bool(m.comparison),
        "leak": m.leaks,
        "current memory": m.has_current_memory,
        "no current decay": not np.any(m.current_decay),
        "threshold beyond 32 bits": m.threshold is not None and bool((m.threshold > 2**31).any()),
        "bias per neuron": m.bias.ndim > 1,
    }.items():
        if has:
            yield name
    yield from (name for name in m.extensions if not name.startswith("reset"))


def _report(seed: int, path: Path, found: str, netlist: IntegerNetlist, stimulus: Stimulus) -> str:
    small, given = smallest(netlist, stimulus, path)
    values = "".join(
        f"stimulus {name} {values.tolist()}\n"
        for name, values in given.items()
        if values.size <= 200
    )
    return (
        f"seed {seed} on {path.name!r}: {found}\n"
        f"repeat it: python -m tests.conformance.fuzz --seed {seed} -n 1\n"
        f"what is left of it when nothing more can be taken away:\n{print_netlist(small)}{values}"
    )


def _fails(netlist: IntegerNetlist, stimulus: Stimulus, path: Path) -> bool:
    everything = [p.name for p in netlist.populations]
    try:
        reference = run_reference(netlist, stimulus, membranes=everything)
    except NeurodeployError:
        return False
    try:
        record, _ = path.run(netlist, stimulus, everything)
    except Exception:
        return True
    return difference(netlist, record, reference) is not None


def smallest(
    netlist: IntegerNetlist, stimulus: Stimulus, path: Path
) -> tuple[IntegerNetlist, Stimulus]:
    """Take away samples, projections and populations for as long as it still fails."""
    given = dict(stimulus)
    for sample in range(len(next(iter(given.values())))):
        one = {name: values[sample : sample + 1] for name, values in given.items()}
        if _fails(netlist, one, path):
            given = one
            break
    shrinking = True
    while shrinking:
        shrinking = False
        for fewer in _smaller(netlist):
            kept = {p.name: given[p.name] for p in fewer.inputs}
            if kept and _fails(fewer, kept, path):
                netlist, given, shrinking = fewer, kept, True
                break
    return netlist, given


def _smaller(netlist: IntegerNetlist) -> Iterator[IntegerNetlist]:
    for p in netlist.populations:
        left = tuple(o for o in netlist.populations if o is not p)
        links = tuple(q for q in netlist.projections if p.name not in (q.pre, q.post))
        outputs = tuple(o for o in netlist.outputs if o.population != p.name)
        if left:
            yield replace(netlist, populations=left, projections=links, outputs=outputs)
    for link in netlist.projections:
        links = tuple(q for q in netlist.projections if q is not link)
        yield replace(netlist, projections=links)
