"""``python -m benchmarks.events``: our readers of events beside tonic, aedat and expelliarmus.

tonic is GPL-3 and the others are of their own licences: nothing of the package imports them. What
is not installed is left out. Files are written anew, of random events, by the writers of the tests.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.datasets.events.folders import recordings
from tests.datasets.event_files import (
    random_events,
    write_aedat3,
    write_aedat4,
    write_bin,
    write_dat,
    write_evt2,
    write_evt3,
)

EVENTS = 300_000
Columns = tuple[np.ndarray, ...]
"""Microseconds, x, y, polarity."""


def own(path: Path) -> Columns:
    """Read a file with neurodeploy."""
    ((recording, _),), _ = recordings(path, None, None, None)
    blocks = list(recording.open().blocks)
    columns = ([getattr(block, name) for block in blocks] for name in ("t", "x", "y", "p"))
    t, x, y, p = (np.concatenate(parts).astype(np.int64) for parts in columns)
    return t // 1000, x, y, p


def tonic(function: str) -> Callable[[Path], Columns] | None:
    """A reader of tonic's; its module alone is loaded, the package needs more."""
    spec = importlib.util.find_spec("tonic")
    if spec is None or spec.origin is None:
        return None
    place = importlib.util.spec_from_file_location("tonic_io", Path(spec.origin).parent / "io.py")
    assert place is not None
    assert place.loader is not None
    module: Any = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)

    def read(path: Path) -> Columns:
        if function == "read_mnist_file":
            rows = module.read_mnist_file(str(path), module.events_struct)
            return tuple(rows[name].astype(np.int64) for name in ("t", "x", "y", "p"))
        # read_dvs_red of tonic 1.7.0 fails where it unpacks the header; these are its parts.
        version, start = module.read_aedat_header_from_file(str(path))[:2]
        rows = module.get_aer_events_from_file(str(path), version, start)
        data, t = rows["address"].astype(np.int64), rows["timeStamp"].astype(np.int64)
        return t, data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, data >> 1 & 1

    return read


def expelliarmus(encoding: str) -> Callable[[Path], Columns] | None:
    """A reader of expelliarmus."""
    if importlib.util.find_spec("expelliarmus") is None:
        return None
    from expelliarmus import Wizard

    def read(path: Path) -> Columns:
        rows = Wizard(encoding=encoding).read(str(path))
        return tuple(rows[name].astype(np.int64) for name in ("t", "x", "y", "p"))

    return read


def aedat(path: Path) -> Columns:
    """The reader of AEDAT 4 that tonic uses."""
    import aedat as package

    rows = np.concatenate([packet["events"] for packet in package.Decoder(str(path))])
    return tuple(rows[name].astype(np.int64) for name in ("t", "x", "y", "on"))


def cases() -> Iterator[tuple[str, str, Callable[..., None], Callable[[Path], Columns] | None]]:
    """Name, file, writer, peer."""
    import lz4.frame

    yield "tonic N-MNIST", "a.bin", write_bin, tonic("read_mnist_file")
    # Its reader takes invalid and special events too, of which the file has one a packet each.
    yield (
        *("tonic AEDAT 3.1", "a.aedat"),
        *(lambda path, events: write_aedat3(path, events, 4096), tonic("read_dvs_red")),
    )
    has_aedat = importlib.util.find_spec("aedat") is not None

    def write_lz4(path: Path, events: Any) -> None:
        write_aedat4(path, events, (346, 260), 1, lz4.frame.compress, 4096, others=False)

    yield "aedat AEDAT 4, LZ4", "a.aedat4", write_lz4, aedat if has_aedat else None
    yield "expelliarmus .dat", "a.dat", write_dat, expelliarmus("dat")
    yield "expelliarmus EVT 2.0", "a.raw", write_evt2, expelliarmus("evt2")
    # Of one step of the high bits: it counts each of them twice where the low ones fall with it,
    # which Prophesee's own decoder does not.
    yield "expelliarmus EVT 3.0, 4 ms", "b.raw", write_evt3, expelliarmus("evt3")


def timed(read: Callable[[Path], Columns], path: Path) -> tuple[Columns, float]:
    """What was read, and seconds."""
    start = time.perf_counter()
    found = read(path)
    return found, time.perf_counter() - start


def main() -> None:
    """Print a row for each format."""
    with tempfile.TemporaryDirectory() as folder:
        for name, file, write, peer in cases():
            events = random_events(EVENTS, 34, 34, span=4096 if "4 ms" in name else 5_000_000)
            path = Path(folder) / file
            write(path, events)
            ours, seconds = timed(own, path)
            assert sorted(zip(*(c.tolist() for c in ours), strict=True)) == sorted(events)
            if peer is None:
                print(f"{name}: not installed; ours reads {EVENTS / seconds / 1e6:.1f} M events/s")
                continue
            theirs, peer_seconds = timed(peer, path)
            same = {tuple(row) for row in np.stack(theirs, 1).tolist()}
            extra = len(theirs[0]) - EVENTS
            missing = sum(tuple(event) not in same for event in events)
            print(
                f"{name}: {missing} of {EVENTS} events missing there, {extra} more; "
                f"{EVENTS / seconds / 1e6:.1f} M events/s, there "
                f"{EVENTS / peer_seconds / 1e6:.1f} M"
            )


if __name__ == "__main__":
    main()
