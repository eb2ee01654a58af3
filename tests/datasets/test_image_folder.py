"""Folders of images, and data that a function in a file of the user's gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodeploy import Samples
from neurodeploy.errors import DataError, FileFormatError, UnknownNameError, UsageError

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")


def folder(root: Path, counts: dict[str, int], mode: str = "RGB", size: int = 4) -> Path:
    for label, (name, n) in enumerate(sorted(counts.items())):
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.new(mode, (size, size), 10 * label + i if mode == "L" else (label, i, 7)).save(
                root / name / f"{i}.png"
            )
    return root


def test_classes_are_folders_and_alternate(tmp_path: Path) -> None:
    data = Samples(f"imagefolder:{folder(tmp_path / 'set', {'cat': 3, 'ant': 1, 'dog': 2})}")
    assert data.x.shape == (6, 3, 4, 4)
    assert data.levels == 255
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 2, 1, 2, 1]
    np.testing.assert_array_equal(np.rint(data.x[:, :, 0, 0] * 255)[1], [1, 0, 7])


def test_grey_images_have_one_channel_and_splits_are_folders(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2}, "L")
    folder(tmp_path / "val", {"a": 1, "b": 1}, "L")
    train, test = (Samples(f"imagefolder:{tmp_path}@{s}") for s in ("train", "test"))
    assert (train.x.shape, test.x.shape) == ((4, 1, 4, 4), (2, 1, 4, 4))
    assert (train.split, test.split) == ("train", "test")
    assert len(Samples(f"imagefolder:{tmp_path}@train#first=3")) == 3


def test_classes_have_one_number_in_both_splits(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 1, "b": 1, "c": 1})
    folder(tmp_path / "test", {"a": 1, "c": 1})
    (tmp_path / "test" / ".ipynb_checkpoints").mkdir()
    data = Samples(f"imagefolder:{tmp_path}@test")
    assert data.y is not None
    assert data.y.tolist() == [0, 2]


def test_more_than_8_bits_a_pixel_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / "a" / "0.png")
    with pytest.raises(DataError, match=r"0\.png: more than 8 bits a pixel \(mode I"):
        Samples(f"imagefolder:{tmp_path}")


def test_what_is_no_folder_of_images_is_named(tmp_path: Path) -> None:
    good = folder(tmp_path / "set", {"a": 1, "b": 1})
    with pytest.raises(DataError, match="no folder train"):
        Samples(f"imagefolder:{good}@train")
    with pytest.raises(DataError, match="first=9, but there are 2"):
        Samples(f"imagefolder:{good}#first=9")
    Image.new("RGB", (5, 4)).save(good / "b" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: 5 x 4 pixels, 0\.png has 4 x 4"):
        Samples(f"imagefolder:{good}")
    (good / "b" / "1.png").write_bytes(b"no image")
    with pytest.raises(FileFormatError, match=r"1\.png: no image"):
        Samples(f"imagefolder:{good}")
    (good / "logs").mkdir()
    with pytest.raises(DataError, match="the folder logs holds no images, and would count as a"):
        Samples(f"imagefolder:{good}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="no folders of images"):
        Samples(f"imagefolder:{tmp_path / 'empty'}")
    with pytest.raises(UsageError, match="imagefolder needs a path"):
        Samples("imagefolder")


FACTORY = """
import numpy as np

def arrays():
    x = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    return x, np.eye(5, dtype=np.float32)[[4, 2]]

def dataset():
    import torch
    from torch.utils.data import TensorDataset
    return TensorDataset(torch.linspace(0, 1, 12).reshape(3, 4), torch.tensor([2, 0, 1]))

def samples():
    from neurodeploy import Samples
    x = (np.arange(6, dtype=np.float32).reshape(3, 1, 2) / 255 - 0.5) / 0.25
    return Samples(x, np.array([1, 0, 2]), normalized=(0.5, 0.25), split="train")

def negative():
    return np.array([[-1.0, 1.0]])

def needs(split):
    pass

def broken():
    raise RuntimeError("no such disk")
"""


def test_a_function_gives_a_torch_dataset(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="a Dataset is torch's")
    (tmp_path / "mine.py").write_text(FACTORY)
    data = Samples(f"{tmp_path / 'mine.py'}:dataset#first=2")
    assert data.x.shape == (2, 4)
    assert data.y is not None
    assert data.y.tolist() == [2, 0]


def test_a_function_gives_arrays_of_bytes_channels_last(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="files of Python are read where models are")
    (tmp_path / "mine.py").write_text(FACTORY)
    data = Samples(f"{tmp_path / 'mine.py'}:arrays#layout=NHWC")
    assert data.x.shape == (2, 3, 4, 4)
    assert data.levels == 255
    assert data.y is not None
    assert data.y.tolist() == [4, 2]
    with pytest.raises(UnknownNameError, match="array"):
        Samples(f"{tmp_path / 'mine.py'}:array")
    with pytest.raises(UsageError, match=r"data .*broken' fails .*no such disk"):
        Samples(f"{tmp_path / 'mine.py'}:broken")


def test_a_function_gives_samples_that_say_what_they_are(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="files of Python are read where models are")
    (tmp_path / "mine.py").write_text(FACTORY)
    data = Samples(f"{tmp_path / 'mine.py'}:samples#first=2")
    np.testing.assert_array_equal(np.rint(data.x * 255).reshape(2, 2), [[0, 1], [2, 3]])
    assert data.norm is not None
    assert (data.split, data.norm.mean, data.levels) == ("train", (0.5,), 255)
    assert data.y is not None
    assert data.y.tolist() == [1, 0]
    for text, says in (
        ("samples#norm=mnist", "gives Samples, which say that themselves; leave #norm out"),
        ("negative", r"give neurodeploy.Samples\(.*normalized=.*, else #range=LOW,HIGH"),
        ("needs", "argument: 'split'; mend it, or name a factory that needs none"),
    ):
        with pytest.raises((DataError, UsageError), match=says):
            Samples(f"{tmp_path / 'mine.py'}:{text}")


def test_a_layout_has_two_names() -> None:
    with pytest.raises(UnknownNameError, match="layout"):
        Samples("some.npz#layout=CHW")
    with pytest.raises(UsageError, match="layout is for"):
        Samples("digits#layout=NHWC")
