"""Folders of images, one folder for each class."""

from __future__ import annotations

import logging
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurodeploy.errors import DataError, FileFormatError, first_line
from neurodeploy.loading.files import expect_plain_file

Bytes = npt.NDArray[np.uint8]

# What is wrong with an image stands in one line of ours. Without a handler, Python's logging prints
# Pillow's complaints as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
SPLITS = {"train": ("train",), "test": ("test", "val", "validation")}


def read_image_folder(
    folder: Path, split: str | None, default_split: str, first: int | None = None
) -> tuple[Bytes, Bytes | npt.NDArray[np.int64]]:
    """Read images uint8 ``[N, C, H, W]`` and labels: numbers of the class folders in their order.

    Classes alternate, so that any first samples hold all of them alike. One channel where every
    image is grey, else three.

    Parameters
    ----------
    folder : path
        Of class folders, or of ``train`` and ``test`` (``val``), which hold them.
    split : str or None
        As asked for; a folder of classes has none.
    default_split : str
        Of a folder that has splits.
    first : int, optional

    Raises
    ------
    DataError
        If Pillow is not installed, or images differ in size.
    FileFormatError
        For a folder without classes, and files that are no images.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"data imagefolder:{folder}: reading images needs Pillow, which is not installed; "
            "pip install 'neurodeploy[images]'"
        ) from error
    held = {name: folder / name for names in SPLITS.values() for name in names}
    there = {name: path for name, path in held.items() if path.is_dir()}
    wanted = [there[name] for name in SPLITS[split or default_split] if name in there]
    if split is not None and not wanted:
        raise DataError(f"data imagefolder:{folder}: no folder {split} there; drop @{split}")
    root = wanted[0] if wanted else next(iter(there.values()), folder)
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    files = [sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS) for path in classes]
    pairs = [[(path, label) for path in paths] for label, paths in enumerate(files)]
    listed = [pair for pair in chain.from_iterable(zip_longest(*pairs)) if pair is not None]
    if not listed:
        raise FileFormatError(f"{root}: no folders of images, one for each class")
    images = []
    for path, _ in listed[:first]:
        expect_plain_file(path, "an image")
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L", "I;16", "LA")
                pixels = np.asarray(image.convert("L" if grey else "RGB"), np.uint8)
        except Exception as error:
            raise FileFormatError(f"{path}: no image ({first_line(error, 80)})") from error
        images.append(pixels)
        if pixels.shape[:2] != images[0].shape[:2]:
            sizes = [f"{p.shape[1]} x {p.shape[0]}" for p in (images[0], pixels)]
            raise DataError(
                f"{path}: {sizes[1]} pixels, {listed[0][0].name} has {sizes[0]}; bring all images "
                "to the size that the network was trained on"
            )
    if any(pixels.ndim == 3 for pixels in images):
        images = [p if p.ndim == 3 else np.repeat(p[..., None], 3, -1) for p in images]
        stacked = np.stack(images).transpose(0, 3, 1, 2)
    else:
        stacked = np.stack(images)[:, None]
    if first is not None and first > len(stacked):
        raise DataError(f"data imagefolder:{folder}: first={first}, but there are {len(stacked)}")
    return stacked, np.array([label for _, label in listed[: len(stacked)]], np.int64)
