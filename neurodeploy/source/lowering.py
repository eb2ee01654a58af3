"""The tables of operators that become analog operations, and what their entries work with.

Adding an operator is one function decorated with :func:`lowers`: in ``operators.py`` where PyTorch
and ONNX share it, in ``torch`` or ``onnx`` where only one has it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from neurodeploy.errors import ConversionError, NetlistError, UnsupportedLayerError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode, Op, Shape
from neurodeploy.source.bounds import MOST_TOGETHER, Budget, expect_few
from neurodeploy.source.commuting import before

Lower = Callable[..., Any]
_Lower = TypeVar("_Lower", bound=Lower)
Normalization = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation per channel, put before a network."""

LOWERINGS: dict[str, Lower] = {}
ONNX_LOWERINGS: dict[str, Lower] = {}
TAKES_DEFERRED: set[Lower] = set()
"""Functions of the tables that know what to do with :class:`Deferred` operands."""
PAGE = "docs/operators.md"
PRODUCT = (
    "product of two activations: neurons add, they do not multiply; train without the gate, or with"
    " a constant in its place"
)

_STATISTICS = (
    "normalization by statistics of the sample: it divides activations by each other",
    "batch norm, whose statistics are constants, and train again",
)
_RECURRENT = ("recurrence: its state goes around", "convolutions over time")
_VOLUME = ("three spatial dimensions", "depth as channels of a 2-d layer")
_INTEGERS = ("integer operators of a runtime", "the QDQ format of the same network")
_PRODUCTS = ("product of activations: neurons add, they do not multiply", "sums")
_ROUNDED = ("rounding outside of an activation with levels", "clip-floor (QCFS)")
_COMPLEX = ("complex numbers", "matrices of cosines and sines as layers")
_ORDER = ("the order of activations: neurons add and compare with constants", "a maximum")

REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("group_norm", "instance_norm", "layer_norm", "native_layer_norm"), _STATISTICS
    ),
    **dict.fromkeys(("native_group_norm", "rms_norm"), _STATISTICS),
    **dict.fromkeys(("InstanceNormalization", "LayerNormalization", "LRN"), _STATISTICS),
    **dict.fromkeys(("GroupNormalization", "LpNormalization", "RMSNormalization"), _STATISTICS),
    "MeanVarianceNormalization": _STATISTICS,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu", "LSTM", "GRU", "RNN"), _RECURRENT),
    "glu": ("product of two activations: neurons add, they do not multiply", "no gate"),
    **dict.fromkeys(("Scan", "Loop", "If"), ("control flow on activations", "plain layers")),
    **dict.fromkeys(("conv3d", "conv_transpose3d", "max_pool3d"), _VOLUME),
    "avg_pool3d": (
        "an average over three dimensions, as local response norm takes it",
        "batch norm",
    ),
    **dict.fromkeys(("max_pool3d_with_indices", "adaptive_avg_pool3d"), _VOLUME),
    **dict.fromkeys(("argmax", "argmin", "sort", "topk", "median", "ArgMax", "TopK"), _ORDER),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), _INTEGERS),
    **dict.fromkeys(
        ("DynamicQuantizeLinear", "quantized_decomposed.choose_qparams"),
        ("a scale computed from each sample", "QDQ with constant scales"),
    ),
    **dict.fromkeys(("prod", "cumprod", "bilinear", "ReduceProd", "CumProd"), _PRODUCTS),
    **dict.fromkeys(("ceil", "trunc", "frac", "remainder", "fmod", "Ceil", "Mod"), _ROUNDED),
    **dict.fromkeys(("fft_fft", "fft_rfft", "fft_ifft", "fft_irfft", "fft_fft2"), _COMPLEX),
    **dict.fromkeys(("fft_rfft2", "stft", "istft", "DFT", "STFT"), _COMPLEX),
    **dict.fromkeys(("cummax", "cummin"), ("running maxima", "maxima over windows")),
    "embedding": ("a table that is looked up by integers", "one-hot inputs and a linear layer"),
    **dict.fromkeys(
        ("grid_sampler", "grid_sampler_2d", "GridSample"),
        ("sampling at positions that a tensor holds", "a resize"),
    ),
    "max_unpool2d": ("the positions of maxima", "upsampling"),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "Attention", "MultiheadAttention"),
        ("attention: products of activations and a softmax inside", "convolutions"),
    ),
}
"""Operators that no spiking network of sums and thresholds computes: why, and what to use."""


def lowers(
    *operators: str, onnx: Iterable[str] = (), deferred: bool = False
) -> Callable[[_Lower], _Lower]:
    """Enter a function into the tables for the given operators (``aten.`` is left out).

    The function is called with a :class:`Place` and the operator's arguments: those of PyTorch by
    their schema names (``x`` for the first one where the schema says ``self`` or ``input``),
    defaults filled in; the inputs of ONNX one after the other and the attributes by name.
    Activations are :class:`Ref`, constants torch tensors, arrays or Python numbers. It returns a
    Ref, or a tuple of Refs where the operator has several results.

    Parameters
    ----------
    *operators : str
        Operators of PyTorch, without overload, and without namespace where that is ``aten``.
    onnx : iterable of str
        Operators of ONNX.
    deferred : bool
        Whether operands can be :class:`Deferred`; elsewhere those are refused.
    """

    def enter(function: _Lower) -> _Lower:
        full = [name if "." in name else f"aten.{name}" for name in operators]
        LOWERINGS.update(dict.fromkeys(full, function))
        ONNX_LOWERINGS.update(dict.fromkeys(onnx, function))
        if deferred:
            TAKES_DEFERRED.add(function)
        return function

    return enter


def unsupported(operator: str, table: Iterable[str]) -> str:
    """Why an operator that is not in a table is refused, and the remedy."""
    name = operator.removeprefix("aten.").removesuffix("_")
    if name in REFUSED:
        reason, remedy = REFUSED[name]
        return f"not converted: {reason}; use {remedy}"
    known = [entry.removeprefix("aten.") for entry in table]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"not converted; nearest: {close[0]}" if close else "not converted"


@dataclass(frozen=True, slots=True)
class Ref:
    """A result in the analog graph: the node's name and its shape without the batch."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Mutated:
    """A buffer that the module changes in every call: not a constant."""

    buffer: str


@dataclass(frozen=True, slots=True)
class Unconverted:
    """A result that exists but cannot be used, such as the indices of max-pooling."""

    what: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """A function of an activation that is no operation before more is known of its use.

    Parameters
    ----------
    base : Ref
        The activation that it is computed from, of the same shape.
    site : Place
        Where it came up.
    reason : str
        What the site is refused for if the value is needed as it is.
    """

    base: Ref
    site: Place
    reason: str

    def refuse(self) -> NoReturn:
        """Refuse the site where the value came up."""
        self.site.refuse(self.reason)


@dataclass(frozen=True, slots=True)
class Single(Deferred):
    """One number per sample without a dimension of its own, which can only leave the network."""

    @property
    def shape(self) -> Shape:
        """None that an operation could work on."""
        return self.refuse()

    @property
    def name(self) -> str:
        """None that an operation could take."""
        return self.refuse()


def activation(value: Any, found: str, expected: str) -> Ref:
    """An activation that leaves the network; ConversionError saying what is found instead."""
    if isinstance(value, Single):
        return value.base
    if isinstance(value, Deferred):
        value.refuse()
    if not isinstance(value, Ref):
        what = value.what if isinstance(value, Unconverted) else "a constant"
        raise ConversionError(f"{found} {what}{expected}")
    return value


class GraphBuilder:
    """Collects analog nodes, gives them unique names, and knows which call made each."""

    def __init__(self) -> None:
        self.nodes: list[AnalogNode] = []
        self._by_name: dict[str, AnalogNode] = {}
        self.places: dict[str, Place] = {}
        self._budget = Budget(MOST_TOGETHER, "activations")

    def made(self, ref: Ref) -> Op:
        """Return the operation that a result is of."""
        return self._by_name[ref.name].op

    def taken(self, ref: Ref) -> tuple[Ref, ...]:
        """Return the results that a result was made from."""
        made = (self._by_name[name] for name in self._by_name[ref.name].inputs)
        return tuple(Ref(node.name, node.shape) for node in made)

    def add(self, name: str, op: Op, inputs: tuple[Ref, ...], source: str | None) -> Ref:
        """Append a node named ``name``, or ``name_2``, ... where that is taken.

        What may come before the index map that it would follow does: layers and their
        activations stay together, and their weights shared.
        """
        moves = [self.made(x) for x in inputs]
        if moves and isinstance(moves[0], analog.Gather | analog.Reshape):
            taken = tuple(y for x in inputs for y in self.taken(x)[:1])
            first = before(op, moves, [x.shape for x in taken])
            if first is not None:
                return self.add(name, moves[0], (self.add(name, first, taken, source),), source)
        unique, n = name, 1
        while unique in self._by_name:
            n += 1
            unique = f"{name}_{n}"
        shape = op.output_shape([ref.shape for ref in inputs])
        size = expect_few(shape, "makes an activation")
        self._budget.spend(size + (op.matrix.size if isinstance(op, analog.AlongAxis) else 0))
        node = AnalogNode(unique, op, tuple(ref.name for ref in inputs), shape, source)
        self.nodes.append(node)
        self._by_name[unique] = node
        return Ref(unique, shape)

    def normalized(self, ref: Ref, normalization: Normalization | None) -> Ref:
        """What enters a network, normalized where a normalization is given."""
        if normalization is None:
            return ref
        mean, std = normalization
        return self.add("normalize", analog.Normalize(mean, std), (ref,), None)  # type: ignore[arg-type]

    def graph(
        self, name: str, inputs: Sequence[str], outputs: Sequence[str], network: str
    ) -> AnalogGraph:
        """The graph of the nodes on which an output depends; ``network`` names it in errors."""
        if len(set(outputs)) != len(outputs):
            raise ConversionError(f"{network} returns the same activations twice")
        nodes = reachable(self.nodes, outputs)
        used = {node.name for node in nodes}
        for key in inputs:
            if key not in used:
                raise ConversionError(f"no output of {network} depends on its input {key!r}")
        for node in nodes:
            for key in node.inputs:
                if isinstance(self._by_name[key].op, analog.Softmax):
                    self.places[key].refuse(
                        f"softmax in the middle of the network, used by {node.name!r}: it divides"
                        " by a sum of activations; use ReLU or sigmoid, or end the network there"
                    )
        return AnalogGraph(name, nodes, tuple(inputs), tuple(outputs))


def reachable(nodes: Sequence[AnalogNode], outputs: Sequence[str]) -> tuple[AnalogNode, ...]:
    """Leave out nodes on which no output depends."""
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One call of an operator in a source network.

    Parameters
    ----------
    node : str
        Name of the node in the source network.
    operator : str
        For example ``aten.conv2d``, or ``Conv`` of ONNX.
    builder : GraphBuilder
    batch : int
        Samples that the source network is called with.
    refs : tuple of Ref
        The activations among its operands.
    n_results : int or None
        Of an operator that returns several.
    run : callable or None
        The operator itself, on float64 arrays in place of ``refs``: a tuple of arrays.
    source : str or None
        ``file.py:line``.
    """

    node: str
    operator: str
    builder: GraphBuilder
    batch: int
    refs: tuple[Ref, ...] = ()
    n_results: int | None = None
    run: Callable[[list[AnyArray]], tuple[AnyArray, ...]] | None = None
    source: str | None = None

    def emit(self, op: Op, *inputs: Ref) -> Ref:
        """Append an analog node that takes ``inputs``."""
        ref = self.builder.add(self.named(op), op, inputs, self.source)
        self.builder.places.setdefault(ref.name, self)
        return ref

    def made(self, x: Ref) -> Op:
        """The operation that an activation is the result of."""
        return self.builder.made(x)

    def taken(self, x: Ref) -> tuple[Ref, ...]:
        """The activations that an activation was made from."""
        return self.builder.taken(x)

    def named(self, op: Op) -> str:
        """What an analog node that is made here is called."""
        raise NotImplementedError

    def described(self) -> Iterable[str]:
        """The operator and where it is, for messages."""
        return (self.operator,)

    def refuse(self, reason: str) -> NoReturn:
        """Raise UnsupportedLayerError with the node, its operator and its source line."""
        where = ", ".join(self.described())
        raise UnsupportedLayerError(f"node {self.node!r} ({where}): {reason}; supported: {PAGE}")

    def lowered(self, lowering: Lower, /, *values: Any, **named: Any) -> Any:
        """What an entry of the tables makes of the operator's arguments."""
        given: list[Any] = [*values, *named.values()]
        for value in given:
            for item in value if isinstance(value, list | tuple) else (value,):
                if isinstance(item, Deferred) and lowering not in TAKES_DEFERRED:
                    item.refuse()
        try:
            return lowering(self, *values, **named)
        except NetlistError as error:
            return self.refuse(str(error))

    def data(self, value: Any, what: str = "input") -> Ref:
        """Return ``value`` if it is an activation, refuse the call otherwise."""
        if isinstance(value, Ref):
            return value
        if isinstance(value, Deferred):
            value.refuse()
        return self.refuse(f"its {what} does not depend on the network's input")

    def constant(self, value: Any, what: str = "operand") -> AnyArray:
        """Return a constant as float32, refuse the call if ``value`` is none."""
        if isinstance(value, Mutated):
            self.refuse(f"buffer {value.buffer!r} changes in every call")
        if hasattr(value, "detach"):
            value = value.detach().cpu().float().numpy()
        if isinstance(value, (bool, int, float, np.ndarray)):
            return np.asarray(value, np.float32)
        return self.refuse(f"its {what} is computed from the network's input, expected a constant")

    def optional_constant(self, value: Any, what: str) -> AnyArray | None:
        """Like :meth:`constant`; None stays None."""
        return None if value is None else self.constant(value, what)

    def value(self, value: Any) -> Any:
        """An operand: an activation, what may become one, or a constant array."""
        return value if isinstance(value, Ref | Deferred) else self.constant(value)

    def first(self, result: Any, others: str) -> Any:
        """A result alone, or where the operator has several, with what the others are called."""
        n = self.n_results
        return result if n is None else (result, *[Unconverted(others)] * (n - 1))

    def axes(self, x: Ref, given: Any) -> set[int]:
        """Axes of a sample that are given with the batch counted; all of them if none are."""
        rank = len(x.shape) + 1
        listed: AnyArray = np.ravel(() if given is None else given)
        if not np.isfinite(listed).all():
            self.refuse(f"axes {listed.tolist()}, expected integers")
        axes = {int(n) % rank - 1 for n in (listed if len(listed) else range(rank))}
        if -1 in axes:
            self.refuse("a reduction over the samples of the batch; use a constant in its place")
        return axes
