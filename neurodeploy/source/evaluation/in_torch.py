"""Evaluation of analog graphs with torch: the fast evaluator, imported only on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.numerics.device import current_device
from neurodeploy.numerics.threads import map_in_order
from neurodeploy.numerics.torch_convolution import convolve, convolve_transposed
from neurodeploy.numerics.torch_state import plain_torch
from neurodeploy.source import analog, expressions
from neurodeploy.source.analog import AnalogGraph, AnalogNode, interpret
from neurodeploy.source.evaluation.batches import ALIKE, batch_size, checked_batch
from neurodeploy.source.evaluation.folding import fold_batch_norms
from neurodeploy.source.layers import Convolution, TransposedConvolution

_Layer = Callable[..., torch.Tensor]
_Result = TypeVar("_Result")


def evaluate(
    graph: AnalogGraph,
    x: AnyArray | Mapping[str, AnyArray],
    keep: Iterable[str] | None = None,
    *,
    chunk: int | None = None,
) -> dict[str, AnyArray]:
    """Activations of an analog graph, float32.

    Parameters
    ----------
    graph : AnalogGraph
    x : array of shape (N, *input shape), or mapping
        The samples; a mapping from input name to array where the graph has several inputs.
    keep : iterable of str, optional
        Nodes whose activations are wanted; the outputs by default.
    chunk : int, optional
        Samples that are evaluated at a time; by default as many as memory is good for.

    Returns
    -------
    dict
        Node name -> array of shape (N, *node shape).

    Raises
    ------
    DataError
        If ``x`` does not fit the graph's inputs.
    """
    names = tuple(graph.outputs if keep is None else keep)
    inputs, n_samples = checked_batch(graph, x)
    result = {name: np.empty((n_samples, *graph.node(name).shape), np.float32) for name in names}

    def put(samples: slice, values: Mapping[str, AnyArray]) -> None:
        for name, value in values.items():
            result[name][samples] = value

    over_batches(graph, inputs, names, put, chunk=chunk)
    return result


def over_batches(
    graph: AnalogGraph,
    x: AnyArray | Mapping[str, AnyArray],
    keep: Iterable[str],
    work: Callable[[slice, dict[str, AnyArray]], _Result],
    *,
    chunk: int | None = None,
) -> list[_Result]:
    """Results of ``work`` on the activations of batch after batch, in order.

    Batches are shared among threads; neither they nor results depend on how many there are.
    Parameters as of :func:`evaluate`; ``work`` is called with the samples of a batch and the
    activations of the nodes that are wanted.
    """
    names = tuple(keep)
    inputs, n_samples = checked_batch(graph, x)
    folded = fold_batch_norms(graph, names)

    def one(samples: slice) -> _Result:
        with plain_torch(current_device()):
            batch = {k: torch.tensor(v[samples]) for k, v in inputs.items()}
            values = interpret(folded, batch, apply, names)
        return work(samples, {name: value.cpu().numpy() for name, value in values.items()})

    def apply(node: AnalogNode, values: Sequence[torch.Tensor]) -> torch.Tensor:
        return layers[node.name](*values)

    with plain_torch(current_device()):
        layers = {
            node.name: _BUILD[type(node.op)](node.op)
            for node in folded.nodes
            if not isinstance(node.op, analog.Input)
        }
        chunk = chunk or batch_size(node.shape for node in folded.nodes)
        starts = range(0, n_samples, chunk)
        return map_in_order(one, [slice(i, min(i + chunk, n_samples)) for i in starts])


def _along(values: AnyArray, n_dims: int) -> torch.Tensor:
    """A copy that broadcasts with ``n_dims``: a scalar, one value per channel or per element."""
    return torch.tensor(values.reshape(-1, *(1,) * (n_dims - 2)) if values.ndim == 1 else values)


def _optional(values: AnyArray | None) -> torch.Tensor | None:
    return None if values is None else torch.tensor(values)


def _linear(op: analog.Linear) -> _Layer:
    weight, bias = torch.tensor(op.weight), _optional(op.bias)
    return lambda x: F.linear(x, weight, bias)


def _conv(op: Convolution) -> _Layer:
    weight, bias = torch.tensor(op.weight), _optional(op.bias)
    pads = [amount for pair in reversed(op.padding_pairs) for amount in pair]
    symmetric = all(before == after for before, after in op.padding_pairs)
    inner = op.padding[::2] if symmetric else (0,) * op.rank

    def layer(x: torch.Tensor) -> torch.Tensor:
        x = x if symmetric else F.pad(x, pads)
        return convolve(x, weight, bias, op.stride, inner, op.dilation, op.groups)

    return layer


def _conv_transpose(op: TransposedConvolution) -> _Layer:
    weight, bias = torch.tensor(op.weight), _optional(op.bias)
    return lambda x: convolve_transposed(
        x, weight, bias, op.stride, op.padding, op.output_padding, op.dilation, op.groups
    )


def _upsample(op: analog.Upsample) -> _Layer:
    def layer(x: torch.Tensor) -> torch.Tensor:
        for axis, factor in enumerate(op.factors):
            x = x.repeat_interleave(factor, dim=2 + axis)
        return x

    return layer


def _leaky_relu(op: analog.LeakyReLU) -> _Layer:
    return lambda x: torch.where(x > 0, x, x * _along(op.slope, x.ndim))


def _quantized_relu(op: analog.QuantizedReLU) -> _Layer:
    def layer(x: torch.Tensor) -> torch.Tensor:
        step = torch.tensor(op.maximum / op.levels, dtype=torch.float32)
        return (x / step + op.shift).floor().clamp(0, op.levels) * step

    return layer


_FUNCTIONS: dict[str, _Layer] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hardsigmoid": F.hardsigmoid,
}


def _function(op: analog.Function) -> _Layer:
    def layer(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = expressions.run(op.name, x, _WORDS, number)
        return result.to(x.dtype).expand_as(x)

    def number(value: float) -> torch.Tensor:
        return torch.tensor(value, dtype=torch.float32)

    return _FUNCTIONS.get(op.name, layer)


def _as_number(test: _Layer) -> _Layer:
    return lambda a, b: test(a, b).float()


_WORDS: dict[str, _Layer] = {
    **{word: getattr(torch, word) for word in expressions.ARITY if hasattr(torch, word)},
    **{word: _as_number(getattr(torch, word)) for word in ("gt", "ge", "lt", "le", "eq", "ne")},
    **{"max": torch.maximum, "min": torch.minimum, "softplus": F.softplus},
    "where": lambda test, a, b: torch.where(test.bool(), a, b),
}


def _gather(op: analog.Gather) -> _Layer:
    index = torch.tensor(op.index.reshape(-1), dtype=torch.long)
    zeros = torch.tensor(op.index < 0) if (op.index < 0).any() else None

    def layer(x: torch.Tensor) -> torch.Tensor:
        y = x.flatten(1)[:, index.clamp(min=0)].reshape(len(x), *op.index.shape)
        return y if zeros is None else y.masked_fill(zeros, 0)

    return layer


def _along_axis(op: analog.AlongAxis) -> _Layer:
    matrix, axis = torch.tensor(op.matrix.T), op.axis + 1
    return lambda x: (x.movedim(axis, -1) @ matrix).movedim(-1, axis).contiguous()


def _batch_norm(op: analog.BatchNorm) -> _Layer:
    mean, var, weight, bias = map(_optional, (op.mean, op.var, op.weight, op.bias))
    return lambda x: F.batch_norm(x, mean, var, weight, bias, training=False, eps=op.eps)


def _avg_pool(op: analog.AvgPool) -> _Layer:
    how = (op.ceil_mode, op.count_include_pad, op.divisor)
    if len(op.kernel) == 2:
        return lambda x: F.avg_pool2d(x, op.kernel, op.stride, op.padding, *how)
    # avg_pool1d knows no divisor.
    windows = ((1, *op.kernel), (1, *op.stride), (0, *op.padding))
    return lambda x: F.avg_pool2d(x.unsqueeze(2), *windows, *how).squeeze(2)


def _max_pool(op: analog.MaxPool) -> _Layer:
    pool: Callable[..., torch.Tensor] = F.max_pool1d if len(op.kernel) == 1 else F.max_pool2d
    return lambda x: pool(x, op.kernel, op.stride, op.padding, op.dilation, op.ceil_mode)


def _pad(op: analog.Pad) -> _Layer:
    pads = [amount for pair in reversed(op.amounts) for amount in pair]
    return lambda x: F.pad(x, pads)


def _softmax(op: analog.Softmax) -> _Layer:
    softmax: Callable[..., torch.Tensor] = F.log_softmax if op.log else F.softmax
    return lambda x: softmax(x, dim=1)


_BUILD: dict[type, Callable[..., _Layer]] = {
    **{kind: partial(partial, function, _along) for kind, function in ALIKE.items()},
    analog.Linear: _linear,
    analog.Conv1d: _conv,
    analog.Conv2d: _conv,
    analog.BatchNorm: _batch_norm,
    analog.ConvTranspose1d: _conv_transpose,
    analog.ConvTranspose2d: _conv_transpose,
    analog.Upsample: _upsample,
    analog.LeakyReLU: _leaky_relu,
    analog.Function: _function,
    analog.Gather: _gather,
    analog.AlongAxis: _along_axis,
    analog.QuantizedReLU: _quantized_relu,
    analog.ReLU: lambda op: F.relu,
    analog.Clip: lambda op: lambda x: x.clamp(0, op.maximum),
    analog.AvgPool: _avg_pool,
    analog.MaxPool: _max_pool,
    analog.Concat: lambda op: lambda *parts: torch.cat(parts, 1),
    analog.Pad: _pad,
    analog.Softmax: _softmax,
}
