"""An integer netlist as a network of lava-dl (``.net``), which its netx builds on Lava.

Lava's state has 6 bits below a weight: ``u <- u + (W s << 6)``, a spike where v is above
``vThMant << 6``. Without decays only ratios count: weights, biases and thresholds of a population
may be divided by a power of two, which brings what quantization wrote into 8 bits. With decays,
which round, the state has to be Lava's own: exponents of 6, and a threshold of one more than a
multiple of 64. What was written is read again, and its states are proved to fit.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.exchange.lava_dl import MAX_DELAY, MAX_V_TH, SATURATION, SHIFT, read_blocks
from neurodeploy.exchange.own_time import InOwnTime, in_own_time
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import IntegerProjection

LOW, HIGH = -128, 127
"""Weights of mixed signs that a Dense of Lava holds exactly."""


def lava_dl_tree(netlist: RealNetlist | IntegerNetlist) -> tuple[Tree, list[str]]:
    """The content of a ``.net`` file, and what has to be told about it.

    Raises
    ------
    UnsupportedLayerError
        For a real-valued netlist, and for what lava-dl has no block for, by name.
    CapacityError
        If membranes are not proved to stay within Lava's state.
    """
    if not isinstance(netlist, IntegerNetlist):
        raise UnsupportedLayerError(
            f"{netlist.name}: a real-valued netlist, and .net files are fixed point; run "
            "'neurodeploy quantize' first, or quantize() of it in Python"
        )
    timed = in_own_time(netlist)
    writing = _Writing(timed)
    layers = writing.layers()
    tree = _arrays(
        {
            "layer": {str(i): layer for i, layer in enumerate(layers)},
            "simulation": {"Ts": 1, "tSample": netlist.timesteps},
        }
    )
    clips = {p.model.saturation for p in writing.chain if isinstance(p.model, IntegerNeuron)}
    clips.discard(None)
    # Read as strangers' files are: what was not meant as Lava does it is refused here.
    read_blocks(
        tree,
        Path(netlist.name),
        timesteps=None,
        saturation=bool(clips),
        strict=True,
        input_model=writing.entry,
    )
    notes = []
    if clips:
        notes.append(f"membranes are clipped to +-{SATURATION} on Lava: import with --saturation")
    return tree, notes


def _arrays(tree: Tree) -> Tree:
    """Numbers as arrays, as a file holds them."""
    return {
        k: _arrays(v) if isinstance(v, dict) else v if isinstance(v, str) else np.asarray(v)
        for k, v in tree.items()
    }


class _Writing:
    def __init__(self, timed: InOwnTime) -> None:
        netlist = timed.netlist
        assert isinstance(netlist, IntegerNetlist)
        self.netlist = netlist
        self.steps = {id(q): k for q, k in zip(netlist.projections, timed.steps, strict=True)}
        self.chain = self.ordered()
        entry = self.chain[0].model
        self.entry = entry if isinstance(entry, Input) else Input("spikes", 0, 1)

    def refuse(self, where: str, why: str) -> UnsupportedLayerError:
        return UnsupportedLayerError(f"{where}: {why}: lava-dl's .net files have none")

    def ordered(self) -> list[Population]:
        """The populations from the input on, each hearing the one before alone."""
        netlist = self.netlist
        if len(netlist.inputs) != 1:
            raise self.refuse(netlist.name, f"{len(netlist.inputs)} inputs")
        found = [netlist.inputs[0]]
        while True:
            after = {q.post for q in netlist.outgoing[found[-1].name]}
            if found[-1].name in after:
                raise self.refuse(found[-1].name, "a projection of a population onto itself")
            if not after:
                break
            if len(after) > 1:
                raise self.refuse(found[-1].name, f"a branch to {' and '.join(sorted(after))}")
            (name,) = after
            sources = {q.pre for q in netlist.incoming[name]}
            if len(sources) > 1:
                raise self.refuse(name, f"a sum of what {' and '.join(sorted(sources))} send")
            found.append(netlist.by_name[name])
            if len(found) > len(netlist.populations):
                raise self.refuse(name, "a cycle")
        missing = {p.name for p in netlist.populations} - {p.name for p in found}
        if missing:
            raise self.refuse(sorted(missing)[0], "a population beside the chain of layers")
        if [o.population for o in netlist.outputs] != [found[-1].name]:
            raise self.refuse(netlist.name, "an output before the last layer")
        return found

    def layers(self) -> list[Tree]:
        first, *rest = self.chain
        model = first.model
        assert isinstance(model, Input)
        if model.kind == "current":
            made = [self.input_block(first, model, rest[0] if rest else first)]
            rest = rest[1:]
        else:
            if (model.low, model.high) != (0, 1):
                raise self.refuse(first.name, f"spikes of {model.low} to {model.high}")
            # A dense block tells by itself what it takes.
            row = len(first.shape) == 1
            made = [] if row else [{"type": "input", "shape": np.array(first.shape)}]
        before = first
        for p in rest:
            projections = self.netlist.incoming[p.name]
            if len(before.shape) > 1 and isinstance(projections[0].connectivity, Dense):
                made.append({"type": "flatten"})
            made.append(self.block(p, projections))
            before = p
        return made

    def input_block(self, source: Population, model: Input, p: Population) -> Tree:
        """Currents: neurons of their own that hear each its value, as netx's input block."""
        (q,) = self.netlist.incoming[p.name] if p is not source else (None,)
        one = q is not None and isinstance(q.connectivity, Sparse) and self.steps[id(q)] == 0
        if q is None or not one or not _is_identity(q):
            raise self.refuse(
                source.name, "a current into other synapses than one of weight 64 to each neuron"
            )
        low, high = model.low, model.high
        if (high - low) % 2:
            raise self.refuse(source.name, f"a current of {low} to {high}, an odd range")
        neuron, bias = self.neuron(p, SHIFT)
        if bias.any():
            raise self.refuse(p.name, "a bias beside a current")
        values = {"weight": (high - low) // 2, "bias": (high + low) // 2}
        return {"type": "input", "shape": np.array(p.shape), "neuron": neuron, **values}

    def block(self, p: Population, projections: tuple[IntegerProjection, ...]) -> Tree:
        kinds = {type(q.connectivity) for q in projections}
        if kinds == {Dense}:
            return self.dense(p, projections)
        if kinds <= {Conv, SumPool} and len(projections) == 1:
            return self.conv(p, projections[0])
        if kinds <= {Dense, Sparse} and len(p.shape) == 1:
            return self.dense(p, projections)
        raise self.refuse(p.name, "synapses that are neither one convolution nor dense layers")

    def dense(self, p: Population, projections: tuple[IntegerProjection, ...]) -> Tree:
        """Dense layers of one source, each with its delay."""
        n_pre = math.prod(projections[0].connectivity.pre_shape)
        weight = np.zeros((p.size, n_pre), dtype=np.int64)
        delay = np.zeros((p.size, n_pre), dtype=np.int64)
        for q in projections:
            k = self.steps[id(q)]
            if k > MAX_DELAY:
                raise self.refuse(q.label, f"a delay of {k} steps, beyond {MAX_DELAY}")
            post, pre, values = q.connectivity.to_coo()
            shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
            found = np.zeros_like(weight)
            found[post, pre] = np.left_shift(values, shift[post])
            both = (found != 0) & (weight != 0)
            if (both & (delay != k)).any():
                raise self.refuse(p.name, "two synapses of different delay between two neurons")
            delay[found != 0] = k
            weight += found
        down = self.divisor(p, weight)
        neuron, bias = self.neuron(p, down)
        layer = {
            "type": "dense",
            "shape": np.array([p.size]),
            "inFeatures": n_pre,
            "outFeatures": p.size,
            "weight": self.narrow(p, weight, down),
            "neuron": neuron,
        }
        if bias.any():
            layer["bias"] = bias.astype(np.float64)
        if delay.any():
            layer["delay"] = delay
        return layer

    def conv(self, p: Population, q: IntegerProjection) -> Tree:
        if self.steps[id(q)]:
            raise self.refuse(q.label, "a delay of a convolution")
        found = q.connectivity
        conv = found.as_depthwise() if isinstance(found, SumPool) else found
        assert isinstance(conv, Conv)
        window = conv.window
        if window.is_spaced:
            raise self.refuse(q.label, f"cells that stand {window.spacing} apart, upsampled")
        if len(window.kernel) != 2:
            raise self.refuse(q.label, "a convolution along one axis")
        if any(a != b for a, b in window.padding):
            raise self.refuse(q.label, f"padding {window.padding}, not alike at both ends")
        shift = q.exponent.reshape(-1, 1, 1, 1) if q.exponent.ndim else q.exponent
        weight = np.left_shift(conv.weight, shift)
        down = self.divisor(p, weight)
        neuron, bias = self.neuron(p, down)
        layer = {
            "type": "conv",
            "shape": np.array(p.shape),
            "inChannels": conv.channels_in,
            "outChannels": p.shape[0],
            "kernelSize": np.array(window.kernel),
            "stride": np.array(window.stride),
            "padding": np.array([a for a, _ in window.padding]),
            "dilation": np.array(window.dilation),
            "groups": conv.groups,
            "weight": self.narrow(p, weight, down)[..., None],
            "neuron": neuron,
        }
        if bias.any():
            # One of each channel, or of each neuron in Lava's order of axes.
            channels = bias.reshape(p.shape[0], -1)
            even = bool((channels == channels[:, :1]).all())
            layer["bias"] = (channels[:, 0] if even else bias.transpose()).astype(np.float64)
        return layer

    def divisor(self, p: Population, weight: IntArray) -> int:
        """Bits by which a population's numbers are divided: what they have in common."""
        model = p.model
        clips = isinstance(model, IntegerNeuron) and model.saturation is not None
        if not isinstance(model, IntegerNeuron) or _decays(model) or clips or not model.fires:
            return SHIFT  # an integrator is read by its membrane as it is
        whole = np.concatenate([weight.reshape(-1), p.spread(model.bias).reshape(-1)])
        bits = int(np.bitwise_or.reduce(np.abs(whole)))
        return (bits & -bits).bit_length() - 1 if bits else 0

    def narrow(self, p: Population, weight: IntArray, down: int) -> Any:
        found = weight >> down
        factor = 1 if (found % 2).any() else 2
        inside = factor * LOW <= found.min() <= found.max() <= factor * HIGH
        if (found << down != weight).any() or not inside:
            worst = int(np.abs(weight).max())
            raise UnsupportedLayerError(
                f"{p.name}: weights of up to {worst} in multiples of {2**down}, against "
                f"{LOW}..{HIGH} on Lava; quantize with fewer bits, or without a bias of finer steps"
            )
        return found.astype(np.float64)

    def neuron(self, p: Population, down: int) -> tuple[Tree, IntArray]:
        """The neuron of a block, and the bias of every neuron in its weights' units."""
        model = p.model
        if isinstance(model, MaxPool) or not isinstance(model, IntegerNeuron):
            raise self.refuse(p.name, "max-pooling")
        for what, has in (
            (f"reset {model.reset!r}", model.fires and model.reset != "zero"),
            ("negative spikes", model.signed),
            ("payloads", model.payload_max > 1),
            ("an initial membrane", bool(np.any(model.initial_membrane))),
            ("gains of steps", model.has_gains),
            ("a floor", model.floor is not None),
            ("a refractory period", model.refractory > 0),
            (
                "decays per neuron",
                bool(np.ndim(model.current_decay) + np.ndim(model.membrane_decay)),
            ),
            ("another saturation", model.saturation not in (None, SATURATION)),
        ):
            if has:
                raise self.refuse(p.name, what)
        bias = p.spread(model.bias)
        if model.threshold is None:
            theta = np.full(p.shape, (MAX_V_TH << down) + 1)
            highest = int(prove_bounds(self.netlist)[p.name].v_high.max())
            if highest > MAX_V_TH << down:
                raise self.refuse(
                    p.name, f"a membrane of up to {highest}, beyond the largest threshold of Lava"
                )
        else:
            theta = p.spread(model.threshold)
        if _decays(model) and ((theta - 1) % 2**SHIFT).any():
            raise self.refuse(
                p.name, f"a threshold of {theta.max()} with decays (1 above multiples of 64 alone)"
            )
        # Where everything is a multiple of 2^down, a threshold is met with the next multiple.
        mantissa = -(-theta // 2**down) - 1
        if (bias >> down << down != bias).any():
            raise self.refuse(p.name, f"a bias that is no multiple of {2**down}")
        if mantissa.max() > MAX_V_TH:
            raise self.refuse(p.name, f"a threshold of {theta.max()}, beyond 17 bits")
        same = bool((mantissa == mantissa.reshape(-1)[0]).all())
        order = range(mantissa.ndim)[::-1]
        mantissa = mantissa.reshape(-1)[0] if same else mantissa.transpose(order)
        values = {
            "type": "CUBA",
            "iDecay": model.current_decay,
            "vDecay": model.membrane_decay,
            "vThMant": mantissa,
            "refDelay": 1,
            "gradedSpike": False,
        }
        return values, bias >> down


def _decays(model: IntegerNeuron) -> bool:
    """Whether anything is rounded from step to step."""
    return model.leaks or model.has_current_memory


def _is_identity(q: IntegerProjection) -> bool:
    found = q.connectivity
    if not isinstance(found, Sparse) or found.pre_shape != found.post_shape:
        return False
    same = np.array_equal(found.post, found.pre) and found.weight.size == found.post.size
    weighs = np.left_shift(found.weight, np.broadcast_to(q.exponent, found.weight.shape)[:1])
    return same and bool((weighs == 2**SHIFT).all())
