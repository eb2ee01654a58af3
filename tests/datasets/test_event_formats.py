"""Every format, written by a writer that is not ours and read back to the same events."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.datasets.events import folders, prophesee, recording
from neurodeploy.datasets.events.recording import Opened
from neurodeploy.errors import DataError, FileFormatError, NeurodeployError
from neurodeploy.loading import apart
from tests.datasets.event_files import (
    Event,
    flatbuffer,
    random_events,
    vector,
    write_aedat3,
    write_aedat4,
    write_bin,
    write_dat,
    write_evt2,
    write_evt3,
    write_npz,
    write_spikes_h5,
)


def opened(path: Path) -> Opened:
    (found,) = folders.recordings(path, None, None, None)[0]
    return found[0].open()


def read(path: Path) -> list[Event]:
    """All events, in microseconds."""
    rows: list[Event] = []
    for block in opened(path).blocks:
        assert block.y is not None
        assert block.p is not None
        assert not (block.t % 1000).any()
        columns = (block.t // 1000, block.x, block.y, block.p)
        rows += [tuple(int(v) for v in row) for row in zip(*columns, strict=True)]  # type: ignore[misc]
    return rows


def read_or_refused(path: Path) -> list[Event] | str:
    """All events, or the message of the refusal."""
    try:
        return read(path)
    except NeurodeployError as error:
        return str(error)


def lz4_frame(content: bytes) -> bytes:
    import lz4.frame

    return lz4.frame.compress(content)


def zstd_frame(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


WRITERS: dict[str, tuple[str, Callable[[Path, list[Event]], None], tuple[int, int] | None]] = {
    "npz": ("a.npz", write_npz, None),
    "bin": ("a.bin", write_bin, None),
    "aedat3": ("a.aedat", write_aedat3, None),
    "aedat4": ("a.aedat4", write_aedat4, (20, 10)),
    "aedat4 as aedat": ("b.aedat", write_aedat4, (20, 10)),
    "aedat4 lz4": ("c.aedat4", lambda p, e: write_aedat4(p, e, (3, 4), 1, lz4_frame), (3, 4)),
    "aedat4 zstd": ("d.aedat4", lambda p, e: write_aedat4(p, e, (3, 4), 4, zstd_frame), (3, 4)),
    "dat": ("a.dat", write_dat, (304, 240)),
    "dat 1": ("b.dat", lambda p, e: write_dat(p, e, None), None),
    "evt2": ("a.raw", write_evt2, (1280, 720)),
    "evt3": ("b.raw", write_evt3, (1280, 720)),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("block", [2**18, 3])
def test_a_written_file_is_read_back(
    tmp_path: Path, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "BLOCK", block)
    file, write, size = WRITERS[name]
    events = random_events(200, 20, 10)
    write(tmp_path / file, events)
    assert sorted(read(tmp_path / file)) == sorted(events)
    assert [t for t, *_ in read(tmp_path / file)] == [t for t, *_ in events]
    assert opened(tmp_path / file).size == size


def test_clocks_that_turn_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N-MNIST after 2^23 us, EVT 3.0 after 2^24, AEDAT 3.1 after 2^31, EVT 2.0 after 2^34."""
    monkeypatch.setattr(recording, "BLOCK", 50)
    for file, write, span in (
        ("a.bin", write_bin, 3 * 2**23),
        ("a.raw", write_evt3, 10 * 2**24),
        ("b.raw", write_evt2, 5 * 2**34),
    ):
        events = random_events(400, 20, 10, span=span)
        write(tmp_path / file, events)
        assert read(tmp_path / file) == events
    events = [(2**31 - 5, 1, 2, 0), (2**31 + 5, 3, 4, 1)]
    write_aedat3(tmp_path / "a.aedat", events, packet=1)
    assert read(tmp_path / "a.aedat") == events


def test_vectors_of_evt3_cross_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty neighbours at once, in blocks that end between base and vectors."""
    events = [(t, x, 5, 1) for t in range(10, 60, 10) for x in range(100, 120, 1 + t // 30)]
    write_evt3(tmp_path / "a.raw", events)
    assert b"\xff\x4f\xff\x50" in (tmp_path / "a.raw").read_bytes()  # all of 12, all of 8
    for block in range(1, 12):
        monkeypatch.setattr(recording, "BLOCK", block)
        assert read(tmp_path / "a.raw") == events


def test_the_low_bits_of_evt3_start_again(tmp_path: Path) -> None:
    """Where the high bits move on before low ones come, an event has none."""
    words = [0x8001, 0x6005, 0x0003, 0x2001, 0x8002, 0x2802, 0x6001, 0x2003]
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n" + np.array(words, "<u2").tobytes())
    assert read(path) == [(4101, 1, 3, 0), (8192, 2, 3, 1), (8193, 3, 3, 0)]


def test_spikes_of_a_cochlea(tmp_path: Path) -> None:
    path = tmp_path / "shd_test.h5"
    write_spikes_h5(path, [([(0.001, 699), (0.25, 3)], 19), ([], 2)])
    found, _ = folders.recordings(path, None, None, None)
    assert [label for _, label in found] == [19, 2]
    (block,) = found[0][0].open().blocks
    assert (block.x.tolist(), block.y, block.p) == ([699, 3], None, None)
    assert (np.abs(block.t - [1_000_000, 250_000_000]) < 100).all()
    assert not list(found[1][0].open().blocks)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_in_compressed_chunks(tmp_path: Path, shuffle: bool) -> None:
    """As the data sets come: rows in heaps, and what stands for them in chunks."""
    import h5py

    draw = np.random.default_rng(0)
    spikes = [np.sort(draw.random(n)).astype(np.float16) for n in (5, 900, 0, 33, 4000, 7, 1)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = {"chunks": (3,), "maxshape": (None,), "compression": "gzip"}
        options["shuffle"] = shuffle
        for name, kind in (("times", np.float16), ("units", np.int64)):
            data = file.create_dataset(f"spikes/{name}", (7,), h5py.vlen_dtype(kind), **options)
            for i, t in enumerate(spikes):
                data[i] = t if name == "times" else np.arange(len(t))
        file["labels"] = np.arange(7)
    found, _ = folders.recordings(tmp_path / "a.h5", None, None, None)
    for (sample, _), expected in zip(found, spikes, strict=True):
        blocks = list(sample.open().blocks)
        times = np.concatenate([block.t for block in blocks]) if blocks else np.empty(0)
        np.testing.assert_array_equal(times, np.rint(expected.astype(np.float64) * 1e9))


def test_a_file_over_which_the_library_breaks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read in another process, with limits; the next file is read as ever."""
    import h5py

    path = tmp_path / "a.h5"
    write_spikes_h5(path, [([(0.5, 3)], 0)] * 3)
    with h5py.File(path, "a") as file:
        for name in ("times", "units"):
            file[f"spikes/{name}"][1] = np.zeros(2**22, file[f"spikes/{name}"][0].dtype)
    found, _ = folders.recordings(path, None, None, None)
    monkeypatch.setattr(apart, "COPIES", 0)
    with pytest.raises(FileFormatError, match=r"a.h5: .*damaged"):
        found[1][0].open()
    monkeypatch.undo()
    assert [len(block.t) for block in found[2][0].open().blocks] == [1]


def test_a_row_longer_than_its_heap_is_refused(tmp_path: Path) -> None:
    """What the HDF5 library would read past the end of what it has."""
    path = tmp_path / "a.h5"
    write_spikes_h5(path, [([(0.001 * i, i) for i in range(50)], 0)])
    content = path.read_bytes()
    for length in (51, 2**31, 2**32 - 1):
        damaged = content.replace(struct.pack("<I", 50), struct.pack("<I", length))
        assert damaged != content
        path.write_bytes(damaged)
        ((recording, _),), _ = folders.recordings(path, None, None, None)
        with pytest.raises(FileFormatError, match="sample 0 stands in no heap of the file"):
            recording.open()


def test_arrays_may_lack_rows_and_polarity(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", t=np.array([0.001, 0.5]), x=np.array([4, 2]))
    (block,) = opened(tmp_path / "a.npz").blocks
    assert (block.t.tolist(), block.x.tolist(), block.y) == ([10**6, 5 * 10**8], [4, 2], None)
    np.savez(tmp_path / "b.npz", t=[1, 2], x=[4, 2], y=[0, 1], p=[-1, 1])
    (block,) = opened(tmp_path / "b.npz").blocks
    assert block.p is not None
    assert block.p.tolist() == [False, True]


@pytest.mark.parametrize(
    "name", [n for n in WRITERS if n not in ("npz", "aedat4 as aedat", "dat 1")]
)
def test_a_file_that_ends_early_is_one_line(tmp_path: Path, name: str) -> None:
    """Cut anywhere: read to the end of a whole record, or refused."""
    file, write, _ = WRITERS[name]
    write(tmp_path / file, random_events(40, 20, 10))
    content = (tmp_path / file).read_bytes()
    whole = read(tmp_path / file)
    refused = 0
    step = max(n for n in (1, 3, 7, 13, 29) if n <= 1 + len(content) // 100)
    for end in range(0, len(content), step):
        (tmp_path / file).write_bytes(content[:end])
        found = read_or_refused(tmp_path / file)
        if isinstance(found, str):
            refused += 1
            assert file in found
        else:
            assert found == whole[: len(found)]
    assert refused > 20


@pytest.mark.parametrize("name", [n for n in WRITERS if n != "npz"])
def test_damaged_bytes_are_read_or_refused(tmp_path: Path, name: str) -> None:
    file, write, _ = WRITERS[name]
    write(tmp_path / file, random_events(40, 20, 10))
    content = (tmp_path / file).read_bytes()
    draw = np.random.default_rng(1)
    for _ in range(100):
        damaged = bytearray(content)
        for place in draw.integers(0, len(content), 3):
            damaged[place] = draw.integers(0, 256)
        (tmp_path / file).write_bytes(damaged)
        found = read_or_refused(tmp_path / file)
        assert isinstance(found, list) or "\n" not in found


MAGIC_CASES = [
    ("a.aedat", b"#!AER-DAT2.0\r\n#\r\n", "starts with '#!AER-DAT2.0'"),
    ("a.aedat", b"", "starts with 'nothing'"),
    ("a.aedat", b"#!AER-DAT3.1\r\n", "ends within its header of 14 bytes, before #!END-HEADER"),
    ("a.aedat", b"#!AER-DAT3.1\r\n#Source 1: DV", "ends within its header of 27 bytes"),
    ("a.aedat4", b"#!AER-DAT3.1\r\n", "an AEDAT 4 file with"),
    ("a.dat", b"\x00\x01\x02\x03", "starts with 00010203"),
    ("a.dat", b"% Version 2\n\x0e\x08", "type and size 0e08; expected 0c08"),
    ("a.raw", b"% evt 2.1\n% end\n", "names EVT 2.1; EVT 2.0 and EVT 3.0 are read"),
    ("a.raw", b"% evt 3.0\n% endianness big\n% end\n", "big-endian"),
    ("a.raw", b"% evt 3.0\n% date 2020\n", "ends within its header of 22 bytes, before '% end'"),
    ("a.raw", b"% Version 2\n", "names no format"),
    ("a.bin", b"", "is empty"),
    ("a.bin", b"123456", "6 bytes of events, not a multiple of 5"),
    ("a.h5", b"nothing", "no HDF5 file"),
    ("a.npz", b"nothing", "truncated or not an .npz file"),
    ("a.wav", b"RIFF", "no file of events; known: .npz, .bin, .aedat"),
]


@pytest.mark.parametrize(("file", "content", "message"), MAGIC_CASES)
def test_another_file_is_one_line(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises((DataError, FileFormatError)) as error:
        read(tmp_path / file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.aedat4"
    write_aedat4(path, random_events(9, 20, 10), (20, 10), 1, lz4_frame)
    monkeypatch.setitem(sys.modules, "lz4", None)
    with pytest.raises(FileFormatError, match=r"needs lz4; pip install 'neurodeploy\[events\]'"):
        read(path)
    write_aedat4(path, random_events(9, 20, 10), compression=9)
    with pytest.raises(FileFormatError, match="compression 9; known: none, LZ4 and ZSTD"):
        read(path)


@pytest.mark.parametrize("compress", [lz4_frame, zstd_frame])
def test_a_packet_that_unpacks_without_end_is_refused(
    tmp_path: Path, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from neurodeploy.datasets.events import aedat4

    monkeypatch.setattr(aedat4, "MAX_PACKET", 10**6)
    path = tmp_path / "a.aedat4"
    bomb = compress(bytes(10**8))
    write_aedat4(
        path, random_events(9, 4, 4), (4, 4), 1 if compress is lz4_frame else 3, lambda _: bomb
    )
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="a packet of more than 1000000 bytes; not read"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_a_packet_cannot_announce_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    write_aedat4(path, [])
    content = path.read_bytes()
    packet = flatbuffer(b"EVTS", [vector(2**28, bytes(16))])
    place = content.rfind(b"FTAB") - 8
    packets = struct.pack("<ii", 0, len(packet)) + packet
    # The table moves on by the packet: its place is the only number of 8 bytes of the header.
    moved = content[:place].replace(
        struct.pack("<q", place), struct.pack("<q", place + len(packets))
    )
    path.write_bytes(moved + packets + content[place:])
    with pytest.raises(FileFormatError, match="announces 268435456 events in"):
        read(path)


def test_npz_files_that_are_no_events(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for arrays, message in (
        ({"x": [1], "y": [1]}, "no array t, only x, y"),
        ({"t": [1, 2], "x": [1]}, "expected vectors of one length"),
        ({"t": [1], "x": [0.5]}, "x is float64; expected whole numbers"),
        ({"t": [np.nan], "x": [1]}, "are no times"),
        ({"t": [1], "x": [1], "p": [7]}, "p holds 7 to 7; expected 0 and 1, or -1 and 1"),
        ({"t": [[1]], "x": [1]}, r"shapes \{'t': \(1, 1\), .* expected vectors"),
        ({"t": np.array([None]), "x": [1]}, "pickled objects"),
    ):
        np.savez(path, **{k: np.asarray(v) for k, v in arrays.items()})
        with pytest.raises((DataError, FileFormatError), match=message):
            read(path)


def test_an_npz_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two million events in 8 kB: whatever is declared, a block at a time is held."""
    from neurodeploy.datasets.events import plain

    monkeypatch.setattr(plain, "BLOCK", 10_000)
    n = 2_000_000
    np.savez_compressed(tmp_path / "a.npz", t=np.zeros(n, np.int64), x=np.zeros(n, np.int16))
    assert (tmp_path / "a.npz").stat().st_size < 30_000
    tracemalloc.start()
    total = sum(len(block.t) for block in opened(tmp_path / "a.npz").blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == n
    assert peak < 2e6


def test_hdf5_files_that_are_no_spikes(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["labels"] = np.zeros(3, int)
    with pytest.raises(FileFormatError, match="no spikes/times in it"):
        folders.recordings(path, None, None, None)
    write_spikes_h5(tmp_path / "other.h5", [([(0.5, 1)], 0)])
    with h5py.File(path, "w") as file:
        file["spikes"] = h5py.ExternalLink("other.h5", "/spikes")
        file["labels"] = np.zeros(1, int)
    with pytest.raises(FileFormatError, match="no spikes/times in it"):
        folders.recordings(path, None, None, None)
    with h5py.File(path, "w") as file:
        for name in ("times", "units"):
            kind = h5py.vlen_dtype(np.float32)
            file.create_dataset(f"spikes/{name}", (10**9,), kind, chunks=(1000,))
        file.create_dataset("labels", (10**9,), np.uint8, chunks=(1000,))
    with pytest.raises(FileFormatError, match="declares 16000000000 bytes, the file has"):
        folders.recordings(path, None, None, None)
    with h5py.File(path, "w") as file:
        write = file.create_dataset("spikes/times", (1,), h5py.vlen_dtype(np.float32))
        write[0] = np.array([np.nan], np.float32)
        units = file.create_dataset("spikes/units", (1,), h5py.vlen_dtype(np.uint16))
        units[0] = np.array([1], np.uint16)
        file["labels"] = np.zeros(1, int)
    (found,), _ = folders.recordings(path, None, None, None)
    with pytest.raises(DataError, match="are no seconds"):
        found[0].open()


def test_a_long_recording_is_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dat"
    n = 400_000
    events = np.zeros(n, [("t", "<u4"), ("data", "<u4")])
    events["t"] = np.arange(n)
    path.write_bytes(b"% Version 2\n" + bytes([12, 8]) + events.tobytes())
    monkeypatch.setattr(recording, "BLOCK", 10_000)
    tracemalloc.start()
    total = sum(len(block.t) for block in prophesee.open_dat(path).blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == n
    assert peak < 2e6
