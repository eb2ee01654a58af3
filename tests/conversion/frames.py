"""Videos as changes, for networks that code differences."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.encoding import Encoding, quantize_samples


def encode_frames(encoding: Encoding, frames: AnyArray) -> IntArray:
    """The first frame, then what differs from frame to frame: ``[B, T, *shape]`` of the same."""
    assert encoding.encoder == "delta"
    return np.asarray(np.diff(quantize_samples(encoding, frames), axis=1, prepend=0))
