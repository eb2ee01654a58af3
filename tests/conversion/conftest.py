"""Conversion is tested from the same seed, on one thread, wherever torch is there to convert."""

import pytest


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch = pytest.importorskip("torch", reason="conversion needs torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)
