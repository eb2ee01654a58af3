"""Networks, weights and data that do not fit each other, the method, the target or the board."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks of these tests are made with torch")

CONVERT = ("convert", "nets.py:tiny", "--data", "digits", "--method", "rate", "-o", "x.ndn")
RUN = ("run", "brian", "--samples", "1")


def save_npz(workshop: Path, shape: tuple[int, ...] = (6, 1, 8, 8), **changes: object) -> str:
    generator = np.random.default_rng(0)
    arrays: dict[str, object] = {"x": generator.random(shape, dtype=np.float32)}
    arrays |= {"y": np.arange(shape[0]) % 10, **changes}
    np.savez(workshop / "data.npz", **{k: v for k, v in arrays.items() if v is not None})
    return "data.npz"


def test_weights_of_wrong_shapes(refused) -> None:
    line = refused(
        "convert", "nets.py:wide", "--data", "digits", "--weights", "tiny.pt", "-o", "x.ndn"
    )
    assert "tiny.pt" in line
    assert "shape" in line
    assert "name the factory" in line


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(refused, workshop: Path, value: float) -> None:
    state = torch.load(workshop / "tiny.pt", weights_only=True)
    state["0.weight"][0, 0, 0, 0] = value
    torch.save(state, workshop / "tiny.pt")
    line = refused(*CONVERT, "--weights", "tiny.pt")
    assert "'0.weight' holds 1 NaN or infinite values" in line
    assert line.endswith("take another checkpoint, or train again")


@pytest.mark.parametrize("content", [{}, [1, 2], "text", {"0.weight": "text"}])
def test_weights_that_are_no_state_dict(refused, workshop: Path, content: object) -> None:
    torch.save(content, workshop / "tiny.pt")
    assert "no state dict" in refused(*CONVERT, "--weights", "tiny.pt")


def test_weights_of_another_network(refused, workshop: Path) -> None:
    torch.save({"other.weight": torch.zeros(3)}, workshop / "tiny.pt")
    assert "missing '0.weight'" in (line := refused(*CONVERT, "--weights", "tiny.pt"))
    assert "unexpected 'other.weight'; name the factory" in line


def test_an_unsupported_layer_is_named(refused) -> None:
    line = refused(
        "convert", "nets.py:unsupported", "--data", "digits", "--method", "rate", "-o", "x.ndn"
    )
    assert "(aten.layer_norm" in line
    assert "use batch norm" in line
    assert "supported: docs/operators.md" in line
    assert len(line) < 450
    assert "nets.py" in line


def test_images_of_another_shape(refused, workshop: Path) -> None:
    line = refused(
        "convert", "nets.py:colour", "--data", "digits", "--method", "rate", "-o", "x.ndn"
    )
    assert "input of shape (1, 8, 8)" in line
    assert line.endswith("save x.repeat(3, axis=1): it runs with three channels")
    data = save_npz(workshop, (6, 1, 9, 9))
    refused(*CONVERT, "--data", data)
    assert "(1, 9, 9); the network takes (1, 8, 8)" in refused(*RUN, "--data", data)


def test_calibration_data_with_more_classes_than_outputs(refused) -> None:
    line = refused(
        "convert", "nets.py:few_classes", "--data", "digits", "--method", "rate", "-o", "x.ndn"
    )
    assert "labels 0 to 9, the network has 5 outputs, 0 to 4; use the data that it was" in line


def test_labels_that_the_network_does_not_have_are_refused_by_every_command(
    refused, workshop: Path
) -> None:
    x = np.random.default_rng(0).random((6, 1, 8, 8), dtype=np.float32)
    for y, words in (
        (np.array([1, 2, 3, 4, 5, 10]), "labels 1 to 10, the network has 10 outputs, 0 to 9; they"),
        (np.array([0, 1, 2, 3, 4, 99]), "labels 0 to 99, the network has 10 outputs"),
        (np.array([0, 1, 2, 3, 4, 2**64 - 1], np.uint64), "label 18446744073709551615, no network"),
        (np.linspace(0, 1, 6), "targets of shape (), the network's output is (10,)"),
    ):
        data = save_npz(workshop, x=x, y=y)
        for command in (
            CONVERT,
            ("run", "brian"),
            ("evaluate", "net8.ndn"),
            ("diagnose", "net8.ndn"),
            ("verify", "brian", "--against", "reference"),
            ("quantize", "net.ndn", "-o", "x.ndn"),
        ):
            assert words in refused(*command, "--data", data), command


@pytest.mark.parametrize("scale", [255.0, -1.0])
def test_data_of_the_wrong_range(refused, workshop: Path, scale: float) -> None:
    x = np.random.default_rng(0).random((6, 1, 8, 8), dtype=np.float32) * scale
    data = save_npz(workshop, x=x)
    assert "range" in refused(*CONVERT, "--data", data)
    assert "range" in refused(*RUN, "--data", data)


def test_data_of_a_range_that_the_network_was_not_converted_for(refused, workshop: Path) -> None:
    x = np.random.default_rng(0).random((6, 1, 8, 8), dtype=np.float32) * 255
    line = refused(*RUN, "--data", save_npz(workshop, x=x) + "#range=0,255")
    assert "leave the range [0, 1] that the network was converted for" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"x": None},
        {"x": np.zeros((0, 1, 8, 8), np.float32), "y": np.zeros(0, int)},
        {"x": np.full((6, 1, 8, 8), np.nan, np.float32)},
        {"x": np.array(["a", "b"])},
        {"y": np.arange(5)},
        {"y": -np.ones(6, int)},
        {"y": np.full(6, 0.5)},
    ],
)
def test_data_that_cannot_be_used(refused, workshop: Path, changes: dict[str, object]) -> None:
    data = save_npz(workshop, **changes)
    assert "data.npz" in refused(*CONVERT, "--data", data)
    assert "data.npz" in refused(*RUN, "--data", data)


def test_negative_data_cannot_be_spikes(refused, workshop: Path) -> None:
    x = np.linspace(-1, 1, 6 * 64, dtype=np.float32).reshape(6, 1, 8, 8)
    data = save_npz(workshop, x=x) + "#range=-1,1"
    assert "takes values >= 0" in refused(*CONVERT, "--data", data, "--input", "spikes")


def test_another_normalization_than_converted(refused) -> None:
    line = refused(*RUN, "--data", "digits#norm=0.5/0.5")
    assert "normalization 0.5/0.5; the network was converted without: leave #norm out" in line
    assert "imagenet" in refused(*RUN, "--data", "digits#norm=mobilenet")
    assert "3 channels" in refused(*CONVERT, "--data", "digits#norm=imagenet")
    assert "above 0" in refused(*CONVERT, "--data", "digits#norm=0.5/0")


def test_quantizing_twice(refused) -> None:
    assert "is quantized already" in refused("quantize", "net8.ndn", "-o", "x.ndn")


@pytest.mark.parametrize("target", ["lava", "brian2", "truenorth"])
def test_compiling_a_real_valued_netlist(refused, target: str) -> None:
    line = refused("compile", "net.ndn", "--target", target, "-o", "x")
    assert "run 'neurodeploy quantize' first" in line
    check = refused("compile", "net.ndn", "--target", target, "--check")
    assert "run 'neurodeploy quantize' first" in check


def test_current_input_and_membrane_decoding_on_crossbars(
    refused, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused("compile", "net8.ndn", "--target", "truenorth", "-o", "x")
    assert "target truenorth refuses input: a current input" in line
    line = refused("compile", "net8.ndn", "--target", "truenorth", "--check", out=True)
    assert "violations, listed above" in line
    refused("verify", "brian", "--against", "truenorth", "--data", "digits", "--samples", "1")


def test_check_lists_every_violation(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from neurodeploy.cli import run

    assert run(["compile", "net8.ndn", "--target", "truenorth", "--check", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert not found["fits"]
    told = " ".join(v["resource"] for v in found["violations"])
    assert "a current input" in told
    assert "membrane decoding" in told
    assert run(["compile", "spiking3.ndn", "--target", "truenorth", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["violations"] == []


def test_a_layer_that_exceeds_the_crossbar(refused) -> None:
    line = refused("compile", "large3.ndn", "--target", "truenorth", "-o", "x")
    assert "refuses output" in line
    assert "fan-in" in line
    assert "against 256" in line


def test_a_network_too_large_for_the_board(refused, workshop: Path) -> None:
    from neurodeploy import boards

    text = (Path(boards.__file__).parent / "truenorth.toml").read_text()
    small = text.replace("tiles_x = 64", "tiles_x = 1").replace("tiles_y = 64", "tiles_y = 1")
    assert small != text
    (workshop / "small.toml").write_text(small)
    line = refused(
        "compile", "spiking3.ndn", "--target", "truenorth", "--board", "small.toml", "-o", "x"
    )
    assert "1" in line
    assert "cores" in line
    data = ("--data", "digits", "--samples", "1")
    assert "cores" in refused("energy", "spiking3.ndn", "--board", "small.toml", *data)


@pytest.mark.parametrize(
    ("target", "board", "kind"),
    [
        ("lava", "truenorth", "crossbar"),
        ("brian2", "truenorth", "crossbar"),
        ("truenorth", "loihi1", "neurocore"),
    ],
)
def test_a_board_of_the_wrong_kind(refused, target: str, board: str, kind: str) -> None:
    arguments = ("compile", "spiking3.ndn", "--target", target, "--board", board)
    said = f"target {target}: board {board} has {kind} cores, expected "
    assert said in refused(*arguments, "-o", "x")
    assert said in refused(*arguments, "--check")


@pytest.mark.parametrize("target", ["lava", "brian2"])
def test_a_network_too_large_for_a_board_of_neurocores(
    refused, workshop: Path, target: str
) -> None:
    from neurodeploy import boards
    from neurodeploy.cli import run

    text = (Path(boards.__file__).parent / "loihi1.toml").read_text()
    small = re.sub(r"(tiles_x|tiles_y|cores_per_tile) = \d+", r"\1 = 1", text)
    (workshop / "small.toml").write_text(small)
    arguments = ("compile", "net8.ndn", "--target", target, "--board", "small.toml")
    line = refused(*arguments, "-o", "x")
    assert f"target {target} refuses board loihi1: tiny: 2 cores exceed 1 of board loihi1" in line
    assert "1 violation, listed above" in refused(*arguments, "--check", out=True)
    assert run(["compile", "net8.ndn", "--target", target, "--board", "loihi1", "--check"]) == 0


def test_energy_of_a_real_valued_netlist(refused) -> None:
    data = ("--data", "digits", "--samples", "1")
    assert "real-valued" in refused("energy", "net.ndn", "--board", "loihi1", *data)
