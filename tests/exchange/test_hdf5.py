"""HDF5 files from strangers: nothing in them is followed, and no size is believed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import FileFormatError, NeurodeployError, UsageError
from neurodeploy.exchange.hdf5_apart import read_tree
from neurodeploy.loading import apart
from neurodeploy.loading.apart import FREE_BYTES
from tests.exchange.files import chain, lif, write_nir
from tests.exchange.test_import import whole_network
from tests.exchange.test_lava_dl import _block, _written

h5py = pytest.importorskip("h5py", reason="NIR is HDF5")


def _soft_link(file: Any, folder: Path) -> None:
    file["node/nodes/a/again"] = h5py.SoftLink("/node")


def _external_link(file: Any, folder: Path) -> None:
    file["node/nodes/a/other"] = h5py.ExternalLink(str(folder / "other.h5"), "/")


def _loop(file: Any, folder: Path) -> None:
    file["node/nodes/a/loop"] = file["node"]


def _twice(file: Any, folder: Path) -> None:
    file["node/nodes/a/same"] = file["node/nodes/a/tau"]


def _virtual(file: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (4,))
    file.create_virtual_dataset("node/nodes/a/virtual", layout)


def _external_data(file: Any, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_bytes(b"x" * 80)
    file.create_dataset("node/nodes/a/raw", (10,), "f8", external=[(str(secret), 0, 80)])


def _never_written(file: Any, folder: Path) -> None:
    file.create_dataset("node/nodes/a/void", (10**12,), "f8", chunks=(1000,), compression="gzip")


def _many_zeros(file: Any, folder: Path) -> None:
    zeros = np.zeros(FREE_BYTES // 8, dtype="f8")
    for i in range(4):
        file.create_dataset(f"node/nodes/a/z{i}", data=zeros, compression="gzip")


def _reference(file: Any, folder: Path) -> None:
    file.create_dataset("node/nodes/a/ref", data=file["node"].ref, dtype=h5py.ref_dtype)


def _compound(file: Any, folder: Path) -> None:
    file["node/nodes/a/both"] = np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])


def _deep(file: Any, folder: Path) -> None:
    file.create_group("node/" + "/".join("d" * 40))


def _infinite(file: Any, folder: Path) -> None:
    file["node/nodes/a/inf"] = np.array([1.0, np.inf])


def _long_texts(file: Any, folder: Path) -> None:
    data = np.full(40, b"x" * 2**21, dtype=f"S{2**21}")
    file.create_dataset("node/texts", data=data, compression="gzip")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_soft_link, "a link to elsewhere"),
        (_external_link, "a link to elsewhere"),
        (_loop, "is linked twice"),
        (_twice, "is linked twice"),
        (_virtual, "data that stand in another file"),
        (_external_data, "data that stand in another file"),
        (_never_written, "declares 8000000000000 bytes, of which 0 are there"),
        (_many_zeros, "declares more than 100 x its"),
        (_reference, "expected numbers or text"),
        (_compound, "expected numbers or text"),
        (_deep, "groups deeper than 32"),
        (_infinite, "values that are not finite"),
        (_long_texts, "declares more than 100 x its"),
    ],
)
def test_what_strangers_can_do_is_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Any, Path], None], text: str
) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()))
    with h5py.File(path, "a") as file:
        spoil(file, tmp_path)
    with pytest.raises(FileFormatError, match=rf"net.nir: .*{text}") as caught:
        nd.import_network(path, dynamics="snntorch")
    assert "\n" not in str(caught.value)


def test_a_filter_of_a_plug_in_is_never_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        properties.set_filter(32000, h5py.h5z.FLAG_OPTIONAL)  # LZF
        space = h5py.h5s.create_simple((4,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, properties)
        h5py.Dataset(made)[...] = np.arange(4.0)
    with pytest.raises(FileFormatError, match="/x: a compression that needs a plug-in"):
        read_tree(path, "a graph")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "no HDF5 file, or damaged"), (b"\x89HDF\r\n\x1a\n" + bytes(64), "no HDF5 file")],
)
def test_no_hdf5_file_is_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=text):
        nd.import_network(path, dynamics="snntorch")
    with pytest.raises(FileFormatError, match="no such file; expected a NIR graph"):
        nd.import_network(tmp_path / "absent.nir", dynamics="snntorch")
    with pytest.raises(UsageError, match=r"net.pt: expected a name that ends in .nir or .net"):
        nd.import_network(tmp_path / "net.pt")


def test_truncated_files_are_one_line(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif(100), size=(100,)))
    content = path.read_bytes()
    for kept in range(200, len(content) - 1, len(content) // 23):
        path.write_bytes(content[:kept])
        with pytest.raises(FileFormatError):
            nd.import_network(path, dynamics="snntorch")


@pytest.mark.parametrize("version", ["2.0", "x"])
def test_another_schema_is_told(tmp_path: Path, version: str) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()), version)
    with pytest.raises(FileFormatError, match=f"NIR version {version}; this neurodeploy reads"):
        nd.import_network(path, dynamics="snntorch")
    with h5py.File(path, "w") as file:
        file["layer"] = 1
    with pytest.raises(FileFormatError, match="no NIR graph: expected 'node' and 'version'"):
        nd.import_network(path, dynamics="snntorch")


def _accepted(path: Path) -> bool:
    options = {"saturation": True} if path.suffix == ".net" else {"dynamics": "sinabs"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nd.import_network(path, **options)
    except NeurodeployError as error:
        told = str(error)
    else:
        return True
    assert "\n" not in told
    assert str(path) in told
    return False


@pytest.mark.parametrize("suffix", [".nir", ".net"])
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    """Bytes changed anywhere, most of them where the library's own structures are."""
    if suffix == ".nir":
        source = write_nir(tmp_path / "net.nir", whole_network()).read_bytes()
    else:
        source = _written(tmp_path, _block(np.ones((4, 6))), _block(np.ones((2, 4)))).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / f"mutated{suffix}"
    accepted = []
    for _ in range(30):
        content = bytearray(source)
        for _ in range(random.integers(1, 5)):
            content[random.integers(len(content) if random.random() < 0.3 else 3000)] = (
                random.integers(256)
            )
        path.write_bytes(content)
        accepted.append(_accepted(path))
    assert 3 < sum(accepted) < 27


def test_a_file_over_which_the_library_never_ends_is_one_line(tmp_path: Path, monkeypatch) -> None:
    """One byte of a heap's free list, found by mutation: HDF5 2.0 follows it for ever."""
    path = _written(tmp_path, _block(np.ones((4, 6))), _block(np.ones((2, 4))))
    content = bytearray(path.read_bytes())
    assert content[3552] == 5
    content[3552] = 35
    path.write_bytes(content)
    monkeypatch.setattr(apart, "SECONDS", 1)
    ended = "(took more than 1 s|never came to an end)"
    with pytest.raises(FileFormatError, match=rf"net.net: damaged: reading it {ended}; "):
        nd.import_network(path)


def test_a_file_that_takes_too_much_memory_is_one_line(tmp_path: Path, monkeypatch) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()))
    monkeypatch.setattr(apart, "COPIES", 0)
    with h5py.File(path, "a") as file:
        file["node/wide"] = np.zeros(2**22)
    with pytest.raises(FileFormatError, match=r"net.nir: .*damaged"):
        read_tree(path, "a graph")
    monkeypatch.undo()
    assert "node" in read_tree(path, "a graph")


def test_the_process_that_reads_is_started_again_where_it_ended(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()))
    first = read_tree(path, "a graph")
    process = apart._HELPER.process
    assert process is not None
    process.kill()
    process.wait()
    second = read_tree(path, "a graph")
    assert apart._HELPER.process is not process
    assert first["version"] == second["version"]


def test_values_come_back_as_they_stand_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "values.nir"
    values = {
        "none": np.zeros((0, 3), dtype=np.float32),
        "single": np.float64(3.5),
        "big": np.arange(6, dtype=">i4").reshape(2, 3),
        "flag": np.array([True, False]),
        "half": np.array([0.5], dtype=np.float16),
    }
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            file[name] = value
        file["text"] = "\u03b8"
        pairs = np.array([["a", "b"], ["c", ""]], dtype=object)
        file.create_dataset("texts", data=pairs, dtype=h5py.string_dtype())
    found = read_tree(path, "a graph")
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].shape == np.shape(value)
    assert found["text"] == "\u03b8"
    assert found["texts"].tolist() == [["a", "b"], ["c", ""]]
