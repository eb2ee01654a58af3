"""Convolution in floats by PyTorch, called only as it is right.

The strides of an axis of one element say nothing, so that one tensor can be read as NCHW or as
channels last. oneDNN on AVX-512 computed wrong sums where such a tensor (one input channel, one
output column) was passed as channels last, and the process ended where an axis with a kernel of 1
had a dilation. Here images of one channel are NCHW, all strides are those of the sizes, and an
axis with a kernel of 1 has no dilation; ``tests/ir/test_torch_convolution.py`` sweeps the shapes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

Axes = tuple[int, ...]


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    groups: int = 1,
) -> torch.Tensor:
    """Cross-correlation over one or two axes; ``padding`` is that of each side."""
    if x.ndim == 3:
        flat = convolve(
            x.unsqueeze(2),
            weight.unsqueeze(2),
            bias,
            (1, *stride),
            (0, *padding),
            (1, *dilation),
            groups,
        )
        return flat.squeeze(2)
    x, weight = canonical(x), canonical(weight)
    return F.conv2d(x, weight, bias, stride, padding, _spread(weight, dilation), groups)


def convolve_transposed(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Axes,
    padding: Axes,
    output_padding: Axes,
    dilation: Axes,
    groups: int = 1,
) -> torch.Tensor:
    """The transposed map over one or two axes; parameters as in PyTorch."""
    if x.ndim == 3:
        flat = convolve_transposed(
            x.unsqueeze(2),
            weight.unsqueeze(2),
            bias,
            (1, *stride),
            (0, *padding),
            (0, *output_padding),
            (1, *dilation),
            groups,
        )
        return flat.squeeze(2)
    x, weight = canonical(x), canonical(weight)
    # PyTorch takes an output padding only below the stride or the dilation.
    spread = tuple(
        d if extra >= step else kept
        for d, kept, extra, step in zip(
            dilation, _spread(weight, dilation), output_padding, stride, strict=True
        )
    )
    return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, spread)


def canonical(x: torch.Tensor) -> torch.Tensor:
    """``[N, C, H, W]`` with strides that only one layout has: NCHW, or channels last."""
    # With one channel, or one row and column, both layouts are the same memory: NCHW then.
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return _dense(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return _dense(x.contiguous())


def _dense(x: torch.Tensor) -> torch.Tensor:
    """A contiguous tensor with the strides of its sizes, also on axes of one element."""
    strides, step = [], 1
    for size in reversed(x.shape):
        strides.append(step)
        step *= size
    return x.as_strided(x.shape, strides[::-1])


def _spread(weight: torch.Tensor, dilation: Axes) -> Axes:
    kernel = weight.shape[2:]
    return tuple(1 if k == 1 else d for k, d in zip(kernel, dilation, strict=True))
