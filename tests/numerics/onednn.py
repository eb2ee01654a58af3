"""The instruction sets that oneDNN can be held to, as parameters of tests."""

from __future__ import annotations

import pytest
import torch

_without = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="this processor does not run AVX-512, where oneDNN takes what AVX2 takes",
)
# One with saturating pairs and one with exact ones, below what this processor may have.
ONEDNN_ISAS = (
    "SSE41",
    "AVX2",
    pytest.param("AVX512_CORE", marks=_without),
    pytest.param("AVX512_CORE_VNNI", marks=_without),
)
