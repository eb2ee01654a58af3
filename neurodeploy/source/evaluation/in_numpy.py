"""Evaluation of analog graphs in plain NumPy, for environments without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.geometry import Window
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode, interpret
from neurodeploy.source.evaluation.batches import ALIKE, checked_batch
from neurodeploy.source.layers import Convolution, TransposedConvolution

_Evaluate = Callable[..., AnyArray]


def evaluate(
    graph: AnalogGraph,
    x: AnyArray | Mapping[str, AnyArray],
    keep: Iterable[str] | None = None,
    *,
    chunk: int = 32,
) -> dict[str, AnyArray]:
    """Activations of an analog graph, float32: node name -> array of shape (N, *node shape).

    As :func:`neurodeploy.source.evaluation.in_torch.evaluate`; DataError if ``x`` does not fit.
    """
    names = tuple(graph.outputs if keep is None else keep)
    inputs, n_samples = checked_batch(graph, x)
    result = {name: np.empty((n_samples, *graph.node(name).shape), np.float32) for name in names}
    for i in range(0, n_samples, chunk):
        batch = {k: v[i : i + chunk] for k, v in inputs.items()}
        for name, values in interpret(graph, batch, _apply, names).items():
            result[name][i : i + chunk] = values
    return result


def _apply(node: AnalogNode, inputs: Any) -> AnyArray:
    return _EVALUATE[type(node.op)](node.op, *inputs)


def _along(values: AnyArray, n_dims: int) -> AnyArray:
    """Shape a constant, scalar, per channel or per element, to broadcast with ``n_dims``."""
    if values.ndim == 1:
        return values.reshape(-1, *(1,) * (n_dims - 2))
    return values


def _linear(op: analog.Linear, x: AnyArray) -> AnyArray:
    y = x @ op.weight.T
    return y if op.bias is None else y + op.bias


def _conv(op: Convolution, x: AnyArray) -> AnyArray:
    window = op.window(x.shape[1:])
    n, out = len(x), window.output_size
    columns = np.stack(list(_taps(window, x, 0.0)), axis=2)
    columns = columns.reshape(n, op.groups, -1, int(np.prod(out)))
    weight = op.weight.reshape(op.groups, len(op.weight) // op.groups, -1)
    y: AnyArray = np.matmul(weight, columns).reshape(n, len(op.weight), *out)
    return y if op.bias is None else y + _along(op.bias, y.ndim)


def _conv_transpose(op: TransposedConvolution, x: AnyArray) -> AnyArray:
    shape = op.output_shape((x.shape[1:],))
    n, cells = len(x), x.shape[2:]
    # Every input cell adds its kernel into a canvas, of which the padding is cut off.
    sizes = zip(cells, op.kernel, op.stride, op.dilation, op.output_padding, strict=True)
    full = [(size - 1) * s + d * (k - 1) + 1 + o for size, k, s, d, o in sizes]
    canvas = np.zeros((n, shape[0], *full), np.float32)
    grouped = x.reshape(n, op.groups, -1, *cells)
    weight = op.weight.reshape(op.groups, -1, *op.weight.shape[1:])
    for tap in np.ndindex(*op.kernel):
        cell: Any = (..., *tap)
        part = np.einsum("ngi...,gio->ngo...", grouped, weight[cell])
        where: Any = (slice(None),) * 2 + tuple(
            slice(t * d, t * d + (size - 1) * s + 1, s)
            for t, d, size, s in zip(tap, op.dilation, cells, op.stride, strict=True)
        )
        canvas[where] += part.reshape(n, shape[0], *cells)
    inner: Any = (slice(None),) * 2 + tuple(
        slice(p, p + size) for p, size in zip(op.padding, shape[1:], strict=True)
    )
    y: AnyArray = canvas[inner]
    return y if op.bias is None else y + _along(op.bias, y.ndim)


def _upsample(op: analog.Upsample, x: AnyArray) -> AnyArray:
    for axis, factor in enumerate(op.factors):
        x = np.repeat(x, factor, axis=2 + axis)
    return x


def _batch_norm(op: analog.BatchNorm, x: AnyArray) -> AnyArray:
    scale, shift = (_along(v.astype(np.float32), x.ndim) for v in op.scale_shift())
    return x * scale + shift


def _taps(window: Window, x: AnyArray, fill: float) -> Iterator[AnyArray]:
    """Yield, for every cell of the kernel, the inputs that it meets in all windows."""
    padded = window.pad(x, fill)
    for _, where in window.taps():
        index = (slice(None), slice(None), *where)
        yield padded[index]


def _avg_pool(op: analog.AvgPool, x: AnyArray) -> AnyArray:
    window = op.window(x.shape[1:])
    total = np.zeros((*x.shape[:2], *window.output_size), np.float32)
    for part in _taps(window, x, 0.0):
        total += part
    quotient: AnyArray = total / op.divisors(x.shape[1:]).astype(np.float32)
    return quotient


def _max_pool(op: analog.MaxPool, x: AnyArray) -> AnyArray:
    window = op.window(x.shape[1:])
    top = np.full((*x.shape[:2], *window.output_size), -np.inf, np.float32)
    for part in _taps(window, x, -np.inf):
        np.maximum(top, part, out=top)
    return top


def _softmax(op: analog.Softmax, x: AnyArray) -> AnyArray:
    shifted = x - x.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    result: AnyArray = shifted - np.log(total) if op.log else np.exp(shifted) / total
    return result


_EVALUATE: dict[type, _Evaluate] = {
    **{kind: partial(function, _along) for kind, function in ALIKE.items()},
    analog.Linear: _linear,
    analog.Conv1d: _conv,
    analog.Conv2d: _conv,
    analog.BatchNorm: _batch_norm,
    analog.ConvTranspose1d: _conv_transpose,
    analog.ConvTranspose2d: _conv_transpose,
    analog.Upsample: _upsample,
    analog.LeakyReLU: lambda op, x: np.where(x > 0, x, x * _along(op.slope, x.ndim)),
    analog.Function: lambda op, x: op.value(x).astype(np.float32),
    analog.QuantizedReLU: lambda op, x: op.quantized(x),
    analog.ReLU: lambda op, x: np.maximum(x, 0),
    analog.Clip: lambda op, x: np.clip(x, 0, np.float32(op.maximum)),
    analog.AvgPool: _avg_pool,
    analog.MaxPool: _max_pool,
    analog.Concat: lambda op, *parts: np.concatenate(parts, axis=1),
    analog.Gather: lambda op, x: np.where(op.index < 0, 0, x.reshape(len(x), -1)[:, op.index]),
    analog.AlongAxis: lambda op, x: np.moveaxis(
        np.moveaxis(x, op.axis + 1, -1) @ op.matrix.T, -1, op.axis + 1
    ),
    analog.Pad: lambda op, x: np.pad(x, ((0, 0), *op.amounts)),
    analog.Softmax: _softmax,
}
