"""The kernels of every instruction set."""

from __future__ import annotations

import pytest

from neurodeploy.execution.native import library
from tests.execution import emulated


@pytest.fixture(params=library.ISAS)
def kernels(request: pytest.FixtureRequest) -> library.Library:
    why = emulated.why_not(request.param)
    if why is not None:
        pytest.skip(why)
    return emulated.kernels(request.param)
