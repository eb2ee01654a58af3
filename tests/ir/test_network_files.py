"""``.ndn`` files: identity, determinism, and every kind of damage."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import save

from neurodeploy.errors import FileFormatError, NetlistError, UsageError
from neurodeploy.ir.codec import Codec
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron
from neurodeploy.ir.storage import netlist_codec
from neurodeploy.network import (
    Network,
    load_network,
    network_from_bytes,
    network_to_bytes,
    save_network,
)
from tests.conformance.cases import case
from tests.ir.strategies import netlists, networks


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    network = Network(case("conv2d_groups").netlist, provenance={"silent_channels": None})
    with pytest.raises(NetlistError, match="provenance 'silent_channels' is not of the shape"):
        save_network(network, tmp_path / "f.ndn")
    assert not list(tmp_path.iterdir())


@given(networks())
@settings(max_examples=80)
def test_what_is_read_is_what_was_written(network: Network) -> None:
    content = network_to_bytes(network)
    back = network_from_bytes(content, "f.ndn")
    assert back.netlist == network.netlist
    assert dict(back.encodings) == dict(network.encodings)
    assert back.real == network.real
    assert back.provenance == network.provenance
    assert network_to_bytes(back) == content


def test_save_and_load(tmp_path: Path) -> None:
    network = Network(case("conv2d_groups").netlist, provenance={"seed": 3})
    save_network(network, tmp_path / "a.ndn")
    save_network(network, tmp_path / "b.ndn")
    assert (tmp_path / "a.ndn").read_bytes() == (tmp_path / "b.ndn").read_bytes()
    assert load_network(str(tmp_path / "a.ndn")).netlist == network.netlist
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ndn", "b.ndn"]
    with pytest.raises(UsageError, match="cannot write here"):
        save_network(network, tmp_path / "none" / "a.ndn")


def apart(spacing: tuple[int, ...]) -> RealNetlist:
    """One convolution over cells that stand apart, along one axis."""
    window = Window((4,), (2,), (1,), ((0, 0),), (1,), spacing)
    link = Conv(np.ones((1, 1, 2)), 1, window)
    populations = (
        Population("x", link.pre_shape, Input("spikes", 0, 1)),
        Population("y", link.post_shape, RealNeuron(np.ones(()), np.zeros(()), np.zeros(()))),
    )
    return RealNetlist("net", populations, (RealProjection("x", "y", link),), (), 2)


def test_a_spacing_is_written_only_where_there_is_one() -> None:
    plain, three = (network_to_bytes(Network(apart(s))) for s in ((1,), (3,)))
    assert b"spacing" not in plain
    assert b'\\"spacing\\":[3]' in three or b'"spacing":[3]' in three
    for written, spacing in ((plain, (1,)), (three, (3,))):
        assert network_from_bytes(written, "f").netlist == apart(spacing)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([0], "dilation and spacing must be at least 1"),
        ([3, 3], r"spacing \(3, 3\) needs 1 entries"),
        ([True], r"spacing.*True; expected a whole number"),
        (3, "spacing 3; expected a list"),
        ([5], r"connectivity gives \(1, 15\)"),
    ],
)
def test_a_spacing_that_is_none_is_refused(value: Any, told: str) -> None:
    codec = netlist_codec()
    json_, arrays = codec.encode(apart((3,)))
    fields = json_["fields"]["projections"][0]["fields"]["connectivity"]["fields"]["window"]
    fields["fields"]["spacing"] = value
    with pytest.raises(FileFormatError, match=told):
        codec.decode(json_, arrays)


def floats(values: list[float]) -> RealNetlist:
    """A netlist with these numbers as weights and biases."""
    neuron = RealNeuron(np.ones(()), np.resize(values, 64), np.zeros(()))
    populations = (
        Population("x", (256,), Input("spikes", 0, 1)),
        Population("y", (64,), neuron, np.ones(())),
    )
    weights = Dense(np.resize(values, (64, 256)), (256,))
    return RealNetlist("net", populations, (RealProjection("x", "y", weights),), (), 2)


def test_numbers_that_single_precision_holds_take_four_bytes() -> None:
    single = network_to_bytes(Network(floats([0.5, -1.25, 2.0**-100])))
    double = network_to_bytes(Network(floats([0.1])))
    assert len(double) - len(single) > 4 * 64 * 256 - 100
    for written in (single, double):
        assert network_to_bytes(network_from_bytes(written, "f")) == written
    assert network_from_bytes(double, "f").netlist == floats([0.1])
    huge = network_to_bytes(Network(floats([1e300])))
    assert network_from_bytes(huge, "f").netlist == floats([1e300])


def test_what_two_parts_have_is_written_once() -> None:
    netlist = floats([0.1])
    alone, twice = (network_to_bytes(Network(netlist, real=r)) for r in (None, netlist))
    assert len(twice) - len(alone) < 64 * 256
    back = network_from_bytes(twice, "f")
    assert back.netlist == back.real == netlist
    for change in ({"real.x": "nowhere"}, ["a"], {"real.x": 3}):
        assert "damaged header" in refused(edited(lambda h, c=change: h.update(shared=c)))


def content() -> bytes:
    return network_to_bytes(Network(case("dense_spikes").netlist))


def refused(damaged: bytes) -> str:
    with pytest.raises(FileFormatError) as caught:
        network_from_bytes(damaged, "net.ndn")
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


@pytest.mark.parametrize("flip", [0x01, 0x15, 0x80])
def test_every_flipped_byte_is_told_by_the_name_of_the_file(flip: int) -> None:
    whole = content()
    told = set()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= flip
        told.add(refused(bytes(damaged)).split(";")[0])
    assert "net.ndn: was changed after it was written" in told


def test_files_of_before_the_digest_are_read() -> None:
    network = Network(case("dense_spikes").netlist)
    assert network_from_bytes(edited(lambda h: None), "f").netlist == network.netlist


def test_what_was_changed_on_purpose_is_read_unchecked(tmp_path: Path) -> None:
    import neurodeploy as nd

    changed = bytearray(content())
    changed[-1] ^= 1
    (tmp_path / "net.ndn").write_bytes(changed)
    with pytest.raises(FileFormatError, match=r"net.ndn: was changed .* check=False"):
        nd.load(tmp_path / "net.ndn")
    kept = nd.load(tmp_path / "net.ndn", check=False)
    assert isinstance(kept, Network)
    assert kept.netlist != Network(case("dense_spikes").netlist).netlist
    nd.save(kept, tmp_path / "net.ndn")
    assert nd.load(tmp_path / "net.ndn").netlist == kept.netlist


def test_an_unknown_key_beside_the_structure() -> None:
    assert "damaged header" in refused(edited(lambda h: h.update(sha255="0" * 64)))


def edited(change: object) -> bytes:
    """The file with its header passed through ``change``, and no digest, as older ones."""
    from safetensors.numpy import load

    whole = content()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"]["neurodeploy"])
    del header["sha256"]
    change(header)  # type: ignore[operator]
    return save(load(whole), metadata={"neurodeploy": json.dumps(header)})


def _netlist(header: dict) -> dict:  # type: ignore[type-arg]
    return header["structure"]["netlist"]["fields"]


def _encoding(**changes: object) -> dict:  # type: ignore[type-arg]
    """The encodings of the header of ``content``."""
    entry = case("dense_spikes").netlist.inputs[0].name
    json, _ = Codec([Encoding]).encode({entry: Encoding("rate", 255, 0.0, 1.0)})
    json["dict"][entry]["fields"].update(changes)
    return json


def _nested(depth: int) -> list:  # type: ignore[type-arg]
    value: list = []  # type: ignore[type-arg]
    for _ in range(depth):
        value = [value]
    return value


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


def _field(where: str, **fields: object):
    """A change of fields: of the netlist, or of its first ``where``."""

    def change(header: dict) -> None:  # type: ignore[type-arg]
        part = _netlist(header)
        if where:
            part = part[where][0]["fields"]
        for name in list(fields):
            if name.startswith("model_"):
                part = next(
                    p["fields"]["model"]["fields"]
                    for p in _netlist(header)["populations"]
                    if name[6:] in p["fields"]["model"]["fields"]
                )
                fields[name[6:]] = fields.pop(name)
        part.update(fields)

    return change


WHOLE = {"float": "0x1.0p+1"}
HEADERS |= {
    "T as a float": (_field("", timesteps=WHOLE), "timesteps 2.0; expected a whole number"),
    "T as a truth": (_field("", timesteps=True), "timesteps True; expected a whole number"),
    "payload as a float": (_field("", model_payload_max=WHOLE), "payload_max 2.0"),
    "decay as a float": (_field("", model_current_decay=WHOLE), "current_decay 2.0"),
    "low as a float": (
        _field("", model_low={"float": "-0x1p0"}),
        "low -1.0; expected a whole number",
    ),
    "width as a float": (_field("projections", weight_bits={"float": "0x1p3"}), "weight_bits 8.0"),
    "delay as a float": (_field("projections", delay=WHOLE), "delay 2.0"),
    "huge shape": (_field("populations", shape=[10**9, 10**9]), "neurons; at most"),
    "shape as floats": (_field("populations", shape=[WHOLE]), "shape 2.0; expected a whole"),
    "name of two lines": (_field("", name="a\nb"), "expected one line of text"),
    "name of a terminal": (_field("populations", name="a\x1b[2J"), "a name has no blanks"),
    "source of another type": (_field("populations", source=3), "source 3; expected"),
    "float too large": (_field("", dt={"float": "0x1p99999"}), "invalid content"),
    "infinite dt": (_field("", dt={"float": "inf"}), "dt inf s"),
    "offset that is no number": (_field("outputs", offset={"float": "nan"}), "offset nan"),
    "an output twice": (
        lambda h: _netlist(h).update(outputs=_netlist(h)["outputs"] * 2),
        "is listed twice",
    ),
    "nested too deeply": (_field("", name=_nested(600)), "nested too deeply"),
    "no levels": (lambda h: h["structure"].update(encodings=_encoding(levels=0)), "levels 0"),
    "no encoder": (
        lambda h: h["structure"].update(encodings=_encoding(encoder="magic")),
        "encoder 'magic'; expected 'current' or 'rate'",
    ),
    "encoding of nothing": (
        lambda h: h["structure"].update(encodings=_encoding(high={"float": "0x0p+0"})),
        "input range [0, 0] carries nothing",
    ),
    "encoding of another kind": (
        lambda h: h["structure"].update(encodings=_encoding(encoder="current")),
        "takes spikes, its encoding gives current",
    ),
    "provenance that is no number": (lambda h: h.update(provenance={"a": math.nan}), "not a .ndn"),
}
_ROW = {"layer": "a", "weight_bits": 8, "lost_bits": 0, "levels": 3, "fraction_bits": 1}
_ROW = {**_ROW, "state_bound": 9, "threshold": [1, 2], "weight_snr_db": 30.5}
_TRIED = {"method": "rate", "timesteps": 8, "text": "well"}
_CHOSEN = {**_TRIED, "quantization": {"weight_bits": 4}, "options": {"split": "exact"}}
PROVENANCE: dict[str, Any] = {
    "commands": [["neurodeploy", "convert"], "neurodeploy quantize"],
    "method": {"name": "rate", "timesteps": 8, "percentile": 99.9},
    "auto": {"reason": "it fits", "met": True, "chosen": _CHOSEN, "tried": [_TRIED]},
    "quantization": {"weight_bits": 8, "state_bits": 24, "report": [_ROW]},
    "silent_channels": [{"layer": "a", "silent": 1, "channels": 4}],
    "curve_fits": [{"node": "a", "error": 0.5, "units": 3, "range": [0, 1.5]}],
}
MISREAD: tuple[tuple[str, Any], ...] = (
    *(("commands", value) for value in (0.5, "neurodeploy", [3], [[3]], {})),
    *(("method", value) for value in ("rate", None, {"name": 3}, {"timesteps": True})),
    *(("auto", value) for value in (None, [], {"tried": {}}, {"reason": "it fits", "met": 1})),
    ("auto", {**PROVENANCE["auto"], "tried": [{**_TRIED, "loss": 10**400}]}),
    # It becomes a part of the name of a file.
    (
        "auto",
        {**PROVENANCE["auto"], "chosen": {**_TRIED, "quantization": {"weight_bits": "/../x"}}},
    ),
    ("quantization", {**PROVENANCE["quantization"], "state_bits": 10**9}),
    ("quantization", {**PROVENANCE["quantization"], "report": [{**_ROW, "threshold": 3}]}),
    ("silent_channels", [{"layer": "a", "silent": 2**63, "channels": 4}]),
    ("curve_fits", [{**PROVENANCE["curve_fits"][0], "range": [0]}]),
)


@pytest.mark.parametrize("auto", [PROVENANCE["auto"], {"tried": [{"method": "r", "timesteps": 1}]}])
def test_provenance_is_read_as_it_is_written(auto: dict[str, Any]) -> None:
    told = {**PROVENANCE, "auto": auto, "seed": 3, "mine": {"anything": [None]}}
    assert network_from_bytes(edited(lambda h: h.update(provenance=told)), "f").provenance == told


@pytest.mark.parametrize(("name", "value"), MISREAD)
def test_provenance_of_another_shape(name: str, value: Any) -> None:
    message = refused(edited(lambda h: h.update(provenance={**PROVENANCE, name: value})))
    assert f"damaged provenance ({name})" in message


@pytest.mark.parametrize("damage", HEADERS)
def test_damaged_headers(damage: str) -> None:
    change, message = HEADERS[damage]
    assert message in refused(edited(change))


@pytest.mark.parametrize("value", ["12", None, [3], {"dict": {}}, {"float": "0x1p0"}])
def test_wrong_types_in_fields(value: object) -> None:
    refused(edited(lambda h: _netlist(h).update(timesteps=value)))


def test_a_key_that_occurs_twice() -> None:
    whole = content()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    text = header["__metadata__"]["neurodeploy"]
    twice = text.replace('"timesteps":', '"timesteps":1,"timesteps":', 1)
    assert twice != text
    from safetensors.numpy import load

    assert "not a .ndn file" in refused(save(load(whole), metadata={"neurodeploy": twice}))


def test_a_number_beyond_all_floats() -> None:
    whole = edited(lambda h: h.update(provenance={"a": 7.125}))
    assert b"7.125" in whole
    assert network_from_bytes(whole.replace(b"7.125", b"1e308"), "f").provenance == {"a": 1e308}
    assert "not a .ndn file" in refused(whole.replace(b"7.125", b"1e309"))


def test_numpy_integers_are_written_as_integers() -> None:
    netlist = case("dense_spikes").netlist
    same = replace(netlist, timesteps=np.int64(netlist.timesteps))
    assert network_to_bytes(Network(same)) == network_to_bytes(Network(netlist))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_network(tmp_path / "none.ndn")
    with pytest.raises(FileFormatError, match=r"is a folder \(a deployment\?\); name the"):
        load_network(tmp_path)


def test_an_artifact_is_shown_in_one_line() -> None:
    netlist = case("dense_spikes").netlist
    n, links = len(netlist.populations), len(netlist.projections)
    start = f"({netlist.name}: integer netlist, T = {netlist.timesteps}, {n} populations)"
    assert repr(Network(netlist)) == f"Network{start}"
    assert repr(netlist) == (
        f"IntegerNetlist({netlist.name}: T = {netlist.timesteps}, {n} populations, "
        f"{links} projection{'s' * (links != 1)})"
    )


@given(netlists(real=True))
@settings(max_examples=1)
def test_integer_needs_an_integer_netlist(real: RealNetlist) -> None:
    with pytest.raises(NetlistError, match="run 'neurodeploy quantize' first"):
        _ = Network(real).integer
    netlist = case("dense_spikes").netlist
    assert Network(netlist).integer is netlist


def test_encodings_belong_to_inputs() -> None:
    with pytest.raises(NetlistError, match="encodings for"):
        Network(case("dense_spikes").netlist, {"y": Encoding("rate", 255, 0.0, 1.0)})


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
