"""Handwritten digits as recordings of events, one folder for each class.

    python examples/event_digits.py recordings

A pixel of grey level k of 16 sends k events in 16 ms, as evenly as milliseconds allow. So a network
that was converted for rates at T = 16 gets the spikes that its own encoder makes of the image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

LEVELS = STEPS = 16


def events_of(image: np.ndarray, jitter: np.random.Generator) -> dict[str, np.ndarray]:
    """Microseconds, columns, rows and polarities of one image of 0 ... 16, in order of time."""
    steps = np.arange(STEPS + 1).reshape(-1, 1, 1)
    fired = np.diff((steps * image + LEVELS // 2) // LEVELS, axis=0)
    step, y, x = np.nonzero(fired)
    t = step * 1000 + jitter.integers(0, 1000, len(step))
    order = np.argsort(t, kind="stable")
    columns = {"t": t, "x": x, "y": y, "p": np.ones_like(x)}
    return {name: values[order] for name, values in columns.items()}


def main(folder: Path) -> None:
    """Write the digits that neurodeploy tests with, every fifth of each class."""
    from neurodeploy.datasets import as_samples

    digits = as_samples("digits", "test")
    jitter = np.random.default_rng(0)
    for i, (image, label) in enumerate(zip(digits.x, digits.y, strict=True)):
        path = folder / str(label) / f"{i}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **events_of(np.rint(image[0] * LEVELS).astype(np.int64), jitter))
    print(f"{len(digits)} recordings in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
