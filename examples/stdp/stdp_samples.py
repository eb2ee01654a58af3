"""Images for the winner-take-all network, clean and noisy; as a script, test images in a file.

::

    python examples/stdp/stdp_samples.py --mnist FOLDER --flipped 0.1 --background 5 -o noisy.npz

Without ``--mnist`` they are the small digits that scikit-learn carries.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

import neurodeploy as nd
from neurodeploy.api import expect_writable, write_bytes_whole

FULL_INTENSITY_HZ = 64.0


def images(mnist: str | None, split: str, shrink: int = 1) -> nd.Samples:
    """Digits in [0, 1], each ``shrink`` x ``shrink`` pixels averaged.

    Raises
    ------
    neurodeploy.UsageError
        If the pixels cannot be divided by ``shrink``.
    """
    found = nd.Samples(f"digits@{split}" if mnist is None else f"mnist:{mnist}@{split}")
    if shrink == 1:
        return found
    n, channels, height, width = found.x.shape
    if height % shrink or width % shrink:
        raise nd.UsageError(f"shrink {shrink}: {height} x {width} pixels cannot be divided by it")
    cells = found.x.reshape(n, channels, height // shrink, shrink, width // shrink, shrink)
    return nd.Samples(cells.mean(axis=(3, 5)), found.y, name=found.name, split=split)


def noisy(
    x: npt.NDArray[np.float32], flipped: float, background_hz: float, seed: int
) -> npt.NDArray[np.float32]:
    """Invert a share of the pixels of each image, and let all pixels fire at a rate besides.

    Each image has noise of its own, which does not depend on how many there are.
    """
    result = np.empty_like(x)
    for i, image in enumerate(x):
        wrong = np.random.default_rng([seed, i]).random(image.shape) < flipped
        result[i] = np.where(wrong, 1 - image, image)
    return result + np.float32(background_hz / FULL_INTENSITY_HZ)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help=".npz file to write")
    parser.add_argument("--mnist", help="folder of MNIST's four files; scikit-learn's digits else")
    parser.add_argument(
        "--shrink", type=int, default=1, help="average so many pixels (%(default)s)"
    )
    parser.add_argument("--flipped", type=float, default=0.0, help="share of pixels to invert")
    parser.add_argument("--background", type=float, default=0.0, help="Hz that all pixels fire at")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if not 0 <= given.flipped <= 1:
        parser.error(f"--flipped {given.flipped}: expected 0 to 1")
    if not 0 <= given.background <= FULL_INTENSITY_HZ:
        parser.error(f"--background {given.background}: expected 0 to {FULL_INTENSITY_HZ:g} Hz")
    if min(given.shrink - 1, given.seed) < 0:
        parser.error("--shrink of at least 1 and --seed of at least 0 are needed")
    try:
        expect_writable(given.output)
        clean = images(given.mnist, "test", given.shrink)
        x = noisy(clean.x, given.flipped, given.background, given.seed)
        content = io.BytesIO()
        np.savez_compressed(content, x=x, y=clean.y)
        write_bytes_whole(given.output, content.getvalue())
    except nd.NeurodeployError as error:
        sys.exit(f"stdp_samples.py: {error}")
    print(f"{given.output}: {len(x)} images of {x.shape[1:]}, up to {x.max():g}")


if __name__ == "__main__":
    main()
