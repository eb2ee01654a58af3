"""Loaders: what they return, and what they refuse."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neurodeploy.datasets import as_samples
from neurodeploy.datasets.files import read_digits
from neurodeploy.errors import DataError, FileFormatError, NeurodeployError


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Four test images (plain files) and six training images (gzip)."""
    rng = np.random.default_rng(1)
    for prefix, n, packed in (("t10k", 4, False), ("train", 6, True)):
        files = {
            f"{prefix}-images-idx3-ubyte": idx(rng.integers(0, 256, (n, 28, 28))),
            f"{prefix}-labels-idx1-ubyte": idx(np.arange(n)),
        }
        for name, raw in files.items():
            if packed:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(raw))
            else:
                (tmp_path / name).write_bytes(raw)
    return tmp_path


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for name, n in (("test_batch", 2), ("data_batch_1", 3), ("data_batch_3", 4)):
        rows = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(n)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    return tmp_path


def refused(spec: str, kind: type[NeurodeployError], *words: str) -> None:
    with pytest.raises(kind) as caught:
        as_samples(spec, "test")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_digits_are_split_the_same_way_everywhere() -> None:
    test, train = as_samples("digits", "test"), as_samples("digits", "train")
    assert (test.split, train.split) == ("test", "train")
    assert (len(test), len(train)) == (355, 1442)
    assert test.x.shape == (355, 1, 8, 8)
    assert test.levels == 16
    assert test.value_range == (0.0, 1.0)
    scaled = test.x * 16
    assert np.array_equal(scaled, np.rint(scaled))
    assert (test.x.min(), test.x.max()) == (0.0, 1.0)
    assert set(np.bincount(test.y)) <= {34, 35, 36}
    keys = [{x.tobytes() for x in part.x} for part in (test, train)]
    assert not keys[0] & keys[1]


def test_types_and_read_only(mnist: Path) -> None:
    data = as_samples(f"mnist:{mnist}", "test")
    assert (data.x.dtype, data.y.dtype, data.indices.dtype) == (np.float32, np.int64, np.int64)
    for array in (data.x, data.y, data.indices):
        assert not array.flags.writeable
        assert array.flags.c_contiguous


def test_mnist_reads_plain_and_packed_files(mnist: Path) -> None:
    test = as_samples(f"mnist:{mnist}", "test")
    raw = (mnist / "t10k-images-idx3-ubyte").read_bytes()
    assert test.split == "test"
    assert test.x.shape == (4, 1, 28, 28)
    assert test.levels == 255
    assert test.x[0, 0, 0, 1] == np.float32(raw[17] / 255)
    assert list(test.y) == [0, 1, 2, 3]
    train = as_samples(f"mnist:{mnist}", "train")
    assert (train.split, len(train)) == ("train", 6)
    assert as_samples(f"mnist:{mnist}@test", "train").split == "test"


def test_cifar10_reads_the_batches_that_exist_in_order(cifar: Path) -> None:
    train = as_samples(f"cifar10:{cifar}@train", "test")
    assert train.x.shape == (7, 3, 32, 32)
    assert list(train.y) == [0, 1, 2, 0, 1, 2, 3]
    raw = (cifar / "cifar-10-batches-bin/data_batch_1.bin").read_bytes()
    # Record: label, 1024 red, 1024 green, 1024 blue, row by row.
    assert train.x[0, 2, 1, 3] == np.float32(raw[1 + 2 * 1024 + 32 + 3] / 255)
    inside = as_samples(f"cifar10:{cifar}/cifar-10-batches-bin#norm=imagenet", "test")
    assert len(inside) == 2
    assert inside.norm is not None
    assert np.array_equal(inside.x, as_samples(f"cifar10:{cifar}", "test").x), "the images stay raw"


def test_first_and_subset_keep_the_indices(mnist: Path) -> None:
    data = as_samples(f"mnist:{mnist}@train#first=5", "test")
    assert list(data.indices) == [0, 1, 2, 3, 4]
    part = data.subset([4, 1, 1])
    assert list(part.indices) == [4, 1, 1]
    assert list(part.y) == [4, 1, 1]
    assert np.array_equal(part.x[1], data.x[1])
    assert list(part.first(1).indices) == [4]
    for wrong in (0, 4):
        with pytest.raises(DataError, match=f"the first {wrong} of 3"):
            part.first(wrong)
    for positions in ([3], [-1], [[0]]):
        with pytest.raises(DataError, match="positions"):
            part.subset(positions)
    refused(f"mnist:{mnist}#first=5", DataError, "first=5", "4 samples")


def test_real_files(shared_dir: Path) -> None:
    test = as_samples(f"mnist:{shared_dir}/data/mnist", "test")
    assert test.x.shape == (10000, 1, 28, 28)
    assert list(test.y[:5]) == [7, 2, 1, 0, 4]
    assert as_samples(f"cifar10:{shared_dir}/data/cifar10@train#first=3", "test").x.shape[0] == 3


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_a_missing_folder(kind: str, tmp_path: Path) -> None:
    refused(f"{kind}:{tmp_path}/absent", DataError, "no such file or folder", "absent")
    refused(f"{kind}:{tmp_path}", FileFormatError, "name the folder")


def test_mnist_files_that_are_wrong(mnist: Path) -> None:
    images, labels = mnist / "t10k-images-idx3-ubyte", mnist / "t10k-labels-idx1-ubyte"
    spec, whole, right = f"mnist:{mnist}", images.read_bytes(), labels.read_bytes()
    images.write_bytes(whole[:-1])
    refused(spec, FileFormatError, "3135 of the 3136 bytes")
    images.write_bytes(right)
    refused(spec, FileFormatError, "starts with 00000801", "00000803")
    images.write_bytes(b"")
    refused(spec, FileFormatError, "starts with nothing")
    images.write_bytes(idx(np.zeros((4, 8, 8))))
    refused(spec, FileFormatError, "(8, 8)")
    images.write_bytes(idx(np.zeros((5, 28, 28))))
    refused(spec, FileFormatError, "5 test images, but 4 labels")
    images.write_bytes(whole)
    labels.write_bytes(idx(np.array([0, 1, 10, 3])))
    refused(spec, FileFormatError, "sample 2 has label 10")
    labels.unlink()
    refused(spec, FileFormatError, "no t10k-labels-idx1-ubyte")


def test_a_damaged_gzip(mnist: Path) -> None:
    path = mnist / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (whole[:100], b"no gzip at all", whole[:60] + bytes(20) + whole[80:]):
        path.write_bytes(damaged)
        refused(f"mnist:{mnist}@train", FileFormatError, path.name, "truncated or not gzip")


def test_cifar_files_that_are_wrong(cifar: Path) -> None:
    path = cifar / "cifar-10-batches-bin/test_batch.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused(f"cifar10:{cifar}", FileFormatError, "not a multiple of 3073")
    path.write_bytes(b"")
    refused(f"cifar10:{cifar}", FileFormatError, "0 bytes")
    path.write_bytes(b"\x0b" + whole[1:])
    refused(f"cifar10:{cifar}", FileFormatError, "sample 0 has label 11")
    path.unlink()
    refused(f"cifar10:{cifar}", FileFormatError, "no test_batch.bin")


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    x = np.linspace(0, 1, 30).reshape(5, 2, 3)
    np.savez(path, x=x, y=np.arange(5, dtype=np.uint8))
    data = as_samples(f"{path}#first=4#norm=0.5,0.5/1,1", "test")
    assert (data.split, data.levels) == (None, None)
    assert data.x.dtype == np.float32
    assert np.array_equal(data.x, x[:4].astype(np.float32))
    assert list(data.y) == [0, 1, 2, 3]
    assert data.sample_shape == (2, 3)
    np.savez(path, x=x - 0.5)
    data = as_samples(f"{path}#range=-1,1", "test")
    assert data.y is None
    assert data.value_range == (-1.0, 1.0)
    refused(str(path), DataError, "outside [0, 1]", "#range=LOW,HIGH")
    refused(f"{path}#range=-1,1#norm=1,1,1/1,1,1", DataError, "3 channels", "have 2")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((2, 3), np.int64)}, ["int64", "floats"]),
        ({"x": np.zeros((2, 3), complex)}, ["complex128"]),
        ({"x": np.zeros(3)}, ["(3,)"]),
        ({"x": np.zeros((0, 3))}, ["(0, 3)"]),
        ({"x": np.array([[0.0], [np.nan]])}, ["NaN or infinite", "sample 1"]),
        ({"x": np.array([[0.0], [np.inf]])}, ["NaN or infinite", "sample 1"]),
        ({"x": np.array([[0.0], [255.0]])}, ["[0, 255]", "outside [0, 1]"]),
        ({"pictures": np.zeros((2, 3))}, ["no array x", "pictures"]),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, int)}, ["(3,)", "(2,)"]),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2, bool)}, ["bool", "integer labels"]),
        ({"x": np.zeros((2, 3)), "y": np.zeros((3, 1))}, ["(3, 1)", "(2, ...)"]),
        ({"x": np.zeros((2, 3)), "y": np.array([0, np.nan])}, ["NaN", "sample 1"]),
        (
            {"x": np.zeros((2, 3)), "y": np.array([0, 2**64 - 1], np.uint64)},
            ["18446744073709551615"],
        ),
        ({"x": np.zeros((2, 3)), "y": np.array([0, -1])}, ["label -1"]),
    ],
)
def test_npz_contents_that_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], words: list[str]
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    refused(str(path), DataError, str(path), *words)


def test_npz_files_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    refused(str(path), DataError, "no such file")
    np.savez(path, x=np.zeros((20, 30)))
    whole = path.read_bytes()
    for damaged in (whole[:200], b"text", b"", whole[:150] + b"\xff" * 9 + whole[159:]):
        path.write_bytes(damaged)
        refused(str(path), FileFormatError, str(path))
    np.savez(path, x=np.array([{"pickled": 1}], dtype=object))
    refused(str(path), FileFormatError, "never loaded")
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3)))
    refused(str(path), FileFormatError, "not an .npz file")


FIND_SPEC = "neurodeploy.datasets.files.find_spec"


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIND_SPEC, lambda name: None)
    refused("digits", DataError, "neurodeploy[digits]")


def test_digits_are_those_of_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its file, without importing it, and by its own function where the file is elsewhere."""
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_digits()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sklearn.datasets", None)
        alone = read_digits()
    elsewhere = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(FIND_SPEC, lambda name: elsewhere)
    for images, labels in (alone, read_digits()):
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images[:, 0], bunch.images)
        np.testing.assert_array_equal(labels, bunch.target)
