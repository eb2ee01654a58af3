"""The source network, as fast as plain PyTorch runs it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse

from benchmarks.speed.contender import Contender

TRIALS = 7
LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels last": torch.channels_last,
}


def folded(network: nn.Module) -> GraphModule:
    """A copy of the network without its batch norms."""
    fused = fuse(network)
    assert isinstance(fused, GraphModule)
    left = [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not left, "a batch norm that follows no convolution"
    return fused.eval()


def source_contender(network: nn.Module, x: torch.Tensor) -> Contender:
    """Batch norms folded, float32, eager, in the memory layout that is faster here."""
    candidates = []
    for name, layout in LAYOUTS.items():
        model = folded(network).to(memory_format=layout)
        run = _runner(model, x.contiguous(memory_format=layout))
        candidates.append((_quickest(run), name, run))
    _, name, run = min(candidates, key=lambda c: c[0])
    title = f"source network, PyTorch {torch.__version__}, {name}"
    return Contender("ann", title, run, scores=lambda out: out)


def _runner(model: nn.Module, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        with torch.inference_mode():
            out: torch.Tensor = model(x)
            return out

    return run


def _quickest(run: Callable[[], object]) -> float:
    run()
    seconds = []
    for _ in range(TRIALS):
        begun = time.process_time()
        run()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)
