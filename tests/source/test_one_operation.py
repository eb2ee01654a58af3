"""Every one-operation module equals torch, or is refused by node, operator and line."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch front end needs torch")

from neurodeploy.errors import UnsupportedLayerError  # noqa: E402
from neurodeploy.source.evaluation import in_numpy as analog_numpy  # noqa: E402
from neurodeploy.source.evaluation import in_torch as analog_torch  # noqa: E402
from neurodeploy.source.evaluation.record import analog_from_record, analog_to_record  # noqa: E402
from neurodeploy.source.torch.check import check_analog  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402
from tests.source import one_operation_modules as cases  # noqa: E402


def _samples(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (5, *shape)).astype(np.float32)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", cases.CONVERTED)
def test_converted_equals_torch(case: str) -> None:
    build, shape = cases.CONVERTED[case]
    module, x = build(), _samples(shape)
    graph = analog_from_torch(module, shape)

    assert check_analog(graph, module, x) <= 1e-6
    names = [node.name for node in graph.nodes]
    fast, plain = (e.evaluate(graph, x, names, chunk=3) for e in (analog_torch, analog_numpy))
    for name in names:
        assert plain[name].shape == fast[name].shape == (5, *graph.node(name).shape)
        assert plain[name].dtype == np.float32
        np.testing.assert_allclose(plain[name], fast[name], atol=1e-5 * np.abs(fast[name]).max())
    assert analog_from_record(*analog_to_record(graph)) == graph


@pytest.mark.parametrize("case", cases.REFUSED)
def test_refused_by_node_operator_and_line(case: str) -> None:
    refused = cases.REFUSED[case]
    module = refused.build()

    with pytest.raises(UnsupportedLayerError) as caught:
        analog_from_torch(module, refused.shape)

    message = str(caught.value)
    assert re.match(r"node '\w+' \(aten\.\w+, ", message), message
    assert "; supported: " in message
    assert "\n" not in message
    for text in refused.says:
        assert text in message
    if isinstance(module, cases.Calls):
        line = module.function.__code__.co_firstlineno
        assert f"one_operation_modules.py:{line})" in message


def test_enough_cases() -> None:
    assert len(cases.CONVERTED) >= 30
    assert len(cases.REFUSED) >= 30
