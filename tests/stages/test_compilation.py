"""Quantize, check and compile from user input: options, records, and folders written again."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.errors import (
    CapacityError,
    DataError,
    FileFormatError,
    NetlistError,
    QuantizationError,
    UnknownNameError,
    UsageError,
)
from neurodeploy.ir.decoding import decode
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.stages.compile import check
from tests.quantization.netlists import small_network


def converted(**entry) -> Network:
    netlist = small_network(timesteps=8, **entry)
    return Network(netlist, {"x": Encoding("rate", 16, 0.0, 1.0)}, provenance={"seed": 3})


def test_quantization_keeps_what_later_commands_need() -> None:
    source = converted()
    net = nd.quantize(source, 4, layer_bits={"conv": 6})
    assert isinstance(net.netlist, IntegerNetlist)
    assert net.real is source.netlist
    assert net.encodings == source.encodings
    assert net.provenance["seed"] == 3
    record = net.provenance["quantization"]
    assert record["weight_bits"] == 4
    assert record["layer_bits"] == {"conv": 6}
    assert {row["layer"]: row["weight_bits"] for row in record["report"]} == {
        "conv": 6,
        "block": 4,
        "output": 4,
    }


def test_quantization_refuses() -> None:
    with pytest.raises(UsageError, match=r"no option 'weight_bit'; options: .*state_bits"):
        nd.quantize(converted(), weight_bit=4)
    for bits in (4.0, "4", True):
        with pytest.raises(QuantizationError, match="expected a whole number"):
            nd.quantize(converted(), bits)
    with pytest.raises(QuantizationError, match="conv bits"):
        nd.quantize(converted(), layer_bits={"conv": 3.5})
    with pytest.raises(UnknownNameError, match="unknown layer 'cnov'"):
        nd.quantize(converted(), layer_bits={"cnov": 4})
    with pytest.raises(UsageError, match="is quantized already"):
        nd.quantize(nd.quantize(converted()))


def samples(split: str | None = "train", n: int = 24) -> Samples:
    x = np.random.default_rng(9).random((n, *small_network().by_name["x"].shape))
    return Samples(x, split=split, name="mine")


@pytest.mark.parametrize("without_torch", [False, True])
def test_rounding_against_data_is_recorded(
    monkeypatch: pytest.MonkeyPatch, without_torch: bool
) -> None:
    if without_torch:
        totals = importlib.import_module("neurodeploy.verification.totals")
        monkeypatch.setattr(totals, "has_engine", lambda netlist: False)
    told: list[tuple[int, int]] = []
    net = nd.quantize(
        converted(),
        3,
        data=samples(),
        calibration_samples=20,
        progress=lambda done, total: told.append((done, total)),
    )
    record = net.provenance["quantization"]
    assert record["calibration"] == {"data": "mine", "split": "train", "indices": [[0, 19]]}
    assert {row["layer"] for row in record["report"] if row["compensated"]} >= {"conv", "output"}
    assert told[-1] == (20, 20)
    assert nd.quantize(converted(), 3).provenance["quantization"]["calibration"] is None
    free = nd.quantize(converted(), 3)
    assert any(
        (a.connectivity.weight != b.connectivity.weight).any()
        for a, b in zip(free.netlist.projections, net.netlist.projections, strict=True)
    )


def test_rounding_against_data_is_the_same_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    with_torch = nd.quantize(converted(), 3, data=samples()).netlist
    totals = importlib.import_module("neurodeploy.verification.totals")
    monkeypatch.setattr(totals, "has_engine", lambda netlist: False)
    assert nd.quantize(converted(), 3, data=samples()).netlist == with_torch


def test_large_networks_are_rounded_against_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("neurodeploy.stages.quantize")
    neurons = sum(p.size for p in converted().netlist.populations)

    def last(data: Samples, **options: int) -> int:
        net = nd.quantize(converted(), 3, data=data, **options)
        ((first, last),) = net.provenance["quantization"]["calibration"]["indices"]
        assert first == 0
        return int(last)

    assert last(samples(n=24)) == 23
    monkeypatch.setattr(module, "EMITTED_BYTES", 4 * neurons * 20)
    assert last(samples(n=24)) == 19
    assert last(samples(n=24), calibration_samples=22) == 21
    monkeypatch.setattr(module, "EMITTED_BYTES", 1)
    assert last(samples(n=24)) == 15


def test_widths_are_fitted_to_what_data_makes_of_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitting, seen = importlib.import_module("neurodeploy.stages.fit"), []

    def fit(netlist, wanted, board, heard, target):
        seen.append({name: len(values) for name, values in heard.emissions.items()})
        return wanted

    monkeypatch.setattr(fitting, "fit_layer_bits", fit)
    nd.quantize(converted(), 3, fit="truenorth", data=samples(n=20))
    assert seen == [dict.fromkeys(("x", "pool", "conv", "block"), 20)]


def test_wrong_options_are_told_before_samples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("neurodeploy.stages.quantize")
    monkeypatch.setattr(module, "_emissions", lambda *_: pytest.fail("samples ran"))
    with pytest.raises(UnknownNameError, match="layer 'fc'"):
        nd.quantize(converted(), layer_bits={"fc": 3}, data=samples())


def test_rounding_against_other_data_is_refused() -> None:
    with pytest.raises(DataError, match="mine: calibration reads training images only"):
        nd.quantize(converted(), 3, data=samples("test"))
    with pytest.raises(UsageError, match="calibration samples 0: at least 1 is needed"):
        nd.quantize(converted(), 3, data=samples(), calibration_samples=0)
    native = Network(converted().netlist)
    with pytest.raises(UsageError, match="no encoded input that data could enter by; give events"):
        nd.quantize(native, 3, data=samples())
    with pytest.raises(DataError, match="digits: labels 0 to 9, the network has 5 outputs, 0 to 4"):
        nd.quantize(converted(), 3, data="digits")


def test_check_lists_what_compile_refuses() -> None:
    net = nd.quantize(converted())
    violations = check(net, "truenorth")
    assert violations
    with pytest.raises(CapacityError, match="target truenorth refuses") as caught:
        nd.compile(net, "truenorth")
    assert str(violations[0]) in str(caught.value)
    assert check(net, "brian2") == []


def test_names_and_options_are_checked() -> None:
    net = nd.quantize(converted())
    with pytest.raises(UnknownNameError, match=r"unknown target 'brain2'.*did you mean 'brian2'"):
        nd.compile(net, "brain2")
    with pytest.raises(UsageError, match="no option 'speed'; options: "):
        nd.compile(net, "brian2", speed=2)
    with pytest.raises(NetlistError, match="run 'neurodeploy quantize' first"):
        nd.compile(converted(), "brian2")


def test_a_deployment_is_saved_over_an_older_one_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for bits in (8, 4):
        net = nd.quantize(converted(), bits)
        nd.save(nd.compile(net, "brian2"), folder)
        loaded = nd.load(folder)
        assert loaded.netlist == net.netlist
        assert loaded.network.encodings == net.encodings
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_is_not_ours_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "deployment.json").write_text('{"app": "album"}')
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(FileFormatError, match="damaged header; compile again"):
        nd.load(tmp_path / "photos")
    with pytest.raises(FileFormatError, match=r"not a \.ndn file"):
        nd.load(tmp_path / "note.txt")
    with pytest.raises(FileFormatError, match=r"no such \.ndn file or deployment folder"):
        nd.load(tmp_path / "none")
    with pytest.raises(UsageError, match="folder with other content"):
        nd.save(nd.compile(nd.quantize(converted()), "brian2"), tmp_path / "photos")
    with pytest.raises(UsageError, match="is a folder; choose a file"):
        nd.save(converted(), tmp_path / "photos")
    assert (tmp_path / "photos" / "deployment.json").read_text() == '{"app": "album"}'


@pytest.mark.parametrize("bits", [3, 8])
def test_a_quantized_answer_is_in_the_units_of_the_real_one(bits: int) -> None:
    source = converted()
    net = nd.quantize(source, bits)
    stimulus = {"x": np.random.default_rng(0).integers(0, 2, (6, 8, 2, 8, 8))}
    answers = [
        decode(n, n.outputs[0], run_reference(n, stimulus)) for n in (source.netlist, net.netlist)
    ]
    spread = np.ptp(answers[0])
    assert np.abs(answers[1] - answers[0]).mean() < (0.05 if bits == 8 else 0.2) * spread
