"""The linear nodes of NIR as maps, given the shape of what arrives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, NetlistError
from neurodeploy.exchange.assembly import MAX_VALUES
from neurodeploy.exchange.nir_graph import PASSING, Graph, Node, sizes
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window

Shape = tuple[int, ...]
NEURON_SHAPES = {
    "IF": ("r", "v_threshold"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "I": ("r",),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    "Scale": ("scale",),
}
AXES = {"Affine": 1, "Linear": 1, "Conv1d": 2, "Conv2d": 3, "SumPool2d": 3, "AvgPool2d": 3}
"""Axes of what arrives at a linear node, where it takes so many alone."""


class Shapes:
    """Shape that arrives at every node and leaves it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arriving: dict[str, Shape] = {}
        self.leaving: dict[str, Shape] = {}
        self.notes: list[str] = []
        for node in graph.nodes.values():
            own = self._own(node)
            if own is not None:
                self.leaving[node.name] = own
        self._spread()
        self._check()

    def refuse(self, name: str, why: str) -> FileFormatError:
        """What cannot be, by the name of the node."""
        return FileFormatError(f"{self.graph.where}: {name}: {why}")

    def _own(self, node: Node) -> Shape | None:
        """The shape that a node gives by itself."""
        if node.type == "Input":
            return self.declared(node, self._wanted(node.name))
        if node.is_neuron:
            shapes = [np.asarray(node.parameters[key]).shape for key in NEURON_SHAPES[node.type]]
            widest = max(shapes, key=len)
            # A leading 1 may be a batch that slipped in: what arrives tells.
            return None if math.prod(widest) == 1 or widest[0] == 1 else tuple(widest)
        return None

    def _wanted(self, name: str) -> int | None:
        """How many axes the linear nodes take that an Input leads to; None: others, or any."""
        found = set()
        waiting, seen = self.graph.after(name), set[str]()
        while waiting:
            after = waiting.pop()
            kind = self.graph.nodes[after].type
            if kind == PASSING and after not in seen:
                seen.add(after)
                waiting += self.graph.after(after)
            elif kind != PASSING:
                found.add(AXES.get(kind))
        return found.pop() if len(found) == 1 else None

    def declared(self, node: Node, axes: int | None) -> Shape:
        """The shape that an Input or Output declares, without a batch of 1 before its axes."""
        value: AnyArray = np.asarray(node.parameters["shape"]).reshape(-1)
        if value.dtype.kind not in "iu" or value.size == 0 or (value < 1).any():
            raise self.refuse(node.name, f"shape {value.tolist()[:8]}; expected sizes above 0")
        if axes is not None and value.size == axes + 1 and value[0] == 1:
            self.note(f"{node.name}: shape {tuple(value.tolist())} is read without its leading 1")
            value = value[1:]
        if value.size > 3:
            raise self.refuse(node.name, f"shape {value.tolist()[:8]}; at most 3 axes are read")
        return self.counted(node.name, tuple(value.tolist()))

    def counted(self, name: str, shape: Shape) -> Shape:
        """A shape, if it is not too large to be meant."""
        if math.prod(shape) > MAX_VALUES:
            raise self.refuse(name, f"{math.prod(shape)} values of shape {shape}; at most 2^24")
        return shape

    def trimmed(self, node: Node, key: str) -> Shape:
        """A parameter's shape without leading axes of size 1; () where it is one number."""
        shape = np.asarray(node.parameters[key]).shape
        if math.prod(shape) == 1:
            return ()
        while shape and shape[0] == 1:
            shape = shape[1:]
        return tuple(shape)

    def _spread(self) -> None:
        waiting = list(self.graph.edges)
        while waiting:
            left = []
            for a, b in waiting:
                if a not in self.leaving:
                    left.append((a, b))
                    continue
                if b not in self.arriving:
                    self.arriving[b] = self.leaving[a]
                if b not in self.leaving:
                    self.leaving[b] = self._after(self.graph.nodes[b], self.arriving[b])
            if len(left) == len(waiting):
                raise self.refuse(left[0][0], "nothing tells its shape: no Input leads to it")
            waiting = left

    def _after(self, node: Node, shape: Shape) -> Shape:
        if node.is_neuron or node.type in ("Delay", "Output", PASSING):
            return shape
        connectivity = linear_map(node, shape, self)
        if connectivity is None:
            return shape
        return self.counted(node.name, connectivity.post_shape)

    def _check(self) -> None:
        for a, b in self.graph.edges:
            if self.leaving[a] != self.arriving[b]:
                raise self.refuse(
                    f"edge {a} -> {b}", f"{self.leaving[a]} arrives where {self.arriving[b]} does"
                )
        for node in self.graph.nodes.values():
            arriving = self.arriving.get(node.name)
            if node.type == "Input" and arriving is not None:
                raise self.refuse(
                    node.name,
                    f"{self.graph.before(node.name)[0]} leads to it, but what enters comes from "
                    "outside alone; let it lead to the node behind the Input",
                )
            if node.type != "Input" and arriving is None:
                raise self.refuse(node.name, "no edge leads to it; connect it or leave it out")
            expected: Shape | None = None
            if node.type in ("Output", PASSING):
                expected = self.declared(node, len(arriving or ()))
            elif node.is_neuron:
                expected = self.leaving[node.name]
            if expected is not None and expected != arriving:
                raise self.refuse(
                    node.name, f"{node.type} of shape {expected}, but {arriving} arrives"
                )

    def spread(self, node: Node, key: str) -> FloatArray:
        """A parameter for every neuron, of the shape that the node has; told where it is fewer."""
        value = np.asarray(node.parameters[key], dtype=np.float64)
        shape = self.leaving[node.name]
        if value.shape == shape:
            return value
        squeezed = value.reshape(self.trimmed(node, key))
        if squeezed.ndim == 0:
            if shape != (1,):
                self.note(f"{node.name}: {key} is one number for {'x'.join(map(str, shape))}")
            return np.full(shape, float(squeezed))
        if squeezed.shape != shape:
            try:
                found = np.broadcast_to(squeezed, shape)
            except ValueError:
                found = None
            if found is None or squeezed.ndim != len(shape):
                raise self.refuse(
                    node.name, f"{key} of shape {value.shape}; expected {shape} or one number"
                )
            self.note(f"{node.name}: {key} of shape {value.shape} is spread over {shape}")
            return np.ascontiguousarray(found)
        self.note(f"{node.name}: {key} of shape {value.shape} is read without its leading 1")
        return squeezed

    def note(self, text: str) -> None:
        """Tell something once."""
        if text not in self.notes:
            self.notes.append(text)


def linear_map(node: Node, shape: Shape, shapes: Shapes) -> Connectivity | None:
    """The map of a linear node without its bias; None: the identity.

    Raises
    ------
    FileFormatError
        If what arrives does not fit.
    """
    try:
        found: Connectivity | None = _MAPS[node.type](node, shape, shapes)
        return found
    except NetlistError as error:
        raise shapes.refuse(node.name, f"{error}") from error


def bias_of(node: Node, out: Shape, shapes: Shapes) -> FloatArray | None:
    """What a node adds to its map, of its shape; None: nothing."""
    if "bias" not in node.parameters:
        return None
    bias = np.asarray(node.parameters["bias"], dtype=np.float64)
    while bias.ndim > 1 and bias.shape[0] == 1:
        bias = bias[0]
    if not bias.any():
        return None
    if bias.ndim == 0 or bias.shape == (1,):
        return np.full(out, float(bias.reshape(-1)[0]))
    if bias.shape == out[:1]:
        return np.broadcast_to(bias.reshape(-1, *(1,) * (len(out) - 1)), out).astype(np.float64)
    raise shapes.refuse(node.name, f"bias of shape {bias.shape} for an output of {out}")


def _weight(node: Node, ndim: int, shapes: Shapes) -> FloatArray:
    weight = np.asarray(node.parameters["weight"], dtype=np.float64)
    if weight.ndim != ndim:
        raise shapes.refuse(node.name, f"weight of shape {weight.shape}; expected {ndim} axes")
    return weight


def _dense(node: Node, shape: Shape, shapes: Shapes) -> Connectivity:
    weight = _weight(node, 2, shapes)
    if shape != (weight.shape[1],):
        raise shapes.refuse(
            node.name, f"weight of shape {weight.shape} takes ({weight.shape[1]},), got {shape}"
        )
    return Dense(weight, shape)


def _scale(node: Node, shape: Shape, shapes: Shapes) -> Connectivity | None:
    value = np.asarray(node.parameters["scale"], dtype=np.float64)
    squeezed = value if value.shape == shape else value.reshape(shapes.trimmed(node, "scale"))
    if squeezed.ndim and squeezed.shape != shape:
        raise shapes.refuse(node.name, f"scale of shape {value.shape}; {shape} arrives")
    return scaling(np.broadcast_to(squeezed, shape))


def scaling(values: AnyArray) -> Connectivity:
    """Every value times its own factor."""
    n = values.size
    index = np.arange(n, dtype=np.int64)
    return Sparse(values.reshape(-1).astype(np.float64), index, index, values.shape, values.shape)


def _axis_padding(
    node: Node, kernel: Shape, dilation: Shape, stride: Shape, shapes: Shapes
) -> tuple[tuple[int, int], ...]:
    padding = node.parameters["padding"]
    if not isinstance(padding, str):
        return tuple((p, p) for p in sizes(node, "padding", len(kernel), shapes.refuse))
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise shapes.refuse(node.name, f"padding {padding[:20]!r}; expected same, valid or numbers")
    if set(stride) != {1}:
        raise shapes.refuse(node.name, f"padding 'same' with stride {stride}; PyTorch has none")
    # As PyTorch pads: what is odd goes to the end.
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((t // 2, t - t // 2) for t in total)


def _conv(node: Node, shape: Shape, shapes: Shapes) -> Connectivity:
    n = 1 if node.type == "Conv1d" else 2
    weight = _weight(node, n + 2, shapes)
    if len(shape) != n + 1:
        raise shapes.refuse(node.name, f"takes {n + 1} axes, {shape} arrives")
    declared = node.parameters.get("input_shape")
    if declared is not None and np.asarray(declared).size:
        expected = sizes(node, "input_shape", n, shapes.refuse)
        if expected != shape[1:]:
            raise shapes.refuse(node.name, f"input_shape {expected}, but {shape} arrives")
    kernel = tuple(weight.shape[2:])
    stride = sizes(node, "stride", n, shapes.refuse)
    dilation = sizes(node, "dilation", n, shapes.refuse)
    (groups,) = sizes(node, "groups", 1, shapes.refuse)
    padding = _axis_padding(node, kernel, dilation, stride, shapes)
    window = Window(shape[1:], kernel, stride, padding, dilation)
    return Conv(weight, shape[0], window, groups)


def _pool(node: Node, shape: Shape, shapes: Shapes) -> Connectivity:
    if len(shape) != 3:
        raise shapes.refuse(node.name, f"takes 3 axes, {shape} arrives")
    kernel = sizes(node, "kernel_size", 2, shapes.refuse)
    stride = sizes(node, "stride", 2, shapes.refuse)
    padding = tuple((p, p) for p in sizes(node, "padding", 2, shapes.refuse))
    window = Window(shape[1:], kernel, stride, padding, (1, 1))
    # The mean counts padded cells, as PyTorch's does by default.
    each = 1.0 if node.type == "SumPool2d" else 1.0 / math.prod(kernel)
    return SumPool(np.full(shape[0], each), window)


def _flatten(node: Node, shape: Shape, shapes: Shapes) -> Connectivity | None:
    (start,) = sizes(node, "start_dim", 1, shapes.refuse)
    (end,) = sizes(node, "end_dim", 1, shapes.refuse)
    n = len(shape)
    first, last = (x + n if x < 0 else x for x in (start, end))
    if last < first and first <= n:
        # nir counts a batch axis in its default start_dim 1: of (N,) nothing is flattened.
        return None
    if not 0 <= first <= last < n:
        raise shapes.refuse(node.name, f"flattens axes {start} to {end} of {shape}")
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return None if flat == shape else reshaping(shape, flat)


def reshaping(shape: Shape, flat: Shape) -> Connectivity:
    """The same values in another shape."""
    same = identity(shape, 1.0)
    return Sparse(same.weight, same.post, same.pre, shape, flat)


_MAPS: dict[str, Any] = {
    "Affine": _dense,
    "Linear": _dense,
    "Scale": _scale,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
}
