"""Runs of Brian2 that fail: one line, whatever the reason."""

from __future__ import annotations

import pytest

from neurodeploy.errors import ExecutionError
from neurodeploy.network import Network
from neurodeploy.targets.brian2 import session
from neurodeploy.targets.brian2.target import Brian2Deployment, Brian2Target
from tests.conformance.cases import case


@pytest.mark.parametrize("reason", ["no memory", "a cause", "no cause"])
def test_a_run_that_fails_is_one_line(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case("delay_1")
    deployment = Brian2Target().compile(Network(given.netlist))
    assert isinstance(deployment, Brian2Deployment)
    network = deployment.brian2_network(given.stimulus)
    brian2 = session.load_brian2()

    def run(*run: object, **more: object) -> None:
        if reason == "no memory":
            raise MemoryError
        error = brian2.BrianObjectException("an object", network["dense_1"])
        raise error from (ValueError("two\nlines") if reason == "a cause" else None)

    monkeypatch.setattr(network, "run", run)
    told = {
        "no memory": "delay_1: Brian2 ran out of memory; set max_synapses below 10000000",
        "a cause": "delay_1: Brian2 failed: two",
        "no cause": "delay_1: Brian2 failed: ",
    }[reason]
    with pytest.raises(ExecutionError) as caught:
        deployment.simulate(network)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
