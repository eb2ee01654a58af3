"""The kernels of every instruction set that runs here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neurodeploy.execution.native import library


@pytest.fixture(params=library.ISAS)
def kernels(request: pytest.FixtureRequest) -> library.Library:
    if request.param not in library.load().isas:
        pytest.skip(f"this processor does not run {request.param}")
    return replace(library.load(), isa_name=request.param)
