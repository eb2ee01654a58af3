"""Folders of images, one folder for each class."""

from __future__ import annotations

import logging
from collections.abc import Iterator
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

    The folders of all splits count, so that a class that one of them lacks changes no number;
    hidden ones do not. Classes alternate, so that any first samples hold all of them alike. One
    channel where every image is grey, else three.

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
        If Pillow is not installed, images differ in size or have more than 8 bits, or a folder
        beside those of classes holds none.
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
    roots = {root, *there.values()}
    names = sorted({path.name for r in roots for path in r.iterdir() if _is_class(path)})
    files = [sorted(_images(root / name)) for name in names]
    for name, found in zip(names, files, strict=True):
        if any(files) and not found and not any(any(_images(r / name)) for r in roots):
            raise DataError(
                f"{root}: the folder {name} holds no images, and would count as a class; move it "
                "elsewhere"
            )
    pairs = [[(path, label) for path in paths] for label, paths in enumerate(files)]
    listed = [pair for pair in chain.from_iterable(zip_longest(*pairs)) if pair is not None]
    if not listed:
        raise FileFormatError(f"{root}: no folders of images, one for each class")
    images = []
    for path, _ in listed[:first]:
        expect_plain_file(path, "an image")
        try:
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):
                    raise DataError(
                        f"{path}: more than 8 bits a pixel (mode {image.mode}); save it with 8, or "
                        "pass arrays"
                    )
                grey = image.mode in ("1", "L", "LA")
                pixels = np.asarray(image.convert("L" if grey else "RGB"), np.uint8)
        except DataError:
            raise
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


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
