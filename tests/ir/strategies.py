"""Random connectivity, windows and networks for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import RESETS, Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.ir.provenance import misread
from neurodeploy.network import Network
from tests.conformance.extensions import extended

seeds = st.integers(0, 2**32 - 1)
resets = st.sampled_from(RESETS)
# How much of what natively trained networks bring is drawn.
native = st.sampled_from([0.0, 0.0, 0.5])


@st.composite
def windows(draw: st.DrawFn, sizes: tuple[int, ...] | None = None) -> Window:
    """Any legal window over one or two axes; of given sizes, one that pools may have."""
    apart = st.just(1) if sizes else st.sampled_from([1, 1, 2, 3])
    if sizes is None:
        sizes = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=2)))
    kernel, stride, padding, dilation, spacing = [], [], [], [], []
    for cells in sizes:
        spacing.append(draw(apart))
        n = (cells - 1) * spacing[-1] + 1
        before, after = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        k = draw(st.integers(1, min(3, n + before + after)))
        widest = (n + before + after - 1) // (k - 1) if k > 1 else 3
        kernel.append(k)
        padding.append((before, after))
        dilation.append(draw(st.integers(1, max(1, min(3, widest)))))
        stride.append(draw(st.integers(1, 3)))
    return Window(
        sizes, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), tuple(spacing)
    )


@st.composite
def connectivities(draw: st.DrawFn, real: bool = False) -> Connectivity:
    """Any connectivity with small random weights."""
    rng = np.random.default_rng(draw(seeds))

    def weights(*shape: int) -> np.ndarray:
        values = rng.integers(-9, 10, shape)
        return values / 7.0 if real else values

    kind = draw(st.sampled_from(["dense", "conv", "sumpool", "sparse"]))
    if kind == "conv":
        where, groups = draw(windows()), draw(st.integers(1, 3))
        c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
        return Conv(weights(c_out, c_in // groups, *where.kernel), c_in, where, groups)
    if kind == "sumpool":
        return SumPool(weights(draw(st.integers(1, 4))), draw(windows()))
    shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
    pre, post = draw(shapes), draw(shapes)
    n_pre, n_post = int(np.prod(pre)), int(np.prod(post))
    if kind == "dense":
        return Dense(weights(n_post, n_pre), pre)
    rows, columns = np.nonzero(rng.random((n_post, n_pre)) < 0.4)
    return Sparse(weights(rows.size), rows, columns, pre, post)


def _spread(draw: st.DrawFn, shape: tuple[int, ...], low: int, high: int, real: bool) -> np.ndarray:
    size = draw(st.sampled_from([(), shape[:1], shape]))
    values = np.random.default_rng(draw(seeds)).integers(low, high, size)
    return values / 3.0 if real else values


@st.composite
def neurons(draw: st.DrawFn, shape: tuple[int, ...], real: bool = False) -> object:
    """Any neuron that fires."""
    signed = draw(st.booleans())
    shared = {
        "threshold": _spread(draw, shape, 5, 60, real),
        "bias": _spread(draw, shape, -5, 8, real),
        "initial_membrane": _spread(draw, shape, -20, 30, real),
        "negative_threshold": _spread(draw, shape, 5, 60, real) if signed else None,
        "reset": draw(resets),
        "payload_max": draw(st.sampled_from([1, 2, 9])),
    }
    if shared["reset"] == "value":
        shared["reset_value"] = _spread(draw, shape, -4, 4, real)
    rng = np.random.default_rng(draw(seeds))
    if real:
        fractions = st.floats(0, 1)
        decays = {"current_decay": draw(fractions), "membrane_decay": draw(fractions)}
        return extended(rng, RealNeuron(**shared, **decays), shape, draw(native))
    decays = st.integers(0, 4096)
    du = draw(st.one_of(st.just(4096), decays))
    dv = draw(st.one_of(st.just(0), decays))
    model = IntegerNeuron(**shared, current_decay=du, membrane_decay=dv)
    return extended(rng, model, shape, draw(native))


delays = st.one_of(st.none(), st.integers(1, 4))
names = st.text("abcXYZ019._-+", min_size=1, max_size=8)


@st.composite
def netlists(draw: st.DrawFn, real: bool = False) -> RealNetlist | IntegerNetlist:
    """Input -> hidden (-> itself) -> pool or integrator, any connectivity and neuron."""
    first = draw(connectivities(real))
    name = draw(st.lists(names, min_size=3, max_size=3, unique=True))
    low, high = draw(st.integers(-5, 0)), draw(st.integers(1, 300))
    kind = draw(st.sampled_from(["current", "spikes"]))
    source = Population(name[0], first.pre_shape, Input(kind, low, high))
    hidden = Population(name[1], first.post_shape, draw(neurons(first.post_shape, real)))
    project = RealProjection if real else IntegerProjection
    more: dict[str, object] = {}
    if not real:
        e = draw(st.sampled_from([(), first.post_shape[:1]]))
        exponent = np.random.default_rng(draw(seeds)).integers(0, 4, e)
        more = {"exponent": exponent, "weight_bits": draw(st.integers(5, 16))}
    links = [project(name[0], name[1], first, draw(delays), **more)]
    n = hidden.size
    if draw(st.booleans()):
        loop = Sparse(
            np.ones(n) if real else np.ones(n, int), *(2 * (np.arange(n),)), *(2 * (hidden.shape,))
        )
        links.append(project(name[1], name[1], loop, draw(delays)))
    if not hidden.model.signed and len(hidden.shape) > 1 and draw(st.booleans()):
        pool = MaxPool(hidden.shape[0], draw(windows(hidden.shape[1:])))
        last = Population(name[2], pool.output_shape, pool)
        one = Sparse(
            np.ones(n) if real else np.ones(n, int), *(2 * (np.arange(n),)), *(2 * (hidden.shape,))
        )
        links.append(project(name[1], name[2], one, draw(delays)))
    else:
        weights = np.random.default_rng(draw(seeds)).integers(-9, 10, (2, n))
        model = (RealNeuron if real else IntegerNeuron)(
            None, _spread(draw, (2,), -3, 4, real), _spread(draw, (2,), -3, 4, real)
        )
        last = Population(name[2], (2,), model, unit=np.array([0.5, 2.0]), source="fc")
        links.append(
            project(name[1], name[2], Dense(weights / 3 if real else weights, hidden.shape))
        )
    outputs = (Output(name[2], "counts" if isinstance(last.model, MaxPool) else "membrane", 0.25),)
    cls = RealNetlist if real else IntegerNetlist
    steps = draw(st.integers(1, 7))
    return cls("random", (source, hidden, last), tuple(links), outputs, steps, 5e-4)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A netlist, perhaps with encodings, the real-valued netlist and provenance."""
    netlist = draw(netlists(draw(st.booleans())))
    encodings = {}
    if draw(st.booleans()):
        mean, std = (0.1,), (draw(st.floats(0.01, 9.0)),)
        encoders = {"current": "current", "spikes": "rate"}
        encodings = {
            p.name: Encoding(encoders[p.model.kind], 255, 0.0, 1.0, mean, std, 7)
            for p in netlist.inputs
        }
    real = draw(netlists(True)) if draw(st.booleans()) else None
    leaf = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    )
    entries = st.dictionaries(st.text(), st.one_of(leaf, st.lists(leaf)), max_size=3)
    # Names that commands read are drawn too, as Hypothesis knows the texts of the sources.
    provenance = draw(entries.filter(lambda entries: misread(entries) is None))
    return Network(netlist, encodings, None, real, provenance)
