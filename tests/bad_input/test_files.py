"""Files that are missing, truncated, of another version, or not what they should be."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

torch = pytest.importorskip("torch", reason="the networks of these tests are made with torch")

CONVERT = ("convert", "nets.py:tiny", "--data", "digits", "--method", "rate", "-o", "x.ndn")


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    "arguments",
    [
        ("quantize", "none.ndn", "-o", "x.ndn"),
        ("compile", "none.ndn", "--target", "brian2", "-o", "x"),
        ("compile", "none.ndn", "--target", "brian2", "--check"),
        ("evaluate", "none.ndn", "--data", "digits"),
        ("inspect", "none.ndn"),
        ("energy", "none.ndn", "--board", "loihi1", "--data", "digits"),
        ("run", "none", "--data", "digits"),
        ("verify", "none", "--against", "reference", "--data", "digits"),
        ("run", "brian", "--data", "none.npz"),
        ("run", "brian", "--data", "mnist:none"),
        (*CONVERT, "--weights", "none.pt"),
        (*CONVERT, "--data", "cifar10:none"),
        ("boards", "none.toml"),
    ],
)
def test_a_missing_file(refused, arguments: tuple[str, ...]) -> None:
    assert "none" in refused(*arguments)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
@pytest.mark.parametrize("command", ["quantize", "compile", "evaluate", "inspect"])
def test_a_truncated_netlist(refused, workshop: Path, command: str, share: float) -> None:
    truncate(workshop / "net8.ndn", share)
    rest = {
        "quantize": ("-o", "x.ndn"),
        "compile": ("--target", "brian2", "-o", "x"),
        "evaluate": ("--data", "digits"),
        "inspect": (),
    }[command]
    assert "net8.ndn: not a .ndn file, or truncated" in refused(command, "net8.ndn", *rest)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_weights(refused, workshop: Path, share: float) -> None:
    truncate(workshop / "tiny.pt", share)
    assert "tiny.pt" in refused(*CONVERT, "--weights", "tiny.pt")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_data(refused, workshop: Path, share: float) -> None:
    np.savez(workshop / "data.npz", x=np.zeros((4, 1, 8, 8), np.float32), y=np.arange(4))
    truncate(workshop / "data.npz", share)
    assert "data.npz" in refused("run", "brian", "--data", "data.npz")
    assert "data.npz" in refused(*CONVERT, "--data", "data.npz")


@pytest.mark.parametrize("folder", ["brian", "cores"])
def test_a_deployment_with_a_missing_or_truncated_file(
    refused, workshop: Path, folder: str
) -> None:
    names = sorted(path.name for path in (workshop / folder).iterdir())
    assert len(names) >= 4
    shutil.copytree(folder, "whole")
    for name in names:
        for share in (None, 0.0, 0.4, 0.95):
            shutil.rmtree(folder)
            shutil.copytree("whole", folder)
            path = workshop / folder / name
            if share is None:
                path.unlink()
            else:
                truncate(path, share)
            line = refused("run", folder, "--data", "digits", "--samples", "1")
            assert folder in line, (name, share, line)


def change_header(path: Path, key: str, value: object) -> None:
    """Rewrite one entry of a netlist's header, and leave out its digest."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    header = json.loads(metadata["neurodeploy"])
    header[key] = value
    del header["sha256"]
    arrays = load_file(path)
    save_file(arrays, path, metadata={"neurodeploy": json.dumps(header)})


@pytest.mark.parametrize("version", [0, 2, 999, None, "1"])
def test_another_schema_version(refused, workshop: Path, version: object) -> None:
    change_header(workshop / "net.ndn", "schema", version)
    line = refused("quantize", "net.ndn", "-o", "x.ndn")
    assert f"schema version {version!r}, this neurodeploy reads 1" in line


def test_a_deployment_of_another_schema_version(refused, workshop: Path) -> None:
    path = workshop / "brian" / "deployment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 7}))
    assert "schema version 7" in refused("run", "brian", "--data", "digits")


def test_a_deployment_of_the_first_schema_version(refused, workshop: Path) -> None:
    path = workshop / "brian" / "deployment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 1}))
    line = refused("run", "brian", "--data", "digits")
    assert line.endswith("this neurodeploy reads 3; compile again with 'neurodeploy compile'")


@pytest.mark.parametrize(
    "change",
    [{"target": "nonesuch"}, {"board": {"name": 1}}, {"options": {"codegen": "c"}}, {"options": 3}],
)
def test_a_deployment_with_a_damaged_header(
    refused, workshop: Path, change: dict[str, object]
) -> None:
    path = workshop / "brian" / "deployment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refused("run", "brian", "--data", "digits", "--samples", "1")


@pytest.mark.parametrize(
    "change", [("structure", {}), ("structure", None), ("provenance", []), ("structure", "x")]
)
def test_a_damaged_netlist(refused, workshop: Path, change: tuple[str, object]) -> None:
    change_header(workshop / "net8.ndn", *change)
    assert "damaged" in refused("inspect", "net8.ndn")


def test_a_safetensors_file_of_someone_else(refused, workshop: Path) -> None:
    save_file({"w": np.zeros(3)}, workshop / "net8.ndn")
    assert "not a .ndn file" in refused("inspect", "net8.ndn")


class Code:
    """Runs when it is unpickled by something that executes pickles."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["torch", "pickle", "legacy"])
def test_a_pickle_with_code_is_not_executed(
    refused, workshop: Path, tmp_path: Path, form: str
) -> None:
    marker = tmp_path / "executed"
    path = workshop / "tiny.pt"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Code(marker)))
    else:
        zipped = form == "torch"
        torch.save({"0.weight": Code(marker)}, path, _use_new_zipfile_serialization=zipped)
    line = refused(*CONVERT, "--weights", "tiny.pt")
    assert "tiny.pt" in line
    assert not marker.exists()
    # The same file does execute it where pickles are executed: the test could fail.
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert marker.exists()


def test_a_pickle_in_place_of_data(refused, workshop: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    x = np.empty(1, dtype=object)
    x[0] = Code(marker)
    np.savez(workshop / "data.npz", x=x, y=np.zeros(1, int))
    marker.exists() and marker.rmdir()
    assert "data.npz" in refused("run", "brian", "--data", "data.npz")
    assert not marker.exists()


def test_a_folder_in_place_of_a_file_and_the_reverse(refused) -> None:
    assert "name the .ndn file" in refused("quantize", "brian", "-o", "x.ndn")
    assert "name the .ndn file" in refused("evaluate", "brian", "--data", "digits")
    assert "net8.ndn: is a file" in refused("run", "net8.ndn", "--data", "digits")
    assert "no deployment.json; run" in refused("run", ".", "--data", "digits")


@pytest.mark.parametrize("name", ["x.txt", "x", "x.npz", "x.NDN"])
def test_an_output_of_another_suffix(refused, name: str) -> None:
    for arguments in (CONVERT[:-2], ("quantize", "net.ndn")):
        assert f"{name}: choose a name that ends in .ndn" in refused(*arguments, "-o", name)


@pytest.mark.parametrize("name", ["net.ndn", "./net.ndn", "linked.ndn"])
def test_an_output_in_place_of_what_is_read(refused, workshop: Path, name: str) -> None:
    (workshop / "linked.ndn").symlink_to("net.ndn")
    before = (workshop / "net.ndn").read_bytes()
    assert "that is the file which is read" in refused("quantize", "net.ndn", "-o", name)
    assert (workshop / "net.ndn").read_bytes() == before


def test_the_spikes_go_to_an_npz_file(refused) -> None:
    line = refused("run", "brian", "--data", "digits", "--samples", "1", "-o", "x.ndn")
    assert "x.ndn: choose a name that ends in .npz" in line


@pytest.mark.parametrize("place", ["nowhere/x.ndn", "net.ndn/x.ndn", "/sys/x.ndn", "brian"])
def test_an_output_that_cannot_be_written(refused, place: str) -> None:
    for arguments in (CONVERT[:-2], ("quantize", "net.ndn")):
        assert Path(place).name in refused(*arguments, "-o", place)
    place = str(Path(place).with_suffix(".npz")) if "x.ndn" in place else place
    assert "choose" in refused("run", "brian", "--data", "digits", "--samples", "1", "-o", place)


@pytest.mark.parametrize("place", ["nowhere/x", "net.ndn/x", "/sys/x", "net.ndn"])
def test_a_deployment_that_cannot_be_written(refused, place: str) -> None:
    line = refused("compile", "net8.ndn", "--target", "brian2", "-o", place)
    assert "choose" in line


def test_a_folder_with_other_content_is_left_alone(refused, workshop: Path) -> None:
    (workshop / "thesis").mkdir()
    (workshop / "thesis" / "chapter.tex").write_text("years of work")
    line = refused("compile", "net8.ndn", "--target", "brian2", "-o", "thesis")
    assert "thesis: is a folder with other content" in line
