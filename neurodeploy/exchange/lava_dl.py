"""Networks of lava-dl (``.net``): fixed point already, so an integer netlist without quantization.

Blocks are read as lava-dl's netx builds them on Lava: with V = vThMant << 6::

    u <- trunc0(u * (4096 - iDecay) / 4096) + (W s << 6)
    v <- trunc0(v * (4096 - vDecay) / 4096) + u + (bias << 6), clipped to +-(2^23 - 1)
    s  = 1 and v <- 0 where v > V, that is v >= V + 1

lava-dl's own slayer, which trains them, fires at V already: that is a choice of the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError, FileFormatError, NetlistError, UnsupportedLayerError
from neurodeploy.exchange.assembly import Assembly, Link, spread_evenly
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.exchange.hdf5_apart import read_tree
from neurodeploy.exchange.hdf5_fields import Fields
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, prove_bounds
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, Output
from neurodeploy.ir.neurons import Input, IntegerNeuron

SHIFT = 6
SATURATION = STATE_LIMIT
"""What Lava's state is clipped to, in either direction."""
MAX_DELAY = 62
MAX_V_TH = 2**17 - 1
"""Of vThMant: what is to be read by its membrane has it."""
LEAST, MOST = -256, 254
"""Weights that netx keeps where signs are mixed; it clips the others."""
MOST_POSITIVE = 255
"""The largest that it keeps where no weight is below 0."""
REFUSED = ("pool", "convT", "unpool", "average", "concat", "dense_rec", "dense_comp", "affine")
DEFAULT_TIMESTEPS = 32
MAX_TIMESTEPS = 100_000


def read_lava_dl(
    path: Path, *, timesteps: int | None, saturation: bool, strict: bool, input_model: Input
) -> tuple[IntegerNetlist, list[str]]:
    """Read a ``.net`` file.

    Parameters
    ----------
    path : Path
    timesteps : int or None
        T; the file's ``tSample`` by default, else 32.
    saturation : bool
        Whether membranes clip as Lava's do.
    strict : bool
        Whether a threshold has to be exceeded, as on Lava, or met, as in slayer.
    input_model : Input
        What enters a network without an input block of neurons.

    Returns
    -------
    netlist : IntegerNetlist
    notes : list of str
        What has to be told about how it was read.

    Raises
    ------
    FileFormatError
        If it is no such file, or contradicts itself.
    UnsupportedLayerError
        For blocks and neurons that are not read, by name.
    CapacityError
        If a membrane is not proved to stay within Lava's state and ``saturation`` is not named.
    """
    tree = read_tree(path, "a lava-dl network (.net)")
    return read_blocks(
        tree,
        path,
        timesteps=timesteps,
        saturation=saturation,
        strict=strict,
        input_model=input_model,
    )


def read_blocks(
    tree: Tree,
    path: Path,
    *,
    timesteps: int | None,
    saturation: bool,
    strict: bool,
    input_model: Input,
) -> tuple[IntegerNetlist, list[str]]:
    """The netlist of the content of a file; see :func:`read_lava_dl`."""
    layers = tree.get("layer")
    if not isinstance(layers, dict) or not layers:
        raise FileFormatError(f"{path}: no lava-dl network: expected 'layer', got {sorted(tree)}")
    if set(layers) != {str(i) for i in range(len(layers))}:
        raise FileFormatError(f"{path}: layers {sorted(layers)[:8]}; expected 0 to N - 1")
    blocks = _Blocks(str(path), saturation, strict, input_model)
    for i in range(len(layers)):
        layer = layers[str(i)]
        if not isinstance(layer, dict):
            raise FileFormatError(f"{path}: layer {i}: is no group")
        try:
            blocks.block(f"layer{i}", layer)
        except NetlistError as error:
            raise FileFormatError(f"{path}: layer {i}: {error}") from error
    simulation = tree.get("simulation")
    steps = timesteps
    if steps is None and isinstance(simulation, dict) and "tSample" in simulation:
        steps = blocks.scalar("simulation", simulation, "tSample")
        if not 1 <= steps <= MAX_TIMESTEPS:
            raise FileFormatError(f"{path}: tSample {steps}; expected 1 to {MAX_TIMESTEPS} steps")
    netlist = blocks.netlist(path.stem, steps or DEFAULT_TIMESTEPS)
    bounds = prove_bounds(netlist)
    _require_bounds(netlist, bounds, str(path), saturation)
    netlist, told = _read_by_membranes(netlist, bounds)
    return netlist, [*blocks.assembly.notes, *told]


def _read_by_membranes(
    netlist: IntegerNetlist, bounds: Mapping[str, PopulationBounds]
) -> tuple[IntegerNetlist, list[str]]:
    """Outputs with the largest threshold of Lava, which they never reach, integrate as is meant."""
    populations, outputs, notes = list(netlist.populations), [], []
    for output in netlist.outputs:
        name = output.population
        p = netlist.by_name[name]
        model = p.model
        assert isinstance(model, IntegerNeuron)
        assert model.threshold is not None
        least = int(model.threshold.min())
        if least >> SHIFT == MAX_V_TH and int(bounds[name].v_high.max()) < least:
            quiet = replace(model, threshold=None, reset="subtract")
            populations[populations.index(p)] = replace(p, model=quiet)
            output = Output(name, "membrane")
            notes.append(f"{name}: never reaches its threshold, and is read by its membrane")
        outputs.append(output)
    return replace(netlist, populations=tuple(populations), outputs=tuple(outputs)), notes


def _require_bounds(
    netlist: IntegerNetlist,
    bounds: Mapping[str, PopulationBounds],
    where: str,
    saturation: bool,
) -> None:
    worst = max(bounds, key=lambda name: bounds[name].magnitude)
    found = bounds[worst].magnitude
    if found <= STATE_LIMIT:
        return
    remedy = (
        "use fewer time steps"
        if saturation
        else "membranes that clip as Lava's do have to be named: --saturation; or use fewer steps"
    )
    raise CapacityError(
        f"{where}: {worst}: up to {found} at T = {netlist.timesteps} against {STATE_LIMIT} "
        f"({found / STATE_LIMIT:.1f} x): {remedy}"
    )


class _Blocks(Fields):
    """The network while its blocks are read, one after the other."""

    def __init__(self, where: str, saturation: bool, strict: bool, input_model: Input) -> None:
        super().__init__(where)
        self.strict = strict
        self.saturation = saturation
        self.input_model = input_model
        self.assembly = Assembly(integer=True)
        self.last: str | None = None
        self.shape: tuple[int, ...] = ()
        self.before: str | None = None
        self.n_blocks = 0

    def netlist(self, name: str, timesteps: int) -> IntegerNetlist:
        if self.last is None or not self.n_blocks:
            raise FileFormatError(f"{self.where}: no block with neurons")
        self.assembly.outputs.append(Output(self.last, "counts"))
        if self.saturation:
            self.assembly.notes.append(f"membranes are clipped to +-{SATURATION}, as on Lava")
        legal = "".join(c if c.isprintable() else "_" for c in name) or "net"
        found = self.assembly.netlist(legal, timesteps, 1e-3)
        assert isinstance(found, IntegerNetlist)
        return found

    def block(self, name: str, layer: Tree) -> None:
        kind = self.text(name, layer, "type")
        if kind in REFUSED:
            raise UnsupportedLayerError(
                f"{self.where}: {name}: a block of type {kind}; input, dense, conv and flatten are "
                "read"
            )
        if kind == "flatten":
            # A dense block reads what arrives in C-order, which is what flattening makes.
            return
        if kind == "input":
            self.input(name, layer)
        elif kind == "dense":
            self.dense(name, layer)
        elif kind == "conv":
            self.conv(name, layer)
        else:
            raise UnsupportedLayerError(
                f"{self.where}: {name}: unknown block type {kind[:40]!r}; input, dense, conv and "
                "flatten are read"
            )

    def input(self, name: str, layer: Tree) -> None:
        if self.last is not None:
            raise self.refuse(name, "an input block behind another block")
        self.shape = self.sizes(name, layer, "shape")
        if "neuron" not in layer:
            self.enter(self.input_model)
            return
        model = self.neuron(name, layer)
        weight, bias = (
            int(self.numbers(name, layer, key).reshape(-1)[0]) if key in layer else default
            for key, default in (("weight", 64), ("bias", 0))
        )
        low, high = sorted((bias - weight, bias + weight))
        self.enter(Input("current", min(low, 0), max(high, 1)))
        self.assembly.add(name, self.shape, model)
        same = identity(self.shape)
        self.assembly.links.append(Link("input", name, same, 0, SHIFT, 2))
        self.assembly.notes.append(
            f"{name}: takes a current per sample, the integer part of {2 * weight} x - {weight} + "
            f"{bias} for values x of 0 to 1"
        )
        self.last = name
        self.n_blocks += 1

    def enter(self, model: Input) -> None:
        self.assembly.add("input", self.shape, model)
        self.last = "input"

    def dense(self, name: str, layer: Tree) -> None:
        weight = self.numbers(name, layer, "weight")
        n_out = int(np.prod(self.sizes(name, layer, "shape")))
        if weight.ndim == 1 and weight.size % n_out == 0:
            weight = weight.reshape(n_out, -1)
        if weight.ndim != 2 or weight.shape[0] != n_out:
            raise self.refuse(name, f"weight of shape {weight.shape} for {n_out} neurons")
        if self.last is None:
            self.shape = (weight.shape[1],)
            self.enter(self.input_model)
        if weight.shape[1] != np.prod(self.shape):
            raise self.refuse(
                name, f"weight of shape {weight.shape}, but {self.shape} arrives from {self.last}"
            )
        weight = self.as_lava_holds(name, weight)
        delays = self.delays(name, layer, weight.shape)
        before = self.shape
        self.population(name, layer, (n_out,))
        for k in np.unique(delays):
            part = np.where(delays == k, weight, 0)
            self.link(name, Dense(part, before), int(k))

    def as_lava_holds(self, name: str, weight: IntArray) -> IntArray:
        """Weights as netx gives them to a Dense of Lava, which rounds and clips mixed signs.

        Signs are mixed from a weight below 0 and one of 0 or more on. Beyond what a synapse holds
        netx shifts by a negative number of bits, and nothing is left of the weights.
        """
        low, high = int(weight.min()), int(weight.max())
        if low < 0 < high and (high > MOST or low < LEAST):
            self.assembly.notes.append(f"{name}: weights clipped to {LEAST}..{MOST}, as by netx")
            weight = np.clip(weight, LEAST, MOST)
            low, high = max(low, LEAST), min(high, MOST)
        if low < LEAST or high > MOST_POSITIVE:
            raise self.refuse(
                name,
                f"weights from {low} to {high}, of which netx leaves nothing: of one sign it keeps "
                f"{LEAST} to {MOST_POSITIVE}; scale them and vThMant down",
            )
        if low < 0 <= high and (weight % 2).any() and not -128 <= low <= high <= 127:
            raise self.refuse(
                name, "odd weights of both signs beyond 8 bits, of which Lava drops the last bit"
            )
        return weight

    def delays(self, name: str, layer: Tree, shape: tuple[int, ...]) -> IntArray:
        """Delay of every synapse, as netx spreads them: by target, else by source."""
        if "delay" not in layer:
            return np.zeros(shape, dtype=np.int64)
        delay = self.numbers(name, layer, "delay")
        if (delay < 0).any():
            raise self.refuse(name, f"delay {int(delay.min())}; expected 0 or more")
        if (delay > MAX_DELAY).any():
            self.assembly.notes.append(
                f"{name}: delays are clipped to {MAX_DELAY} steps, as netx's"
            )
            delay = np.minimum(delay, MAX_DELAY)
        if delay.ndim == 1 and delay.size == shape[0]:
            delay = delay[:, None]
        elif delay.size != 1 and delay.shape not in ((shape[1],), shape):
            raise self.refuse(name, f"delay of shape {delay.shape} for weights of {shape}")
        return np.broadcast_to(delay, shape)

    def conv(self, name: str, layer: Tree) -> None:
        weight = self.numbers(name, layer, "weight")
        if weight.ndim == 5 and weight.shape[4] == 1:
            weight = weight[..., 0]
        if weight.ndim != 4:
            raise self.refuse(name, f"weight of shape {weight.shape}; expected 4 axes")
        if "delay" in layer and self.numbers(name, layer, "delay").any():
            raise UnsupportedLayerError(
                f"{self.where}: {name}: delays of a convolution, which netx does not build"
            )
        if len(self.shape) != 3:
            raise self.refuse(name, "nothing tells the shape that arrives; give an input block")
        stride, padding, dilation = (
            self.pair(name, layer, key) for key in ("stride", "padding", "dilation")
        )
        groups = int(self.numbers(name, layer, "groups").reshape(-1)[0])
        kernel = (weight.shape[2], weight.shape[3])
        around = tuple((p, p) for p in padding)
        window = Window(self.shape[1:], kernel, stride, around, dilation)
        connectivity = Conv(weight, self.shape[0], window, groups)
        declared = self.sizes(name, layer, "shape")
        if connectivity.post_shape != declared:
            raise self.refuse(
                name, f"shape {declared} in the file, its convolution {connectivity.post_shape}"
            )
        self.population(name, layer, declared)
        self.link(name, connectivity, 0)

    def link(self, name: str, connectivity: Connectivity, delay: int) -> None:
        """Synapses onto a block; what is even is halved, so that 8 bits hold what netx writes."""
        assert self.before is not None
        weight, exponent = connectivity.weight, SHIFT
        if np.abs(weight).max(initial=0) > 127 and not (weight % 2).any():
            connectivity, exponent = connectivity.with_weight(weight // 2), SHIFT + 1
        top = int(np.abs(connectivity.weight).max(initial=1))
        bits = max(8, top.bit_length() + 1)
        self.assembly.links.append(Link(self.before, name, connectivity, delay, exponent, bits))

    def population(self, name: str, layer: Tree, shape: tuple[int, ...]) -> None:
        self.before = self.last
        self.shape = shape
        self.assembly.add(name, shape, self.neuron(name, layer))
        self.last = name
        self.n_blocks += 1

    def neuron(self, name: str, layer: Tree) -> Any:
        values = layer.get("neuron")
        if not isinstance(values, dict):
            raise self.refuse(name, "a block without neuron")
        kind = self.text(name, values, "type")
        if kind.startswith("SDNN") or "sigma_output" in values:
            raise UnsupportedLayerError(
                f"{self.where}: {name}: a sigma-delta block ({kind[:20]}), whose neurons send "
                "changes of values; networks of CUBA neurons are read"
            )
        if kind not in ("LOIHI", "CUBA"):
            raise UnsupportedLayerError(
                f"{self.where}: {name}: neurons of type {kind[:20]!r}; CUBA (LOIHI) is read"
            )
        for key, most in (("gradedSpike", 0), ("refDelay", 1), ("wgtExp", 0)):
            if key in values and int(self.numbers(name, values, key).reshape(-1)[0]) > most:
                raise UnsupportedLayerError(f"{self.where}: {name}: {key} beyond {most}")
        bias: AnyArray = np.zeros((), dtype=np.int64)
        if "bias" in layer and self.text(name, layer, "type") != "input":
            bias = self.numbers(name, layer, "bias")
            bias = bias.reshape(-1)[0] if bias.size == 1 else bias
            if bias.shape == self.shape[::-1]:
                # One for every neuron stands in Lava's order of axes.
                bias = np.ascontiguousarray(bias.transpose())
            elif bias.shape not in ((), self.shape[:1]):
                expected = f"one number, {self.shape[:1]} or {self.shape[::-1]}"
                raise self.refuse(name, f"bias of shape {bias.shape}; expected {expected}")
        one = {key: self.scalar(name, values, key) for key in ("iDecay", "vDecay")}
        return self.assembly.neuron(
            threshold=(self.mantissa(name, values) << SHIFT) + self.strict,
            bias=spread_evenly(bias << SHIFT, bias.shape) if bias.size > 1 else bias << SHIFT,
            reset="zero",
            current_decay=one["iDecay"],
            membrane_decay=one["vDecay"],
            saturation=SATURATION if self.saturation else None,
        )

    def mantissa(self, name: str, values: Tree) -> IntArray:
        """The threshold of a block, or of each of its neurons, in Lava's order of axes."""
        found = self.numbers(name, values, "vThMant")
        if found.size == 1:
            return found.reshape(())
        if found.shape != self.shape[::-1]:
            raise self.refuse(
                name, f"vThMant of shape {found.shape}; expected one number or {self.shape[::-1]}"
            )
        return np.asarray(spread_evenly(found.transpose(), self.shape))
