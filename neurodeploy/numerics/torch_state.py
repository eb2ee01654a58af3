"""PyTorch's process-wide settings, kept away from what must not depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from neurodeploy.numerics.threads import single_threaded_torch


@contextmanager
def plain_torch(device: str = "cpu") -> Iterator[None]:
    """Plain arithmetic on a device, whatever the process has set; also a decorator.

    Inside there is no autocast and no gradient, tensors are made on the device and in single
    precision, float32 means float32 and no algorithm is refused for being nondeterministic;
    each operation runs on one thread. Settings are touched only where they differ, and restored.
    """
    with ExitStack() as stack:
        stack.enter_context(single_threaded_torch())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if device == "cuda":
            stack.enter_context(torch.autocast("cuda", enabled=False))
        stack.enter_context(torch.no_grad())
        if torch.get_default_device().type != device:
            stack.enter_context(torch.device(device))
        if (default := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, default)
        if torch.are_deterministic_algorithms_enabled():
            warn = torch.is_deterministic_algorithms_warn_only_enabled()
            torch.use_deterministic_algorithms(False)
            stack.callback(torch.use_deterministic_algorithms, True, warn_only=warn)
        _expect_float32(stack)
        yield


def _expect_float32(stack: ExitStack) -> None:
    """Let no product of floats round its factors to bfloat16 or TF32."""
    mkldnn = torch.backends.mkldnn
    # These settings came with torch 2.9; before it, one for all told.
    parts: list[Any] = [getattr(mkldnn, n) for n in ("matmul", "conv") if hasattr(mkldnn, n)]
    if parts and torch.cuda.is_available():
        parts += [torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv")]  # noqa: B009
    for part in parts:
        if part.fp32_precision not in ("ieee", "none"):
            stack.callback(setattr, part, "fp32_precision", part.fp32_precision)
            part.fp32_precision = "ieee"
    if not parts and (precision := torch.get_float32_matmul_precision()) != "highest":
        torch.set_float32_matmul_precision("highest")
        stack.callback(torch.set_float32_matmul_precision, precision)
