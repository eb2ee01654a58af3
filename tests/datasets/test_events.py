"""Recordings as samples: steps, places, counts, labels, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.datasets import as_data, as_samples
from neurodeploy.datasets.events.recording import nanoseconds, shown_time
from neurodeploy.errors import DataError, FileFormatError, UnknownNameError, UsageError
from tests.datasets.event_files import (
    random_events,
    write_aedat3,
    write_aedat4,
    write_bin,
    write_dat,
    write_spikes_h5,
)

EVENTS = {
    "t": np.array([1000, 1500, 1999, 2000, 4500, 4500, 4500]),
    "x": np.array([0, 1, 0, 2, 2, 2, 2]),
    "y": np.array([0, 1, 0, 0, 1, 1, 1]),
    "p": np.array([1, 0, 1, 0, 1, 1, 0]),
}
"""Of 3 columns and 2 rows; the first and the third, the fifth and the sixth are of one place."""


def raster(shape: tuple[int, ...] = (2, 2, 3), T: int = 8, high: int = 9, **options: Any) -> Any:
    return nd.Samples.events(EVENTS, **options).raster(0, shape, T, high)


def places(found: np.ndarray) -> list[tuple[int, ...]]:
    """(step, polarity, row, column, count) of all that is not 0."""
    return [(*map(int, at), int(found[tuple(at)])) for at in np.argwhere(found)]


def test_steps_begin_with_the_first_event() -> None:
    found, steps = raster(dt="1ms", count="sum")
    assert steps == 4
    assert places(found) == [
        (0, 0, 1, 1, 1),
        (0, 1, 0, 0, 2),
        (1, 0, 0, 2, 1),
        (3, 0, 1, 2, 1),
        (3, 1, 1, 2, 2),
    ]
    assert raster(dt=0.001)[0].max() == 1
    assert (raster(dt="1ms", count="sum", high=1)[0] == raster(dt="1ms")[0]).all()
    for same in ("1000us", "0.001s", "0.001", "1000000 ns", 1e-3):
        np.testing.assert_array_equal(raster(dt=same, count="sum")[0], found)


def test_steps_may_begin_at_the_zero_of_the_clock() -> None:
    found, steps = raster(dt="1ms", start="zero")
    assert steps == 5
    assert [place[0] for place in places(found)] == [1, 1, 2, 4, 4]


def test_steps_may_begin_at_a_multiple_of_a_step() -> None:
    """The first event at 1 ms, in steps of 400 us from 0.8 ms on."""
    found, steps = raster(dt="400us", start="aligned", T=10)
    assert steps == 10
    assert np.flatnonzero(found.any(axis=(1, 2, 3))).tolist() == [0, 1, 2, 3, 9]
    with pytest.raises(DataError, match="start=aligned is by dt"):
        raster(steps=4, start="aligned")


def test_a_number_of_steps_shares_the_sample_evenly() -> None:
    """3501 us in 7 steps: an event after s us is of step 7 s // 3501."""
    found, steps = raster(steps=7, count="sum")
    assert steps == 7
    expected = 7 * (EVENTS["t"] - 1000) // 3501
    assert found.sum(axis=(1, 2, 3)).tolist() == np.bincount(expected, minlength=8).tolist()


def test_what_comes_after_the_duration_is_left_out() -> None:
    found, steps = raster(dt="1ms", duration="2ms", count="sum")
    assert (steps, found.sum()) == (2, 4)
    found, steps = raster(steps=5, duration="2ms", count="sum")
    assert (steps, found.sum()) == (5, 4)
    # Of 2 ms: after 0, 500, 999 and 1000 us.
    assert found.sum(axis=(1, 2, 3)).tolist()[:5] == [1, 1, 2, 0, 0]


@pytest.mark.parametrize(
    ("polarity", "total", "shape"),
    [("split", 7, (2, 2, 3)), ("merge", 7, (1, 2, 3)), ("on", 4, (1, 2, 3)), ("off", 3, (2, 3))],
)
def test_polarities(polarity: str, total: int, shape: tuple[int, ...]) -> None:
    found, _ = raster(shape, dt="1ms", polarity=polarity, count="sum")
    assert found.sum() == total


def test_a_flat_input_takes_places_in_order() -> None:
    flat, _ = raster((12,), dt="1ms", size="3x2")
    np.testing.assert_array_equal(flat.reshape(8, 2, 2, 3), raster(dt="1ms")[0])
    with pytest.raises(DataError, match="size of the sensor is not told, and the network takes"):
        raster((12,), dt="1ms")


def test_columns_and_rows_are_joined() -> None:
    found, _ = raster((2, 1, 2), dt="1ms", size=(3, 2), downsample=2, count="sum")
    assert places(found) == [
        (0, 0, 0, 0, 1),
        (0, 1, 0, 0, 2),
        (1, 0, 0, 1, 1),
        (3, 0, 0, 1, 1),
        (3, 1, 0, 1, 2),
    ]
    with pytest.raises(DataError, match="pass downsample=2"):
        raster((2, 1, 2), dt="1ms", size=(3, 2))


def test_one_axis_has_no_polarity() -> None:
    one = {"t": [0, 10, 20], "x": [3, 699, 3]}
    samples = nd.Samples.events(one, dt="20us", size=700)
    for shape in ((700,), (1, 700), (700, 1, 1)):
        found, steps = samples.raster(0, shape, 5)
        assert (steps, found.sum()) == (2, 3)
    wide = nd.Samples.events(one, dt="20us", size=700, downsample=5)
    assert wide.raster(0, (140,), 5)[0][0].nonzero()[0].tolist() == [0, 139]
    with pytest.raises(DataError, match=r"700 places in 1 channel of polarity; the network takes"):
        samples.raster(0, (2, 700), 5)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 2, 2), {}, r"an event at \(2, 0\), outside of 2 x 2 places"),
        ((1, 2, 3), {}, "pass polarity=merge, on or off"),
        ((2, 2, 3), {"polarity": "merge"}, "pass polarity=split"),
        (
            (2, 3, 2),
            {"size": "3x2"},
            r"3 x 2 places in 2 channels .* takes \(2, 3, 2\)",
        ),
        ((2, 2, 3), {"size": 6}, r"events of two axes; size=6 does not fit"),
    ],
)
def test_what_does_not_fit_the_input_is_one_line(
    shape: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        raster(shape, dt="1ms", **options)
    assert "\n" not in str(error.value)


def test_more_steps_than_the_network_takes() -> None:
    with pytest.raises(DataError, match=r"8 steps of 500 us, .* takes 6; .*duration=3ms to"):
        raster(T=6, dt="500us")
    with pytest.raises(DataError, match=r"9 steps of a share of the sample, .* steps=8 or fewer"):
        raster(steps=9)


def test_times_out_of_order() -> None:
    given = {**EVENTS, "t": EVENTS["t"][[0, 1, 3, 2, 4, 5, 6]]}
    with pytest.raises(DataError, match="event 3 at 1999 us after one at 2 ms; out of order"):
        nd.Samples.events(given, dt="1ms").raster(0, (2, 2, 3), 8)
    found, _ = nd.Samples.events(given, dt="1ms", sort=True).raster(0, (2, 2, 3), 8)
    assert found.sum(axis=(1, 2, 3)).tolist()[:4] == [3, 1, 0, 2]


def test_an_empty_recording_is_silence(tmp_path: Path) -> None:
    found, steps = nd.Samples.events({"t": [], "x": []}, dt="1ms").raster(0, (4,), 3)
    assert (steps, found.sum()) == (1, 0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, UsageError, "neither dt nor steps is given; pass dt=1ms"),
        ({"dt": 1, "steps": 2}, UsageError, "both dt and steps are given"),
        ({"dt": "1h"}, UsageError, "dt=1h: expected seconds above 0, or a time as 1ms"),
        ({"dt": 0}, UsageError, "expected seconds above 0"),
        ({"dt": float("nan")}, UsageError, "expected seconds above 0"),
        ({"steps": 0}, UsageError, "steps=0: expected a whole number above 0"),
        ({"steps": 1.5}, UsageError, "steps=1.5: expected a whole number above 0"),
        ({"dt": 1, "size": "3x"}, UsageError, "size=3x: expected WIDTHxHEIGHT as 34x34"),
        ({"dt": 1, "polarity": "both"}, UnknownNameError, "known: merge, off, on, split"),
        ({"dt": 1, "count": "many"}, UnknownNameError, "known: binary, sum"),
        ({"dt": 1, "unit": "h"}, UnknownNameError, "known: ms, ns, s, us"),
        ({"dt": 1, "labels": [1, 2]}, DataError, r"labels has shape \(2,\)"),
        ({"dt": 1, "split": "validation"}, UsageError, "pass 'train', 'test' or None"),
    ],
)
def test_options_are_checked(options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        nd.Samples.events(EVENTS, **options)


def test_times_as_texts() -> None:
    assert [shown_time(nanoseconds(t, "dt")) for t in ("1.5ms", "2e-3", "3s", "7ns")] == [
        "1500 us",
        "2 ms",
        "3 s",
        "7 ns",
    ]


def write_classes(folder: Path, names: tuple[str, ...] = ("0", "1", "7"), n: int = 3) -> None:
    for i, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for k in range(n):
            write_bin(folder / name / f"{k}.bin", random_events(40, 5, 4, seed=10 * i + k))


def test_folders_are_classes(tmp_path: Path) -> None:
    write_classes(tmp_path / "numbers")
    numbers = nd.Samples.events(tmp_path / "numbers", dt="1ms")
    assert numbers.y is not None
    assert numbers.y.tolist() == [0, 0, 0, 1, 1, 1, 7, 7, 7]
    write_classes(tmp_path / "names", ("left", "arms", "right"))
    names = nd.Samples.events(tmp_path / "names", dt="1ms")
    assert names.y is not None
    assert (names.classes, names.y.tolist()) == (
        ("arms", "left", "right"),
        [0, 0, 0, 1, 1, 1, 2, 2, 2],
    )
    few = names[4:7].subset([2, 0])
    assert few.y is not None
    assert (few.indices.tolist(), few.y.tolist(), len(few.first(1))) == ([6, 4], [2, 1], 1)
    assert repr(few).endswith("2 recordings, 2 classes)")
    assert [len(part) for part in names.parts(4)] == [4, 4, 1]


def test_a_folder_has_splits(tmp_path: Path) -> None:
    write_classes(tmp_path / "Train", n=2)
    write_classes(tmp_path / "Test", n=1)
    for split, n in (("train", 6), ("test", 3)):
        data = as_data(f"events:{tmp_path}@{split}#dt=1ms", "test")
        assert (len(data), data.split) == (n, split)
    with pytest.raises(DataError, match=r"no folder 'test' and no trials_to_test\.txt"):
        nd.Samples.events(tmp_path / "Train", dt="1ms", split="test")
    with pytest.raises(DataError, match="a file has no splits"):
        nd.Samples.events(tmp_path / "Test" / "0" / "0.bin", dt="1ms", split="test")


def test_labels_from_a_table(tmp_path: Path) -> None:
    for i in range(3):
        write_dat(tmp_path / f"{i}.dat", random_events(20, 5, 4, seed=i))
    (tmp_path / "labels.csv").write_text("file,class\n2.dat,walk\n0.dat,run\n")
    data = nd.Samples.events(tmp_path, dt="1ms", labels="labels.csv")
    assert data.y is not None
    assert ([r.where[-5:] for r in data.recordings], data.y.tolist(), data.classes) == (
        ["2.dat", "0.dat"],
        [1, 0],
        ("run", "walk"),
    )
    text = f"events:{tmp_path}#dt=1ms,labels=labels.csv,first=1"
    assert len(as_data(text, "test")) == 1
    assert nd.Samples.events(tmp_path, dt="1ms").y is None
    for content, message in (
        ("0.dat,1\n9.dat,2\n", "names '9.dat', which is not in"),
        ("0.dat\n", "a line without a label"),
        ("file,class\n", "no recordings there"),
    ):
        (tmp_path / "labels.csv").write_text(content)
        with pytest.raises((DataError, FileFormatError), match=message):
            nd.Samples.events(tmp_path, dt="1ms", labels="labels.csv")
    with pytest.raises(FileFormatError, match="no such file; expected a table"):
        nd.Samples.events(tmp_path, dt="1ms", labels="other.csv")


def test_gestures_are_parts_of_a_recording(tmp_path: Path) -> None:
    """The table beside an AEDAT 3.1 file: classes from 1 on, and when each begins and ends."""
    events = random_events(300, 128, 128, span=10_000)
    for user in ("user01", "user02"):
        write_aedat3(tmp_path / f"{user}.aedat", events)
        (tmp_path / f"{user}_labels.csv").write_text(
            "class,startTime_usec,endTime_usec\n3,2000,5000\n11,6000,9000\n"
        )
    data = nd.Samples.events(tmp_path, dt="1ms", count="sum")
    assert data.y is not None
    assert data.y.tolist() == [2, 10, 2, 10]
    for sample, (start, stop) in enumerate([(2000, 5000), (6000, 9000)] * 2):
        found, _ = data.raster(sample, (2, 128, 128), 3)
        expected = np.zeros_like(found)
        for t, x, y, p in events:
            if start <= t < stop:
                expected[(t - start) // 1000, p, y, x] += 1
        np.testing.assert_array_equal(found, expected)
    (tmp_path / "trials_to_test.txt").write_text("user02.aedat\n")
    assert len(nd.Samples.events(tmp_path, dt="1ms", split="test")) == 2
    (tmp_path / "trials_to_test.txt").write_text("user03.aedat\n")
    with pytest.raises(DataError, match=r"user03\.aedat is listed and not there"):
        nd.Samples.events(tmp_path, dt="1ms", split="test")
    (tmp_path / "user01_labels.csv").write_text("3,5000,2000\n")
    with pytest.raises(FileFormatError, match="line 1 is '3,5000,2000'; expected a class from 1"):
        nd.Samples.events(tmp_path, dt="1ms")


def test_the_size_of_the_sensor_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    write_aedat4(path, random_events(40, 20, 10), (20, 10))
    found, _ = nd.Samples.events(path, dt="1ms", count="sum").raster(0, (2, 10, 20), 10)
    assert found.sum() == 40
    with pytest.raises(DataError, match=r"20 x 10 places in 2 channels .* takes \(2, 34, 34\)"):
        nd.Samples.events(path, dt="1ms").raster(0, (2, 34, 34), 10)
    joined = nd.Samples.events(path, dt="1ms", count="sum", downsample=4)
    assert joined.raster(0, (2, 3, 5), 10)[0].sum() == 40


def test_a_cochlea(tmp_path: Path) -> None:
    path = tmp_path / "shd_test.h5"
    write_spikes_h5(path, [([(0.0, 4), (0.0141, 699)], 3), ([(0.5, 1)], 0)])
    data = as_data(f"events:{path}#dt=14ms,size=700,start=zero", "test")
    assert data.y is not None
    assert data.y.tolist() == [3, 0]
    found, steps = data.raster(0, (700,), 100)
    assert (steps, np.argwhere(found).tolist()) == (2, [[0, 4], [1, 699]])
    assert data.raster(1, (700,), 100)[1] == 36


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    """A folder of files that are no events but for the first, which is looked at."""
    write_classes(tmp_path, ("0",), n=1)
    for i in range(1, 500):
        (tmp_path / "0" / f"{i}.bin").write_bytes(b"123")
    data = nd.Samples.events(tmp_path, dt="1ms")
    assert len(data) == 500
    assert data.raster(0, (2, 4, 5), 8)[0].sum() > 0
    with pytest.raises(FileFormatError, match="3 bytes of events, not a multiple of 5"):
        data.raster(7, (2, 4, 5), 8)


def test_texts_and_paths_that_are_wrong(tmp_path: Path) -> None:
    write_classes(tmp_path / "a")
    for text, error, message in (
        ("events:", UsageError, "events need a path"),
        (f"events:{tmp_path}/b#dt=1ms", DataError, "no such file or folder of events"),
        (f"events:{tmp_path}/a#dt=1ms,siez=3", UnknownNameError, "did you mean 'size'"),
        (f"events:{tmp_path}/a#dt", UnknownNameError, "unknown option"),
        (f"events:{tmp_path}/a#dt=1ms,dt=2ms", UsageError, "option dt is given twice"),
        (f"events:{tmp_path}/a#steps=many", UsageError, "steps=many is not a whole number"),
        (f"events:{tmp_path}/a#dt=1ms#sort=maybe", UsageError, "neither yes nor no"),
        (f"events:{tmp_path}/a#dt=1ms,first=99", DataError, "the first 99 of 9 samples"),
        (f"events:{tmp_path}#dt=1ms", DataError, "no recordings there; known: .npz, .bin"),
    ):
        with pytest.raises(error, match=message) as caught:
            as_data(text, "test")
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="events enter a network of spikes as they are"):
        as_samples(f"events:{tmp_path}/a#dt=1ms", "train")
    with pytest.raises(UsageError, match="pass a path, arrays as"):
        nd.Samples.events(3, dt=1)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="events:PATH"):
        nd.Samples("evnts:here")
    with pytest.raises(UsageError, match="is no slice"):
        nd.Samples.events(EVENTS, dt=1)[0]  # type: ignore[index]
