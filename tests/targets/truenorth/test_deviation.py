"""What approximates is named, kept beside what was given, measured, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, FileFormatError, UsageError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.files import DEPLOYMENT_FILE
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network, load_network
from neurodeploy.render.deployment import render_compiled, render_fits
from neurodeploy.render.verification import verification_parts
from neurodeploy.stages.compile import check, stated
from neurodeploy.targets.folder import GIVEN_FILE
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from neurodeploy.verification.verification import verify_deployment
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    netlist,
    neurons,
    project,
    raster,
    spike_input,
)
from tests.targets.truenorth.splits import SMALL, approximated, wide, with_means

OPTIONS = {"split": "approximate"}


def rare(net: IntegerNetlist, n: int) -> dict[str, IntArray]:
    """One spike of one input in every second step: no sum ever exceeds a unit of one weight."""
    rng = np.random.default_rng(0)
    found = np.zeros((n, net.timesteps, *net.by_name["in"].shape), dtype=np.int64)
    for sample in range(n):
        for t in range(0, net.timesteps, 2):
            found[sample, t, rng.integers(found.shape[2])] = 1
    return {"in": found}


def test_deviation_is_measured() -> None:
    weight = np.random.default_rng(3).integers(0, 2, (12, 140))
    net = chain(weight, threshold=2, timesteps=16)
    fine = approximated(with_means(net, 0.002))
    units = fine.utilization()["approximated"][0]
    assert (units["unit_min"], units["unit_max"]) == (1, 1)
    zero = verify_deployment(fine, ["reference"], rare(net, 5))
    assert zero.exact
    assert zero.deviation is not None
    assert zero.deviation.populations["a"].spikes_given
    assert {n: p.differing for n, p in zero.deviation.populations.items()} == {"a": 0, "out": 0}
    assert zero.deviation.top1 == 1.0
    assert zero.deviation.accuracy_stated is None

    coarse = approximated(net)  # without means: the proved maximum
    units = coarse.utilization()["approximated"][0]
    assert units["unit_min"] > 8
    assert units["units_from"] == "proved bounds"
    labels = np.arange(5) % 12
    found = verify_deployment(coarse, ["reference"], rare(net, 5), labels=labels)
    assert found.exact
    assert found.deviation is not None
    a = found.deviation.populations["a"]
    given = run_reference(net, rare(net, 5))
    told = run_reference(coarse.netlist, rare(net, 5))
    assert a.differing == int((given.spikes["a"] != told.spikes["a"]).sum()) > 0
    assert a.spikes_given == int(given.spikes["a"].sum())
    assert a.spikes_stated == int(told.spikes["a"].sum())
    assert a.relative_spikes == (a.spikes_stated - a.spikes_given) / a.spikes_given
    classes = [r.spikes["out"].sum(axis=1).argmax(axis=1) for r in (given, told)]
    assert found.deviation.top1 == (classes[0] == classes[1]).mean()
    assert found.deviation.accuracy_given == (classes[0] == labels).mean()
    assert found.deviation.accuracy_stated == (classes[1] == labels).mean()
    text = "\n\n".join(verification_parts(found))
    assert "deviation of the stated netlist, which was approximated, from the given one" in text
    assert "same class as the given netlist" in text
    assert found.to_dict()["deviation"]["populations"]["a"]["differing"] == a.differing


def test_a_wrong_core_is_a_mismatch_and_not_a_deviation() -> None:
    net = wide()
    deployment = approximated(net)
    thresholds = deployment.cores.threshold.copy()
    index = deployment.readout.populations.index("out")
    thresholds[deployment.readout.population == index] += 1
    object.__setattr__(deployment.cores, "threshold", thresholds)
    found = verify_deployment(deployment, ["reference"], raster(net, 3))
    assert not found.exact
    assert {n for n, count in found.mismatches["reference"].items() if count} == {"out"}


def test_without_the_need_nothing_is_restated() -> None:
    net = chain([[3, -2, 1]], threshold=4)
    network = Network(net)
    deployment = TrueNorthTarget().compile(network, None, OPTIONS)
    assert deployment.given is None
    assert deployment.restated is None
    assert deployment.network is network
    assert "approximated" not in deployment.utilization()
    assert deployment.to_dict()["restated"] is None
    found = verify_deployment(deployment, ["reference"], raster(net, 2))
    assert found.deviation is None
    assert found.to_dict()["deviation"] is None


def test_saved_with_what_was_given(tmp_path: Path) -> None:
    net = wide()
    network = Network(net, provenance={"commands": ["x"]})
    deployment = TrueNorthTarget().compile(network, SMALL, OPTIONS)
    shown = render_compiled(deployment, tmp_path / "net")
    assert "approximated: a in " in shown
    assert "(from proved bounds); deviation: measured by `neurodeploy verify`" in shown
    told = deployment.to_dict()["restated"]
    assert told["populations"][0]["population"] == "a"
    assert json.loads(json.dumps(told)) == told
    deployment.save(tmp_path / "net")
    assert load_network(tmp_path / "net" / GIVEN_FILE).integer == net
    loaded = load_deployment(tmp_path / "net")
    assert loaded.given is not None
    assert loaded.given.integer == net
    assert loaded.netlist == deployment.netlist
    assert loaded.network.provenance["commands"] == ["x"]
    assert loaded.restated == deployment.restated
    assert loaded.utilization() == deployment.utilization()
    stimulus = raster(net, 2)
    a, b = (verify_deployment(d, ["reference"], stimulus) for d in (deployment, loaded))
    assert a.exact
    assert a.to_dict() == b.to_dict()

    (tmp_path / "net" / GIVEN_FILE).unlink()
    with pytest.raises(FileFormatError, match=r"given\.ndn") as caught:
        load_deployment(tmp_path / "net")
    assert "\n" not in str(caught.value)
    header = json.loads((tmp_path / "net" / DEPLOYMENT_FILE).read_text())
    (tmp_path / "net" / DEPLOYMENT_FILE).write_text(json.dumps({**header, "given": "/etc/x"}))
    with pytest.raises(FileFormatError, match="damaged header; compile again"):
        load_deployment(tmp_path / "net")

    exact = TrueNorthTarget().compile(Network(net), SMALL, {"split": "exact"})
    exact.save(tmp_path / "exact")
    assert not (tmp_path / "exact" / GIVEN_FILE).exists()
    assert load_deployment(tmp_path / "exact").given is None


def test_refusals() -> None:
    net = wide()
    loop = replace(
        net,
        projections=(*net.projections, project("out", "a", identity((6,)), 2)),
    )
    with pytest.raises(CapacityError, match=r"a: fan-in beyond a core inside a cycle.*exact") as e:
        approximated(loop)
    assert "\n" not in str(e.value)
    weight = np.random.default_rng(0).integers(-4, 4, (3, 900))
    many = r"a: fan-in \d+ in partial sums .* axons for those of a neuron \d+ against 48; quantize"
    with pytest.raises(CapacityError, match=many) as e:
        approximated(chain(weight, threshold=9))
    assert "\n" not in str(e.value)
    early = netlist(
        [spike_input("in", 70), neurons("a", 70), neurons("b", 70), neurons("c", 6, threshold=9)],
        [
            project("in", "a", identity((70,))),
            project("a", "b", identity((70,))),
            project("b", "c", dense(np.ones((6, 70), dtype=np.int64))),
            project("a", "c", dense(np.ones((6, 70), dtype=np.int64)), 1),
        ],
    )
    with pytest.raises(CapacityError, match=r"a->c: .* delay 1 against 2; leave"):
        approximated(early)
    graded = chain(np.ones((2, 70), dtype=np.int64), payload_max=3)
    with pytest.raises(CapacityError, match="graded spikes"):
        approximated(graded)
    with pytest.raises(UsageError, match="split 'roughly'; expected one of none, exact, approx"):
        approximated(net, split="roughly")


def test_check_tells_what_would_be_stated() -> None:
    net = chain(np.ones((2, 300), dtype=np.int64), threshold=9)
    assert 'split="approximate"' in str(check(Network(net), "truenorth")[0])
    assert check(Network(net), "truenorth", **OPTIONS) == []
    told, found = stated(Network(net), "truenorth", **OPTIONS)
    assert not found
    assert "computes an approximation exactly: a in 2 chunks" in render_fits(
        "truenorth", Network(net), told
    )
