"""``.ndn`` files: identity, determinism, and every kind of damage."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import save

from neurodeploy.errors import FileFormatError, NetlistError, UsageError
from neurodeploy.ir.artifact import (
    Artifact,
    artifact_from_bytes,
    artifact_to_bytes,
    load_artifact,
    save_artifact,
)
from neurodeploy.ir.codec import Codec
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import RealNetlist
from tests.conformance.cases import case
from tests.ir.strategies import artifacts, netlists


@given(artifacts())
@settings(max_examples=80, deadline=None)
def test_what_is_read_is_what_was_written(artifact: Artifact) -> None:
    content = artifact_to_bytes(artifact)
    back = artifact_from_bytes(content, "f.ndn")
    assert back.netlist == artifact.netlist
    assert dict(back.encodings) == dict(artifact.encodings)
    assert back.real == artifact.real
    assert back.provenance == artifact.provenance
    assert artifact_to_bytes(back) == content


def test_save_and_load(tmp_path: Path) -> None:
    artifact = Artifact(case("conv2d_groups").netlist, provenance={"seed": 3})
    save_artifact(artifact, tmp_path / "a.ndn")
    save_artifact(artifact, tmp_path / "b.ndn")
    assert (tmp_path / "a.ndn").read_bytes() == (tmp_path / "b.ndn").read_bytes()
    assert load_artifact(str(tmp_path / "a.ndn")).netlist == artifact.netlist
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ndn", "b.ndn"]
    with pytest.raises(UsageError, match="cannot write here"):
        save_artifact(artifact, tmp_path / "none" / "a.ndn")


def content() -> bytes:
    return artifact_to_bytes(Artifact(case("dense_spikes").netlist))


def refused(damaged: bytes) -> str:
    with pytest.raises(FileFormatError) as caught:
        artifact_from_bytes(damaged, "net.ndn")
    message = str(caught.value)
    assert message.startswith("net.ndn: ")
    assert "\n" not in message
    return message


def test_truncated_at_every_length() -> None:
    whole = content()
    for length in [*range(0, 64), *range(64, len(whole), 97), len(whole) - 1]:
        assert "not a .ndn file, or truncated" in refused(whole[:length])


def test_trailing_bytes() -> None:
    assert "not a .ndn file" in refused(content() + b"\0")


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        pickle.dumps({"weights": [1, 2, 3]}),
        b"PK\x03\x04" + bytes(60),
        b"\xff" * 200,
        save({"a": np.zeros(3)}),
        save({"a": np.zeros(3)}, metadata={"neurodeploy": "no json"}),
        save({"a": np.zeros(3)}, metadata={"neurodeploy": "[1]"}),
        save({"a": np.zeros(3)}, metadata={"format": "pt"}),
    ],
)
def test_foreign_files(foreign: bytes) -> None:
    assert "not a .ndn file" in refused(foreign)


def test_every_flipped_header_byte_is_refused_or_means_the_same_kind_of_file() -> None:
    # No byte of the header may lead to anything but a clear error or another valid netlist.
    whole = content()
    size = 8 + int.from_bytes(whole[:8], "little")
    for position in range(0, size, 11):
        damaged = bytearray(whole)
        damaged[position] ^= 0x15
        with contextlib.suppress(FileFormatError):
            assert isinstance(artifact_from_bytes(bytes(damaged), "net.ndn"), Artifact)


def edited(change: object) -> bytes:
    """The file with its header passed through ``change``."""
    from safetensors.numpy import load

    whole = content()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"]["neurodeploy"])
    change(header)  # type: ignore[operator]
    return save(load(whole), metadata={"neurodeploy": json.dumps(header)})


def _netlist(header: dict) -> dict:  # type: ignore[type-arg]
    return header["structure"]["netlist"]["fields"]


HEADERS = {
    "other schema": (lambda h: h.update(schema=2), "schema version 2, this neurodeploy reads 1"),
    "no schema": (lambda h: h.pop("schema"), "schema version None"),
    "no structure": (lambda h: h.pop("structure"), "damaged header"),
    "structure with more": (lambda h: h["structure"].update(code="x"), "damaged header"),
    "provenance": (lambda h: h.update(provenance=[1]), "damaged provenance"),
    "no netlist": (lambda h: h["structure"].update(netlist=None), "no netlist"),
    "population as netlist": (
        lambda h: h["structure"].update(netlist=_netlist(h)["populations"][0]),
        "no netlist",
    ),
    "real": (lambda h: h["structure"].update(real=[1]), "'real' is not a real-valued netlist"),
    "encodings": (lambda h: h["structure"].update(encodings=[1]), "encodings"),
    "unknown class": (
        lambda h: h["structure"]["netlist"].update({"class": "os.system"}),
        "unknown class 'os.system'",
    ),
    "missing field": (lambda h: _netlist(h).pop("dt"), "missing or unknown fields ['dt']"),
    "unknown field": (lambda h: _netlist(h).update(x=1), "missing or unknown fields ['x']"),
    "unknown keys": (lambda h: _netlist(h).update(dt={"eval": "1"}), "keys ['eval']"),
    "bare float": (lambda h: _netlist(h).update(dt=0.5), "float in the header"),
    "bad float": (lambda h: _netlist(h).update(dt={"float": "much"}), "invalid content"),
    "missing array": (
        lambda h: _netlist(h)["projections"][0]["fields"]["exponent"].update(array="gone"),
        "array 'gone' is missing",
    ),
    "inconsistent": (
        lambda h: _netlist(h)["projections"][0]["fields"].update(pre="y"),
        "no population 'y'",
    ),
    "T = 0": (lambda h: _netlist(h).update(timesteps=0), "timesteps 0"),
}


@pytest.mark.parametrize("damage", HEADERS)
def test_damaged_headers(damage: str) -> None:
    change, message = HEADERS[damage]
    assert message in refused(edited(change))


@pytest.mark.parametrize("value", ["12", None, [3], {"dict": {}}, {"float": "0x1p0"}])
def test_wrong_types_in_fields(value: object) -> None:
    refused(edited(lambda h: _netlist(h).update(timesteps=value)))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_artifact(tmp_path / "none.ndn")
    with pytest.raises(FileFormatError, match="cannot read"):
        load_artifact(tmp_path)


@given(netlists(real=True))
@settings(max_examples=1, deadline=None)
def test_integer_needs_an_integer_netlist(real: RealNetlist) -> None:
    with pytest.raises(NetlistError, match="run 'neurodeploy quantize' first"):
        _ = Artifact(real).integer
    netlist = case("dense_spikes").netlist
    assert Artifact(netlist).integer is netlist


def test_encodings_belong_to_inputs() -> None:
    with pytest.raises(NetlistError, match="encodings for"):
        Artifact(case("dense_spikes").netlist, {"y": Encoding("rate", 255, 0.0, 1.0)})


def test_codec_writes_only_its_classes_and_keeps_floats_exact() -> None:
    codec = Codec([Window])
    with pytest.raises(TypeError, match="set is not a class"):
        codec.encode({1})
    with pytest.raises(TypeError, match="Encoding is not a class"):
        codec.encode(Encoding("rate", 255, 0.0, 1.0))
    for value in (0.1, -0.0, 1e-310, math.pi, math.inf):
        structure, arrays = codec.encode((value,))
        (back,) = codec.decode(json.loads(json.dumps(structure)), arrays)
        assert math.copysign(1, back) == math.copysign(1, value)
        assert back == value
