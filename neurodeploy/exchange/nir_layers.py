"""Synapses as linear nodes of NIR, in forms that its readers take.

Readers know few nodes, and each its own: what is written is Affine (never Linear, which sinabs does
not read), Conv1d and Conv2d without groups (whose shapes nir 1.0.8 infers wrongly), Flatten counted
from the end (so that a batch axis in front does not matter), and Scale where nothing else says it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.exchange.assembly import MAX_VALUES
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, is_spaced
from neurodeploy.ir.geometry import Window

Layer = tuple[str, dict[str, Any]]
"""Type of a node, and its parameters."""


def layers(
    connectivity: Connectivity, scale: FloatArray, bias: FloatArray, where: str
) -> tuple[list[Layer], FloatArray]:
    """Nodes of a map one behind the other, and what of a bias they could not carry.

    Parameters
    ----------
    connectivity : Connectivity
    scale, bias : float array ``[*post_shape]``
        What every result is multiplied by, and what is then added.
    where : str
        Name of the projection, for messages.

    Raises
    ------
    UnsupportedLayerError
        If no nodes of NIR compute the map.
    """
    if is_spaced(connectivity):
        raise UnsupportedLayerError(
            f"{where}: NIR has no node for a convolution over cells that stand "
            f"{connectivity.window.spacing} apart (upsampling, or a transposed one)"
        )
    if isinstance(connectivity, SumPool):
        connectivity = connectivity.as_depthwise()
    found: Connectivity | None = connectivity
    if isinstance(connectivity, Sparse):
        if _is_same(connectivity, scale) and not bias.any():
            return [], bias
        found = _pointwise(connectivity) or _dense(connectivity)
    if isinstance(found, Conv) and _is_even(scale):
        return _convolution(found, scale, bias)
    if isinstance(found, Dense):
        return [*_flat(found.pre_shape), _affine(found.weight, scale, bias)], np.zeros_like(bias)
    if isinstance(connectivity, Sparse) and _is_diagonal(connectivity):
        factor = np.zeros(math.prod(connectivity.pre_shape))
        factor[connectivity.post] = connectivity.weight
        return [("Scale", {"scale": factor.reshape(scale.shape) * scale})], bias
    if isinstance(found, Conv):
        made, left = _convolution(found, np.ones_like(scale), np.zeros_like(bias))
        return [*made, ("Scale", {"scale": scale})], left + bias
    raise UnsupportedLayerError(
        f"{where}: NIR has no node for synapses from {connectivity.pre_shape} to "
        f"{connectivity.post_shape} that are no dense layer and no convolution"
    )


def _is_even(values: FloatArray) -> bool:
    """Whether all neurons of each channel have one value."""
    channels = values.reshape(values.shape[0], -1)
    return bool((channels == channels[:, :1]).all())


def _is_same(sparse: Sparse, scale: FloatArray) -> bool:
    return (
        sparse.weight.size == scale.size
        and _is_diagonal(sparse)
        and bool((sparse.weight * scale.reshape(-1)[sparse.post] == 1).all())
    )


def _is_diagonal(sparse: Sparse) -> bool:
    return sparse.pre_shape == sparse.post_shape and bool((sparse.post == sparse.pre).all())


def _dense(sparse: Sparse) -> Dense | None:
    """Synapses onto neurons without axes in space, written out."""
    n_pre, n_post = math.prod(sparse.pre_shape), math.prod(sparse.post_shape)
    if len(sparse.post_shape) > 1 or n_pre * n_post > MAX_VALUES:
        return None
    weight = np.zeros((n_post, n_pre), dtype=sparse.weight.dtype)
    weight[sparse.post, sparse.pre] = sparse.weight
    return Dense(weight, sparse.pre_shape)


def _pointwise(sparse: Sparse) -> Conv | None:
    """Synapses that mix channels alike at every place: a convolution with a kernel of 1."""
    before, after = sparse.pre_shape, sparse.post_shape
    if len(before) != len(after) or len(after) < 2 or before[0] * math.prod(after) > MAX_VALUES:
        return None
    stride = tuple(-(-a // b) for a, b in zip(before[1:], after[1:], strict=True))
    n = len(stride)
    window = Window(before[1:], (1,) * n, stride, ((0, 0),) * n, (1,) * n)
    if window.output_size != after[1:]:
        return None
    kernel = np.zeros((after[0], before[0]), dtype=sparse.weight.dtype)
    area_out, area_in = math.prod(after[1:]), math.prod(before[1:])
    kernel[sparse.post // area_out, sparse.pre // area_in] = sparse.weight
    found = Conv(kernel.reshape(*kernel.shape, *(1,) * n), before[0], window)
    return found if _same_synapses(found, sparse) else None


def _same_synapses(one: Connectivity, other: Connectivity) -> bool:
    n = math.prod(one.pre_shape)
    keys = []
    for part in (one, other):
        post, pre, weight = part.to_coo()
        order = np.argsort(post * n + pre, kind="stable")
        order = order[weight[order] != 0]
        keys.append(((post * n + pre)[order], weight[order]))
    (a, w), (b, x) = keys
    return bool(np.array_equal(a, b) and np.array_equal(w, x))


def _flat(shape: tuple[int, ...]) -> list[Layer]:
    if len(shape) == 1:
        return []
    values = {"input_type": np.array(shape), "start_dim": -len(shape), "end_dim": -1}
    return [("Flatten", values)]


def _affine(weight: AnyArray, scale: FloatArray, bias: FloatArray) -> Layer:
    return "Affine", {"weight": weight * scale.reshape(-1, 1), "bias": bias.reshape(-1)}


def _convolution(conv: Conv, scale: FloatArray, bias: FloatArray) -> tuple[list[Layer], FloatArray]:
    """A convolution without groups. Its bias is the same everywhere: the most frequent one."""
    weight, padding, dilation = _symmetric(_ungrouped(conv), conv.window)
    channels = scale.reshape(scale.shape[0], -1)[:, 0]
    weight = weight * channels.reshape(-1, *(1,) * (weight.ndim - 1))
    constant = np.median(bias.reshape(bias.shape[0], -1), axis=1)
    left = bias - constant.reshape(-1, *(1,) * (bias.ndim - 1))
    window, n = conv.window, len(conv.window.kernel)
    size: Any = np.array(window.input_size) if n == 2 else window.input_size[0]
    values = {
        "input_shape": size,
        "weight": weight,
        "stride": np.array(window.stride),
        "padding": np.array(padding),
        "dilation": np.array(dilation),
        "groups": 1,
        "bias": constant,
    }
    return [(f"Conv{n}d", values)], left


def _ungrouped(conv: Conv) -> AnyArray:
    """The kernel of all channels to all channels, zeros between groups."""
    if conv.groups == 1:
        return conv.weight
    out, each = conv.weight.shape[:2]
    full = np.zeros((out, conv.channels_in, *conv.weight.shape[2:]), dtype=conv.weight.dtype)
    for c in range(out):
        first = c // (out // conv.groups) * each
        full[c, first : first + each] = conv.weight[c]
    return full


def _symmetric(
    weight: AnyArray, window: Window
) -> tuple[AnyArray, tuple[int, ...], tuple[int, ...]]:
    """A kernel, padding and dilation with padding alike at both ends: zeros make up for it."""
    paddings, dilations = [], []
    for i, ((a, b), d) in enumerate(zip(window.padding, window.dilation, strict=True)):
        axis, p = i + 2, max(a, b)
        if (p - a) % d or (p - b) % d:
            # The zeros between the cells of the kernel are written out.
            shape = list(weight.shape)
            shape[axis] = d * (shape[axis] - 1) + 1
            wide = np.zeros(shape, dtype=weight.dtype)
            wide[(slice(None),) * axis + (slice(None, None, d),)] = weight
            weight, d = wide, 1
        around = [(0, 0)] * weight.ndim
        around[axis] = ((p - a) // d, (p - b) // d)
        weight = np.pad(weight, around)
        paddings.append(p)
        dilations.append(d)
    return weight, tuple(paddings), tuple(dilations)


def described(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as arrays and texts, as a file holds them."""
    return {k: v if isinstance(v, str) else np.asarray(v) for k, v in parameters.items()}
