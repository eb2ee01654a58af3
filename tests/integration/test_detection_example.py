"""The detection example: its precision against cases by hand, and all of it, shortened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = repository / "examples" / "detection"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def boxes(example: Path) -> ModuleType:
    import boxes

    assert Path(boxes.__file__).parent == example
    return boxes


SQUARE = (0.0, 0.0, 10.0, 10.0)
AWAY = (30.0, 30.0, 40.0, 40.0)
HALF = (0.0, 0.0, 10.0, 5.0)


def found(boxes: ModuleType, *rows: tuple[int, int, float, tuple[float, ...]]):
    image, label, score, corners = zip(*rows, strict=True)
    return boxes.Detections(
        np.array(image), np.array(label), np.array(score), np.array(corners, np.float64)
    )


def test_intersection_over_union(boxes: ModuleType) -> None:
    others = [SQUARE, HALF, AWAY, (5.0, 5.0, 15.0, 15.0), (10.0, 0.0, 20.0, 10.0)]
    np.testing.assert_allclose(boxes.iou(SQUARE, others), [1, 0.5, 0, 25 / 175, 0])


def test_precision_of_hits_and_a_false_box_between_them(boxes: ModuleType) -> None:
    truth = [(0, 3, *SQUARE), (1, 3, *SQUARE)]
    ranked = found(boxes, (0, 3, 0.9, SQUARE), (1, 3, 0.8, AWAY), (1, 3, 0.7, SQUARE))
    # Precision 1 up to recall 1/2, 2/3 up to recall 1.
    assert boxes.mean_average_precision(ranked, truth) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_precision_is_interpolated_from_larger_recalls(boxes: ModuleType) -> None:
    truth = [(i, 0, *SQUARE) for i in range(3)]
    rows = [(0, 0, 0.9, AWAY), (0, 0, 0.8, SQUARE), (1, 0, 0.7, SQUARE), (2, 0, 0.6, SQUARE)]
    # Hits at precision 1/2, 2/3, 3/4: the last counts for all.
    assert boxes.mean_average_precision(found(boxes, *rows), truth) == pytest.approx(0.75)


def test_a_second_hit_of_one_box_is_false(boxes: ModuleType) -> None:
    truth = [(0, 0, *SQUARE), (0, 0, *AWAY)]
    rows = [(0, 0, 0.9, SQUARE), (0, 0, 0.8, SQUARE), (0, 0, 0.7, AWAY)]
    assert boxes.mean_average_precision(found(boxes, *rows), truth) == pytest.approx(
        0.5 + 0.5 * 2 / 3
    )


@pytest.mark.parametrize(
    ("label", "image", "corners", "expected"),
    [
        (0, 0, SQUARE, 1.0),
        (1, 0, SQUARE, 0.0),
        (0, 1, SQUARE, 0.0),
        (0, 0, HALF, 1.0),
        (0, 0, (0.0, 0.0, 10.0, 4.9), 0.0),
    ],
)
def test_what_counts_as_a_hit(boxes: ModuleType, label, image, corners, expected) -> None:
    one = found(boxes, (image, label, 0.9, corners))
    assert boxes.mean_average_precision(one, [(0, 0, *SQUARE)]) == expected


def test_precision_is_the_mean_over_the_classes_that_occur(boxes: ModuleType) -> None:
    truth = [(0, 0, *SQUARE), (0, 7, *AWAY)]
    rows = found(boxes, (0, 0, 0.9, SQUARE), (0, 5, 0.9, AWAY))
    assert boxes.mean_average_precision(rows, truth) == 0.5


def test_suppression_keeps_the_best_of_what_overlaps(boxes: ModuleType) -> None:
    corners = np.array([SQUARE, (1.0, 0.0, 11.0, 10.0), AWAY])
    assert boxes.suppress(corners, np.array([0.5, 0.9, 0.1])) == [1, 2]


def test_boxes_of_raw_maps(boxes: ModuleType) -> None:
    maps = np.zeros((2, 15, 8, 8))
    maps[:, 4] = -20
    maps[1, :5, 2, 5] = (0, 0, np.log(0.5), np.log(1.5), 20)
    maps[1, 5 + 4, 2, 5] = 20
    (only,) = boxes.detect(maps).corners
    np.testing.assert_allclose(only, [44 - 5, 20 - 15, 44 + 5, 20 + 15])
    assert boxes.detect(maps).image.tolist() == [1]
    assert boxes.detect(maps).label.tolist() == [4]
    assert boxes.detect(maps).score == pytest.approx(1, abs=1e-6)
    assert boxes.mean_average_precision(boxes.detect(maps[:1]), [(0, 0, *SQUARE)]) == 0


def test_targets_are_read_back_as_the_boxes(boxes: ModuleType) -> None:
    pytest.importorskip("torch", reason="the example trains with torch")
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    import canvases
    import train

    drawn = canvases.draw(canvases.digits(None, "test"), 20, seed=3)
    again = canvases.draw(canvases.digits(None, "test"), 20, seed=3)
    np.testing.assert_array_equal(drawn.x, again.x)
    assert 0 <= drawn.x.min() < drawn.x.max() <= 1
    assert len(drawn.boxes) > 20
    wanted, classes = (t.numpy().astype(np.float64) for t in train.targets(drawn))
    assert wanted[:, 4].sum() == len(drawn.boxes)
    maps = np.zeros((20, 15, 8, 8))
    inner = np.clip(wanted[:, :2], 1e-9, 1 - 1e-9)
    maps[:, :2] = np.log(inner / (1 - inner))
    maps[:, 2:4] = wanted[:, 2:4]
    maps[:, 4] = np.where(wanted[:, 4] > 0, 20, -20)
    maps[:, 5:] = 20 * (np.arange(10)[:, None, None] == classes[:, None])
    assert boxes.mean_average_precision(boxes.detect(maps), drawn.boxes, 0.99) == 1


@pytest.fixture
def one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch", reason="the example trains with torch")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("example", "one_thread")
@pytest.mark.parametrize(("slope", "method"), [("0.1", "channel-norm"), ("0", "rate")])
def test_train_and_evaluate_shortened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], slope: str, method: str
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    import evaluate
    import train

    folder = tmp_path / "detection"
    short = ["--steps", "20", "--canvases", "64", "--calibration-canvases", "16"]
    short += ["--test-canvases", "2", "--threads", "1", "--slope", slope]
    train.main(["-o", str(folder), *short])
    assert "mAP@0.5 on 2 test canvases" in capsys.readouterr().out

    run = ["--run", f"{method}=4", "--run", "graded=1,2", "--calibration-samples", "8"]
    evaluate.main(["--folder", str(folder), *run, "--threads", "1", "--json"])
    printed = capsys.readouterr()
    assert "[6/6] graded counts T=2 ...\n" in printed.err
    report = json.loads(printed.out)
    assert report["images"] == 2
    assert 0 <= report["source_map"] <= 1
    expected = [(method, d, 4) for d in ("membrane", "counts")]
    expected += [("graded", d, T) for d in ("membrane", "counts") for T in (1, 2)]
    assert [(r["method"], r["decode"], r["timesteps"]) for r in report["rows"]] == expected
    assert all(r["spikes_per_image"] > 0 for r in report["rows"])


@pytest.fixture
def evaluate(example: Path) -> ModuleType:
    pytest.importorskip("torch", reason="the example evaluates with torch")
    import evaluate

    return evaluate


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("decode", "limit"), [("membrane", 0.1), ("counts", 0.4)])
def test_maps_come_back_in_the_units_of_the_source_network(
    tmp_path: Path, evaluate: ModuleType, decode: str, limit: float
) -> None:
    """The error of eight steps, against how the maps vary about the mean of their channel."""
    import torch
    from detector import leaky_detector, maps_of

    import neurodeploy as nd

    torch.manual_seed(0)
    network = leaky_detector().eval()
    for parameter in network.parameters():
        # As they start, the maps are little more than their biases.
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, a=0.1)
    x = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64)).astype(np.float32) / 255
    data = str(tmp_path / "x.npz")
    np.savez(data, x=x)
    wanted = maps_of(network, x[:3])

    net = nd.convert(network, data, method="graded", timesteps=8, decode=decode)
    maps, spikes = evaluate.answer(nd.quantize(net, 8), data, 3)
    assert maps.shape == (3, 15, 8, 8)
    assert spikes > 0
    varying = wanted - wanted.mean(axis=(0, 2, 3), keepdims=True)
    assert np.sqrt(np.square(maps - wanted).mean()) < limit * varying.std()


def row(evaluate: ModuleType, method: str, timesteps: int, share: float):
    return evaluate.Row(method, "membrane", timesteps, share, share, 1000.0, 1.0)


def test_the_table_names_the_shortest_run_that_reaches_the_goal(evaluate: ModuleType) -> None:
    rows = [row(evaluate, "graded", T, share) for T, share in ((8, 0.99), (2, 0.5), (4, 0.98))]
    rows.append(row(evaluate, "rate", 8, 0.9799))
    assert evaluate.least_timesteps(rows) == {"graded membrane": 4, "rate membrane": None}
    source = evaluate.Source(Path(), "", 1, np.zeros((0, 6), np.float32), 1.0)
    printed = evaluate.table(source, rows).splitlines()
    assert printed[2].split() == ["graded", "membrane", "8", "0.9900", "99.0%", "1,000", "1.0"]
    assert printed[-1].endswith(
        "98% of the source: graded membrane: T = 4; rate membrane: none of these"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--folder", "none"], r"none/detector\.json: not there; run train\.py -o none first"),
        (["--folder", "none", "--run", "graded"], r"--run graded: expected a method and whole"),
        (["--folder", "none", "--run", "graded=4,x"], r"--run graded=4,x: expected a method"),
    ],
)
def test_what_evaluate_cannot_use_is_one_line(
    evaluate: ModuleType, arguments: list[str], told: str
) -> None:
    with pytest.raises(SystemExit, match=told) as refused:
        evaluate.main(arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--steps", "0"], "argument --steps: 0: a whole number above zero is needed"),
        (["--seed", "-1"], "--seed -1: 0 or more is needed"),
        (["--canvases", "511"], "--canvases 511: at least 512 are needed"),
    ],
)
def test_what_train_cannot_use_is_told_before_it_takes_long(
    example: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    pytest.importorskip("torch", reason="the example trains with torch")
    import train

    with pytest.raises(SystemExit, match="2"):
        train.main(["-o", str(tmp_path / "out"), *arguments])
    assert capsys.readouterr().err.splitlines()[-1].endswith(told)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("one_thread")
def test_a_file_in_place_of_the_folder_is_one_line(example: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the example trains with torch")
    import train

    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"file: File exists; choose another --output") as refused:
        train.main(["-o", str(tmp_path / "file")])
    assert "\n" not in str(refused.value)
