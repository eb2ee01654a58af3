"""The kernels of every instruction set."""

from __future__ import annotations

import pytest

from neurodeploy.execution.native import library
from tests.execution import emulated


# Tiles are a form beside the AVX-512 version's own: test_native_tiles.py is about them.
@pytest.fixture(params=[isa for isa in library.ISAS if isa != "amx"])
def kernels(request: pytest.FixtureRequest) -> library.Library:
    why = emulated.why_not(request.param)
    if why is not None:
        pytest.skip(why)
    return emulated.kernels(request.param)
