"""Files of arrays: read part by part, and sizes that lie."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neurodeploy import Samples
from neurodeploy.datasets import as_samples, npz, values
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.encoding import Encoding
from neurodeploy.network import Network
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.testing import NetlistBuilder

X = np.random.default_rng(0).random((50, 3, 4)).astype(np.float32)
Y = np.arange(50)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2"])
def test_parts_make_the_whole(
    tmp_path: Path, save: object, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    given = X.astype(dtype)
    for order in ("C", "F"):
        save(path, x=np.asarray(given, order=order), y=Y.astype(">i2"))
        for part in (2**24, 100, 1):
            monkeypatch.setattr(npz, "PART_BYTES", part)
            monkeypatch.setattr(values, "PART_BYTES", part)
            data = as_samples(str(path), "test")
            np.testing.assert_array_equal(data.x, given.astype(np.float32))
            np.testing.assert_array_equal(data.y, Y)
            few = as_samples(f"{path}#first=7", "test")
            np.testing.assert_array_equal(few.x, data.x[:7])
            np.testing.assert_array_equal(few.y, Y[:7])


def test_the_first_samples_take_no_memory_for_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((4000, 1000), np.float64), y=np.zeros(4000, int))
    tracemalloc.start()
    data = as_samples(f"{path}#first=3", "test")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.x.shape == (3, 1000)
    assert peak < 4e6
    with pytest.raises(DataError, match="the first 4001 of 4000 samples"):
        as_samples(f"{path}#first=4001", "test")


def test_a_bad_value_is_found_in_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "PART_BYTES", 8 * 12 * 4)
    path = tmp_path / "a.npz"
    for value, message in ((np.nan, "first in sample 33"), (2, r"\[0, 2\], outside \[0, 1\]")):
        x = np.zeros_like(X)
        x[33, 1, 1] = value
        np.savez(path, x=x)
        with pytest.raises(DataError, match=message):
            as_samples(str(path), "test")


def member(path: Path, header: dict[str, object], content: bytes, compress: bool = False) -> None:
    """An .npz file whose array x has this header and these bytes."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, header)
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr("x.npy", raw.getvalue() + content)


@pytest.mark.parametrize(
    "shape",
    [(-1, 1, 8, 8), (True, 1, 8, 8), (2**32, 2**32, 2**32, 0), (2**63, 1), (1,) * 33, (2**61, 2)],
)
def test_shapes_that_no_array_has(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.npz"
    member(path, {"descr": "<f4", "fortran_order": False, "shape": shape}, bytes(256))
    with pytest.raises(FileFormatError, match=r"x has shape \(.*; expected at most 32 sizes"):
        as_samples(str(path), "test")


def test_an_empty_array_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    member(path, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 0, 8)}, b"")
    with pytest.raises(DataError, match=r"x has shape \(1000000000, 0, 8\)"):
        as_samples(str(path), "test")


def test_zeros_without_end_are_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    monkeypatch.setattr(npz, "LARGEST_INFLATED", 2**20)
    np.savez_compressed(path, x=np.zeros((2000, 1000), np.float32), y=np.zeros(2000, int))
    with pytest.raises(
        FileFormatError, match=r"x\.npy inflates to 8000000 bytes .* at most 1048576"
    ):
        as_samples(str(path), "test")
    assert as_samples(f"{path}#first=3", "test").x.shape == (3, 1000)
    assert as_samples(str(path), "test", at_most=3).x.shape == (3, 1000)
    np.savez_compressed(path, t=np.zeros(2**20, int), x=np.zeros(2**20, int))
    with pytest.raises(FileFormatError, match=r"t\.npy inflates to 8388608 bytes"):
        list(npz.read_vectors(path, ("t", "x"), 100))


def test_damage_in_the_first_samples_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2000, 1000), np.float32))
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="Bad CRC-32"):
        as_samples(f"{path}#first=3", "test")
    monkeypatch.setattr(npz, "LARGEST_CHECKED", 2**20)  # what is left is read no further than this
    assert as_samples(f"{path}#first=3", "test").x.shape == (3, 1000)


def test_a_command_reads_the_samples_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    x = np.zeros((5, 1, 2, 2), np.float32)
    x[3] = np.nan  # of what is not read nothing is told
    np.savez(path, x=x)
    netlist = NetlistBuilder(T=2).input("x", (1, 2, 2)).dense([[1, 1, 0, 1]], threshold=2).output()
    net = Network(netlist, {"x": Encoding("rate", 16, 0.0, 1.0)})
    assert len(stimulus_for(net, str(path), 3)[1]) == 3
    with pytest.raises(DataError, match="NaN"):
        stimulus_for(net, str(path), 4)
    x[3] = 0
    np.savez(path, x=x)
    with pytest.raises(DataError, match="the first 6 of 5 samples"):
        stimulus_for(net, str(path), 6)


@pytest.mark.parametrize("compress", [False, True])
def test_sizes_that_lie_take_no_memory(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "a.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**5)}
    member(path, header, bytes(400), compress)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="x announces 4000000000000 bytes, the file holds"):
        as_samples(str(path), "test")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_bytes_after_the_array_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (2, 3)}
    member(path, header, bytes(24))
    assert as_samples(str(path), "test").x.shape == (2, 3)
    member(path, header, bytes(25))
    with pytest.raises(FileFormatError, match="more bytes than its header announces"):
        as_samples(str(path), "test")


def test_a_directory_that_lies_about_its_member(tmp_path: Path) -> None:
    """A deflated member can hold no more than 1032 times its bytes in the file."""
    path = tmp_path / "a.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**4, 10**4)}
    member(path, header, bytes(4000), compress=True)
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = (4 * 10**8 + 128).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match="announces 400000000 bytes, the file holds at most"):
        as_samples(str(path), "test")


@pytest.mark.parametrize(("x", "y"), [("X", "Y"), ("images", "labels"), ("data", "target")])
def test_usual_names_of_samples_and_labels(tmp_path: Path, x: str, y: str) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **{x: np.zeros((4, 1, 2, 2), np.float32), y: np.arange(4)})
    data = Samples(str(path))
    assert data.x.shape == (4, 1, 2, 2)
    assert not data.named
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["{0}_{1}", "{1}_{0}"])
def test_arrays_of_two_splits_are_chosen_by_the_split(tmp_path: Path, name: str) -> None:
    path = tmp_path / "keras.npz"
    arrays = {
        ("x", "train"): np.full((6, 4), 51, np.uint8),
        # One column, as Keras has it.
        ("labels", "train"): np.arange(6)[:, None],
        ("x", "test"): np.full((2, 4), 255, np.uint8),
        ("labels", "test"): np.eye(3)[[2, 0]],
    }
    np.savez(path, **{name.format(*key): values for key, values in arrays.items()})
    train, test = Samples(f"{path}@train"), Samples(f"{path}@test")
    assert (len(train), len(test), len(Samples(str(path)))) == (6, 2, 2)
    assert (train.split, train.levels, float(train.x[0, 0])) == ("train", 255, np.float32(0.2))
    assert test.y is not None
    assert train.y is not None
    assert (train.y.tolist(), test.y.tolist()) == ([*range(6)], [2, 0])


def test_bytes_are_values_from_0_to_255_unless_a_range_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "bytes.npz"
    np.savez(path, x=np.array([[0, 255], [51, 102]], np.uint8))
    assert Samples(str(path)).x.tolist() == np.float32([[0, 1], [0.2, 0.4]]).tolist()
    assert Samples(f"{path}#range=0,255").x.max() == 255


def test_channels_last_become_channels_first(tmp_path: Path) -> None:
    path = tmp_path / "nhwc.npz"
    np.savez(path, x=np.random.default_rng(0).random((2, 5, 4, 3)).astype(np.float32))
    plain, moved = Samples(str(path)), Samples(f"{path}#layout=NHWC")
    np.testing.assert_array_equal(moved.x, plain.x.transpose(0, 3, 1, 2))


def test_rows_that_are_not_one_hot_are_targets(tmp_path: Path) -> None:
    path = tmp_path / "targets.npz"
    np.savez(path, x=np.zeros((2, 4), np.float32), y=np.float32([[0, 1], [1, 1]]))
    data = Samples(str(path))
    assert data.y is None
    assert data.targets is not None


def test_a_file_without_splits_refuses_one(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x=np.zeros((4, 2), np.float32))
    with pytest.raises(DataError, match="no splits, only x; drop @train"):
        Samples(f"{path}@train")
