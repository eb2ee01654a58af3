"""Convolution in floats equals double precision, whatever the shape, the strides and oneDNN."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neurodeploy.errors import NetlistError
from neurodeploy.numerics.torch_convolution import canonical, convolve, convolve_transposed
from neurodeploy.source.analog import Conv2d, MaxPool
from neurodeploy.testing.parts import window
from tests.numerics.onednn import ONEDNN_ISAS

ROOT = Path(__file__).resolve().parents[2]
SHAPES = 1500
Rng = np.random.Generator


def integers(rng: Rng, *shape: int) -> torch.Tensor:
    """Small enough that single precision holds every sum."""
    return torch.tensor(rng.integers(-8, 9, shape), dtype=torch.float32)


def in_some_layout(rng: Rng, x: torch.Tensor) -> torch.Tensor:
    """NCHW, channels last, or a permuted view, whose axes of one element have any strides."""
    match rng.integers(3):
        case 0:
            return x
        case 1:
            return x.contiguous(memory_format=torch.channels_last)
        case _:
            return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def sweep(seed: int, shapes: int) -> None:
    """Random kernels, strides, dilations, paddings and groups, with many axes of one element."""
    rng = np.random.default_rng(seed)
    for _ in range(shapes):
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        c_in, c_out = (groups * int(rng.choice([1, 1, 2, 3, 8, 16])) for _ in range(2))
        kernel = rng.choice([1, 1, 2, 3, 5, 7], 2)
        stride, dilation = rng.choice([1, 1, 2, 3], 2), rng.choice([1, 1, 2, 3], 2)
        padding = rng.choice([0, 0, 1, 2], 2)
        least = dilation * (kernel - 1) + 1 - 2 * padding
        size = np.maximum(1, least + rng.choice([0, 0, 1, 4, 9], 2))
        x = integers(rng, int(rng.choice([1, 1, 2, 4])), c_in, *size)
        weight = integers(rng, c_out, c_in // groups, *kernel)
        bias = integers(rng, c_out) if rng.random() < 0.5 else None
        given = [tuple(map(int, v)) for v in (stride, padding, dilation)]
        plain = np.where(kernel == 1, 1, dilation).tolist()
        wanted = F.conv2d(
            x.double(),
            weight.double(),
            None if bias is None else bias.double(),
            given[0],
            given[1],
            plain,
            groups,
        )
        x, weight = in_some_layout(rng, x), in_some_layout(rng, weight)
        ours = convolve(x, weight, bias, *given, groups)
        what = (tuple(x.shape), x.stride(), tuple(weight.shape), given, groups)
        assert torch.equal(ours.double(), wanted), what


def test_shapes_and_layouts() -> None:
    for seed in range(4):
        sweep(seed, SHAPES)


@pytest.mark.parametrize("isa", ONEDNN_ISAS)
def test_shapes_on_every_instruction_set(isa: str) -> None:
    """oneDNN takes the best that the processor has up to the one that is named."""
    code = f"from tests.numerics.test_torch_convolution import sweep; sweep(9, {SHAPES})"
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_one_channel_and_one_column_of_a_permuted_image() -> None:
    rng = np.random.default_rng(0)
    x = integers(rng, 4, 784).view(-1, 28, 28, 1).permute(0, 3, 1, 2)
    weight = integers(rng, 8, 1, 5, 28)
    wanted = F.conv2d(x.double(), weight.double(), None, (1, 3))
    ours = convolve(x, weight, None, (1, 3), (0, 0), (1, 1))
    assert torch.equal(ours.double(), wanted)
    assert canonical(x).stride() == (784, 784, 28, 1)


def test_a_kernel_of_one_with_dilation_padding_and_bias() -> None:
    x = torch.zeros(2, 2).view(-1, 1, 1, 2).permute(0, 3, 1, 2)
    weight = torch.zeros(6, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    ours = convolve(x, weight, torch.ones(6), (1, 2), (0, 1), (1, 3), 2)
    assert ours.shape == (2, 6, 1, 2)
    assert torch.equal(ours, torch.ones(2, 6, 1, 2))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 1, 7), (3, 4, 1, 1), (1, 5, 6, 1)])
def test_canonical_strides_are_those_of_the_sizes(shape: tuple[int, ...]) -> None:
    n, c, h, w = shape
    x = torch.arange(n * c * h * w, dtype=torch.float32).view(n, h, w, c).permute(0, 3, 1, 2)
    result = canonical(x)
    assert torch.equal(result, x)
    nchw, last = (c * h * w, h * w, w, 1), (h * w * c, 1, w * c, c)
    assert result.stride() == (nchw if c == 1 or h == w == 1 else last)


def test_transposed_convolution() -> None:
    rng = np.random.default_rng(3)
    for _ in range(600):
        groups = int(rng.choice([1, 1, 2]))
        c_in, c_out = (groups * int(rng.choice([1, 2, 8])) for _ in range(2))
        kernel, stride = rng.choice([1, 2, 3, 5], 2), rng.choice([1, 1, 2, 3], 2)
        dilation, padding = rng.choice([1, 1, 2], 2), rng.choice([0, 0, 1], 2)
        extra = np.minimum(rng.choice([0, 0, 1], 2), np.maximum(stride, dilation) - 1)
        size = rng.choice([1, 1, 2, 5], 2)
        if ((size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra < 0).any():
            continue
        x = in_some_layout(rng, integers(rng, 2, c_in, *size))
        weight, bias = integers(rng, c_in, c_out // groups, *kernel), integers(rng, c_out)
        given = [tuple(map(int, v)) for v in (stride, padding, extra)]
        spread = tuple(map(int, dilation))
        wanted = F.conv_transpose2d(
            x.double(), weight.double(), bias.double(), *given, groups, spread
        )
        ours = convolve_transposed(x, weight, bias, *given, spread, groups)
        assert torch.equal(ours.double(), wanted), (tuple(x.shape), given, spread)


def test_an_axis_with_a_kernel_of_one_has_no_dilation() -> None:
    assert window((5, 5), (1, 3), dilation=(4, 2)).dilation == (1, 2)
    assert window((5, 5), (1, 3), dilation=(4, 2)) == window((5, 5), (1, 3), dilation=(1, 2))
    with pytest.raises(NetlistError, match="at least 1"):
        window((5, 5), (1, 3), dilation=(0, 2))
    weight = np.zeros((2, 3, 3, 1), dtype=np.float32)
    assert Conv2d(weight, None, 1, 0, (2, 5)).dilation == (2, 1)
    assert MaxPool((1, 2), (1, 1), 0, False, (3, 2)).dilation == (1, 2)
