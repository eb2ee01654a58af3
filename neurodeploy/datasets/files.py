"""The file formats of the usual image data sets; each read whole and checked."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.loading.files import MAX_DEFLATE_RATIO, open_plain_file, read_bytes

Bytes = npt.NDArray[np.uint8]

MNIST_PREFIX = {"train": "train", "test": "t10k"}
IDX_UNSIGNED_BYTE = 8
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_SHAPE = (3, 32, 32)
N_CLASSES = 10


def read_mnist(folder: Path, split: str) -> tuple[Bytes, Bytes]:
    """Read images uint8 ``[N, 1, 28, 28]`` and labels ``[N]`` from a folder of IDX files.

    References
    ----------
    Y. LeCun, C. Cortes, C. Burges, The MNIST database: section "File formats" (IDX).

    Raises
    ------
    FileFormatError
        For a file that is missing, truncated or not IDX.
    """
    prefix = MNIST_PREFIX[split]
    images = _read_idx(_mnist_file(folder, f"{prefix}-images", 3), 3)
    labels_file = _mnist_file(folder, f"{prefix}-labels", 1)
    labels = _read_idx(labels_file, 1)
    if images.shape[1:] != (28, 28):
        raise FileFormatError(f"{folder}: images of shape {images.shape[1:]}, MNIST's are (28, 28)")
    if len(images) != len(labels):
        raise FileFormatError(f"{folder}: {len(images)} {split} images, but {len(labels)} labels")
    _check_labels(labels_file, labels)
    return images[:, None], labels


def _mnist_file(folder: Path, stem: str, n_axes: int) -> Path:
    for separator in ("-", "."):
        for ending in ("", ".gz"):
            path = folder / f"{stem}{separator}idx{n_axes}-ubyte{ending}"
            if path.is_file():
                return path
    raise FileFormatError(
        f"{folder}: no {stem}-idx{n_axes}-ubyte or .gz there; name the folder of MNIST's four files"
    )


def _read_idx(path: Path, n_axes: int) -> Bytes:
    head = 4 + 4 * n_axes
    magic = bytes([0, 0, IDX_UNSIGNED_BYTE, n_axes])
    with open_plain_file(path, "an IDX file") as plain:
        most = os.fstat(plain.fileno()).st_size
        packed = path.suffix == ".gz"
        file = gzip.GzipFile(fileobj=plain) if packed else plain
        most *= MAX_DEFLATE_RATIO if packed else 1
        try:
            start = file.read(head)
            if len(start) < head or start[:4] != magic:
                raise FileFormatError(
                    f"{path}: starts with {start[:4].hex() or 'nothing'}, an IDX file of bytes "
                    f"with {n_axes} axes with {magic.hex()}"
                )
            shape = tuple(int(n) for n in np.frombuffer(start, ">u4", n_axes, offset=4))
            announced = math.prod(shape)
            # One more byte shows what stands behind the end, and has gzip compare its checksum.
            raw = b"" if announced > most else file.read(announced + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(
                f"{path}: truncated or not gzip ({error}); fetch it again"
            ) from error
    if len(raw) != announced:
        found = f"holds {len(raw)}" if len(raw) < announced else "holds more"
        raise FileFormatError(
            f"{path}: {found} of the {announced} bytes that its header announces; truncated or "
            "damaged"
        )
    return np.frombuffer(raw, np.uint8).reshape(shape)


def read_cifar10(folder: Path, split: str) -> tuple[Bytes, Bytes]:
    """Read images uint8 ``[N, 3, 32, 32]`` and labels ``[N]`` of CIFAR-10's binary version.

    Training images are those of every ``data_batch_*.bin`` that is there, in their order.

    References
    ----------
    A. Krizhevsky, Learning multiple layers of features from tiny images, 2009; "Binary version".

    Raises
    ------
    FileFormatError
        For a file that is missing, truncated or holds labels above 9.
    """
    if (folder / CIFAR_FOLDER).is_dir():
        folder = folder / CIFAR_FOLDER
    pattern = "test_batch.bin" if split == "test" else "data_batch_*.bin"
    paths = sorted(folder.glob(pattern))
    if not paths:
        pickled = any((path / "data_batch_1").exists() for path in (folder, *folder.glob("*-py")))
        remedy = "the Python version is pickled and not read, " if pickled else "name "
        remedy += "take the binary version" if pickled else f"the folder that holds {CIFAR_FOLDER}"
        raise FileFormatError(f"{folder}: no {pattern} there; {remedy}")
    record = 1 + int(np.prod(CIFAR_SHAPE))
    parts = []
    for path in paths:
        raw = np.frombuffer(read_bytes(path, "CIFAR-10 in its binary version"), np.uint8)
        if not raw.size or raw.size % record:
            raise FileFormatError(
                f"{path}: {raw.size} bytes, not a multiple of {record}; truncated or not the "
                "binary version of CIFAR-10"
            )
        rows = raw.reshape(-1, record)
        _check_labels(path, rows[:, 0])
        parts.append(rows)
    everything = np.concatenate(parts)
    return everything[:, 1:].reshape(-1, *CIFAR_SHAPE), everything[:, 0]


def _check_labels(path: Path, labels: Bytes) -> None:
    if labels.size and labels.max() >= N_CLASSES:
        raise FileFormatError(
            f"{path}: sample {labels.argmax()} has label {labels.max()}, classes are 0-9; damaged"
        )


def read_digits() -> tuple[Bytes, Bytes]:
    """Read all 1797 images uint8 ``[N, 1, 8, 8]`` of 0-16 and labels ``[N]``.

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI, 1998,
    doi:10.24432/C50P49; the test part, as scikit-learn carries it.

    Raises
    ------
    DataError
        If scikit-learn is not installed.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError(
            "data digits: scikit-learn carries them and is not installed; "
            "pip install 'neurodeploy[digits]'"
        )
    # Its file alone: importing the package takes longer than most commands.
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        rows = np.loadtxt(file, dtype=np.uint8, delimiter=",")
    else:
        from sklearn.datasets import load_digits

        rows = np.column_stack(load_digits(return_X_y=True)).astype(np.uint8)
    return rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1].copy()
