"""Samples of arrays: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.datasets import Normalization, Samples, as_samples, values
from neurodeploy.errors import DataError, UsageError

BYTES = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
UNIT = (BYTES / 255).astype(np.float32)
LABELS = np.arange(6)


def refused(make: Callable[[], Any], kind: Any, *words: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_bytes_are_0_to_255() -> None:
    data = Samples(BYTES, LABELS)
    assert data.x.dtype == np.float32
    assert (data.levels, data.value_range, data.norm, data.split) == (255, (0.0, 1.0), None, None)
    np.testing.assert_array_equal(data.x, UNIT)
    np.testing.assert_array_equal(data.y, LABELS)
    np.testing.assert_array_equal(data.indices, np.arange(6))
    assert not data.x.flags.writeable
    assert repr(data) == "Samples(samples, 6 samples, (3, 4, 5))"


def test_what_the_caller_changes_later_does_not_change_samples() -> None:
    x = UNIT.copy()
    data = Samples(x)
    x[:] = 0
    np.testing.assert_array_equal(data.x, UNIT)


@pytest.mark.parametrize("levels", [255, 16])
def test_floats_on_a_grid_have_its_levels(levels: int) -> None:
    k = np.random.default_rng(1).integers(0, levels + 1, (40, 7))
    k[0] = 0
    k[1] = levels
    exact = (k / levels).astype(np.float32)
    multiplied = k.astype(np.float32) * np.float32(1 / levels)
    assert levels == 16 or (multiplied != exact).any()
    for x in (exact, multiplied, k / levels):
        data = Samples(x)
        assert data.levels == levels
        np.testing.assert_array_equal(data.x, exact)


def test_floats_beside_the_grids_have_no_levels() -> None:
    x = UNIT.copy()
    x[3, 2, 1, 0] = np.float32(100.01 / 255)
    data = Samples(x)
    assert data.levels is None
    np.testing.assert_array_equal(data.x, x)
    assert Samples(UNIT, range=(0, 2)).levels is None
    assert Samples(x, levels=100).levels == 100


def test_a_range_takes_values_as_they_are() -> None:
    for x in (BYTES, BYTES.astype(np.int64), BYTES.astype(np.float64)):
        data = Samples(x, range=(0, 255))
        assert data.value_range == (0.0, 255.0)
        np.testing.assert_array_equal(data.x, BYTES.astype(np.float32))
    refused(lambda: Samples(BYTES, range=(0, 9)), DataError, "outside [0, 9]", "range=(LOW, HIGH)")
    for wrong in ((1, 0), (0, np.nan), 3, (0, 1, 2), "ab"):
        refused(lambda wrong=wrong: Samples(BYTES, range=wrong), UsageError, "pass (low, high)")


def test_channels_last() -> None:
    data = Samples(np.moveaxis(BYTES, 1, -1), layout="NHWC")
    np.testing.assert_array_equal(data.x, UNIT)
    refused(lambda: Samples(UNIT[:, 0], layout="NHWC"), DataError, "(6, 4, 5)")
    refused(lambda: Samples(UNIT, layout="HWC"), UsageError, "'NCHW' or 'NHWC'")


MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def normalize(x: np.ndarray, mean: Any = MEAN, std: Any = STD) -> np.ndarray:
    """As Normalize of torchvision: both steps in float32."""
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (mean, std))
    result = (x - mean) / std
    assert result.dtype == np.float32
    return result


@pytest.mark.parametrize("norm", [(MEAN, STD), (0.5, 0.5), (0.1307, 0.3081), "imagenet"])
def test_normalized_values_go_back_to_the_bytes(norm: Any) -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3, 1, 1)
    unit = every.astype(np.float32) / np.float32(255)
    own = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) if norm == "imagenet" else norm
    data = Samples(normalize(unit, *own), normalized=norm)
    np.testing.assert_array_equal(data.x, Samples(every).x)
    assert (data.levels, data.value_range) == (255, (0.0, 1.0))
    assert data.norm == Samples(every, norm=norm).norm
    assert isinstance(data.norm, Normalization)


def test_normalized_values_beside_the_bytes_are_refused() -> None:
    x = normalize(UNIT)
    other = (0.4914, 0.4822, 0.4466), STD
    refused(lambda: Samples(x, normalized=other), DataError, "no k / 255", "mean and std")
    x[4, 1, 2, 3] += 1e-4
    refused(lambda: Samples(x, normalized=(MEAN, STD)), DataError, "no k / 255")
    over = normalize(UNIT + np.float32(1))
    refused(lambda: Samples(over, normalized=(MEAN, STD)), DataError, "k = 0 ... 255")
    refused(lambda: Samples(UNIT, normalized=(MEAN, STD), norm=(MEAN, STD)), UsageError, "leave")
    for wrong in ("image", 3, (1, 2, 3), ("a", "b")):
        refused(lambda wrong=wrong: Samples(UNIT, normalized=wrong), UsageError, "(mean, std)")


def test_negative_values_say_what_to_pass() -> None:
    refused(lambda: Samples(normalize(UNIT)), DataError, "normalized=(mean, std)", "range=(LOW")
    refused(lambda: Samples(UNIT * 16), DataError, "outside [0, 1]", "range=(LOW, HIGH)")


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (BYTES.astype(np.int64), ["int64", "uint8", "range=(LOW, HIGH)"]),
        (BYTES > 3, ["bool"]),
        (UNIT.astype(complex), ["complex"]),
        (np.zeros(3), ["(3,)"]),
        (np.zeros((0, 3)), ["(0, 3)"]),
        (np.array([[0.5], [np.nan]]), ["NaN", "sample 1"]),
        (np.array([["a"]]), ["<U1"]),
    ],
)
def test_arrays_that_are_refused(x: np.ndarray, words: list[str]) -> None:
    refused(lambda: Samples(x), DataError, *words)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (LABELS[:5].astype(float), ["(5,)", "(6, ...)"]),
        (LABELS.astype(np.uint64) - 1, ["label 18446744073709551615"]),
        (LABELS > 2, ["bool", "integer labels"]),
        (LABELS - 1, ["label -1"]),
        (LABELS[:5], ["(5,)", "(6,)"]),
        (np.eye(6, dtype=int) + 1, ["(6, 6)", "argmax"]),
    ],
)
def test_labels_that_are_refused(y: np.ndarray, words: list[str]) -> None:
    refused(lambda: Samples(BYTES, y), DataError, *words)
    refused(lambda: Samples((BYTES, y)), DataError, *words)


def test_floats_are_targets_of_a_regression() -> None:
    aim = np.linspace(-1, 1, 12).reshape(6, 2)
    data = Samples(BYTES, aim)
    assert data.y is None
    assert data.targets is not None
    np.testing.assert_array_equal(data.targets, aim.astype(np.float32))
    np.testing.assert_array_equal(data[2:4].targets, data.targets[2:4])
    assert "targets (2,)" in repr(data)


def test_named_normalizations_are_of_the_unit_range() -> None:
    x = np.full((2, 1, 3, 3), 200.0)
    assert Samples(x / 255, norm="mnist").norm == Normalization((0.1307,), (0.3081,))
    refused(
        lambda: Samples(x, norm="mnist", range=(0, 255)),
        UsageError,
        "norm=mnist is of values in [0, 1], these lie in [0, 255]",
        "write norm=33.3285/78.5655",
    )


class Net:
    """Not data."""


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (None, "NoneType"),
        (3, "int"),
        ([UNIT], "list"),
        (Net, "the class Net"),
        (Net(), "Net"),
        ({"a": [1]}, "list"),
        ({}, "dict"),
        ((UNIT, LABELS, LABELS), "tuple"),
    ],
)
def test_wrong_kinds_say_what_to_pass(x: Any, named: str) -> None:
    for make in (Samples, lambda value: as_samples(value, "test")):
        refused(lambda make=make: make(x), UsageError, named, "pass an array", "DataLoader")


def test_labels_come_once() -> None:
    np.testing.assert_array_equal(Samples((BYTES, list(LABELS))).y, LABELS)
    refused(lambda: Samples((BYTES, LABELS), LABELS), UsageError, "leave y out")
    refused(lambda: Samples(BYTES, "labels"), UsageError, "y is a value of type str")


def test_labels_are_no_input() -> None:
    with pytest.raises(DataError, match=r"'y' has shape \(6,\), .*: pass \(x, labels\) or"):
        Samples({"x": np.zeros((6, 1, 2, 2), np.float32), "y": np.zeros(6, np.int64)})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"levels": 0}, "levels=0; pass a whole number from 1 to 65535"),
        ({"levels": 2.5}, "levels=2.5; pass a whole number"),
        ({"indices": np.arange(6) + 0.5}, "indices are float64; pass whole numbers"),
        ({"indices": [2**70] * 6}, "indices are object; pass whole numbers"),
        ({"indices": -np.arange(6)}, "indices in -5 ... 0; they count from 0"),
        ({"name": "two\nlines"}, "pass a line of text"),
    ],
)
def test_options_that_are_refused(options: Any, told: str) -> None:
    refused(lambda: Samples(UNIT, **options), (UsageError, DataError), told)


def test_a_masked_array_is_refused() -> None:
    masked = np.ma.masked_array(UNIT, mask=UNIT > 0.5)
    refused(lambda: Samples(masked), DataError, "a masked array; pass x.filled(VALUE)")


def test_several_inputs() -> None:
    other = np.linspace(0, 1, 12).reshape(6, 2)
    data = Samples({"image": BYTES, "more": other}, LABELS)
    assert set(data.inputs_for(("more", "image"))) == {"image", "more"}
    np.testing.assert_array_equal(data.named["image"], UNIT)
    np.testing.assert_array_equal(data[1:3].named["more"], other[1:3].astype(np.float32))
    refused(lambda: Samples({"a": BYTES, "b": other[:5]}), DataError, "{'a': 6, 'b': 5}")
    refused(lambda: Samples({"a": BYTES}, norm=(0.5, 0.5)), DataError, "one input")


def test_slices_and_parts() -> None:
    data = Samples(BYTES, LABELS, norm=(0.5, 0.25), name="mine", split="train")
    part = data[1:5:2]
    assert (len(part), part.name, part.split, part.norm) == (2, "mine", "train", data.norm)
    np.testing.assert_array_equal(part.x, UNIT[1:5:2])
    assert list(part.indices) == list(part.y) == [1, 3]
    assert np.shares_memory(data[2:4].x, data.x)
    parts = list(data.parts(4))
    assert [len(p) for p in parts] == [4, 2]
    np.testing.assert_array_equal(np.concatenate([p.x for p in parts]), data.x)
    assert list(parts[1][1:].indices) == [5]
    for wrong in (3, [1, 2], slice("a", None), slice(0, 3, 0), slice(0.5, 2)):
        refused(lambda wrong=wrong: data[wrong], UsageError, "samples[3:4]", "subset")
    # A mask is no list of positions, nor is what would have to be cut to whole numbers.
    mask = np.array([False, True] * 3)
    refused(lambda: data.subset(mask), UsageError, "bool", "np.flatnonzero(mask)")
    refused(lambda: data.subset([1.5]), UsageError, "float64; pass whole numbers")
    with pytest.raises(TypeError):
        iter(data)


def test_texts() -> None:
    data = Samples("digits", split="train", name="ours")
    assert (data.split, data.levels, data.name) == ("train", 16, "ours")
    assert Samples("digits").split == "test"
    assert as_samples("digits", "train").split == "train"
    assert as_samples("digits@test", "train").split == "test"
    assert as_samples(data, "test") is data
    refused(lambda: Samples("digits@test", split="train"), UsageError, "'digits@test'", "'train'")
    refused(lambda: Samples("digits", LABELS), UsageError, "#norm=MEANS/STDS")
    refused(lambda: Samples("digits", norm=(0.5, 0.5)), UsageError, "write them into it")
    refused(lambda: Samples(BYTES, split="validation"), UsageError, "'validation'")


def test_a_path_is_a_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=UNIT, y=LABELS)
    np.testing.assert_array_equal(Samples(tmp_path / "a.npz").x, UNIT)
    assert Samples(str(tmp_path / "a.npz"), split="train").split == "train"


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_one_hot_rows_are_labels(kind: type) -> None:
    labels = np.array([2, 0, 1, 2])
    data = Samples(np.zeros((4, 3), np.float32), np.eye(3, dtype=kind)[labels])
    assert data.y is not None
    assert data.y.tolist() == labels.tolist()
    assert data.targets is None


def test_a_memory_map_is_not_copied_and_what_memory_does_not_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (np.arange(40).reshape(10, 4) / np.float32(255)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(values, "free_memory", lambda: 159)
    samples = Samples(mapped)
    assert np.shares_memory(samples.x, mapped)
    assert samples.levels == 255
    np.testing.assert_array_equal(samples.x, Samples(mapped).x)
    for given in (x, np.load(tmp_path / "x.npy", mmap_mode="c"), (255 * x).astype(np.uint8)):
        with pytest.raises(DataError, match=r"0.0 GB in single precision, memory has room for"):
            Samples(given)
    with pytest.raises(DataError, match=r"x.npz: x.npy: 0.0 GB in single precision"):
        Samples(str(tmp_path / "x.npz"))
