"""Samples that run one batch after another, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import Progress, Stimulus

BATCH_BYTES = 128 * 2**20
"""Memory limit of the samples of a batch: input, and everything recorded or summed of it,
and what is counted from that. Results do not depend on it; most loops that run samples share it."""


class EncodedInput(Protocol):
    """Encoded samples, some at a time: an array, or what is encoded when it is asked for.

    Where samples are of different length, ``steps(samples)`` tells int64 ``[B]``, the steps of each
    of those asked for last that are its own; the others are silence.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, samples: slice, /) -> IntArray: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the samples.

    Parameters
    ----------
    samples : slice
        Which they are.
    stimulus : mapping
        What enters for them: int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes).
    number, n_batches : int
        It is the first, second, ... of so many.
    total : int
        Samples of all batches.
    steps : int64 array ``[B]``, optional
        Steps of each sample that are its own, where they differ from T.
    """

    samples: slice
    stimulus: Stimulus
    number: int
    n_batches: int
    total: int
    steps: IntArray | None = None

    def part_of(self, progress: Progress | None) -> Progress | None:
        """Progress of a run of this batch, counted in samples of all batches that are done."""
        if progress is None:
            return None
        tell, first, n = progress, self.samples.start, self.samples.stop - self.samples.start
        return lambda done, of: tell(first + n * done // max(of, 1), self.total)


def run_batched(
    stimulus: Mapping[str, EncodedInput],
    bytes_per_sample: int,
    *,
    multiple: int = 1,
    progress: Progress | None = None,
) -> Iterator[Batch]:
    """Yield batches of samples for the caller to run, encoded one batch at a time.

    Parameters
    ----------
    stimulus : mapping
        Input population -> its samples; as many as the shortest has. One empty batch of none.
    bytes_per_sample : int
        What a sample holds while its batch runs; a batch stays within BATCH_BYTES where it has
        more than one sample.
    multiple : int
        A number of samples such that batches are multiples or divisors of it: groups of so many
        begin and end with a batch, whatever part of the samples is run.
    progress : callable, optional
        Called with (samples done, samples) after each batch; not where each run tells its own.
    """
    total = min(len(values) for values in stimulus.values())
    width = max(1, BATCH_BYTES // max(1, bytes_per_sample))
    if width > multiple:
        width -= width % multiple
    else:
        width = next(n for n in range(width, 0, -1) if multiple % n == 0)
    starts = range(0, max(total, 1), width)
    for number, first in enumerate(starts, 1):
        part = slice(first, min(first + width, total))
        given = {name: values[part] for name, values in stimulus.items()}
        yield Batch(part, given, number, len(starts), total, _own_steps(stimulus, part))
        if progress is not None:
            progress(part.stop, total)


def _own_steps(stimulus: Mapping[str, EncodedInput], part: slice) -> IntArray | None:
    told = [steps(part) for v in stimulus.values() if (steps := getattr(v, "steps", None))]
    return np.max(told, axis=0) if told else None


def raster_bytes(netlist: IntegerNetlist | RealNetlist) -> int:
    """Bytes of one sample's rasters of all populations, in 64 bits."""
    return 8 * netlist.timesteps * sum(p.size for p in netlist.populations)
