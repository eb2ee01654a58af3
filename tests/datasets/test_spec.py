"""The text that names a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurodeploy.datasets import Normalization, parse_spec
from neurodeploy.datasets.normalization import IMAGENET
from neurodeploy.datasets.spec import training_text
from neurodeploy.errors import UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("text", "kind", "path", "split", "first"),
    [
        ("digits", "digits", None, None, None),
        ("digits@train", "digits", None, "train", None),
        ("digits:@test#first=7", "digits", None, "test", 7),
        ("mnist:data/mnist", "mnist", "data/mnist", None, None),
        ("cifar10:data@train#first=12", "cifar10", "data", "train", 12),
        ("cifar10:a@b/c@test", "cifar10", "a@b/c", "test", None),
        ("x.npz", "npz", "x.npz", None, None),
        ("some/x.npz#first=3", "npz", "some/x.npz", None, 3),
        ("npz:x.dat#first=3", "npz", "x.dat", None, 3),
        ("odd:name.npz", "npz", "odd:name.npz", None, None),
        ("a#b/x.npz", "npz", "a#b/x.npz", None, None),
        ("me@home.npz", "npz", "me@home.npz", None, None),
    ],
)
def test_parts(
    text: str, kind: str, path: str | None, split: str | None, first: int | None
) -> None:
    spec = parse_spec(text)
    assert (spec.kind, spec.split, spec.first) == (kind, split, first)
    assert spec.path == (None if path is None else Path(path))
    assert spec.text == text


def test_norm_and_range() -> None:
    assert parse_spec("mnist:d#norm=0.1307/0.3081").norm == Normalization((0.1307,), (0.3081,))
    assert parse_spec("cifar10:d#norm=imagenet#first=2").norm == IMAGENET
    assert parse_spec("cifar10:d#first=2#norm=1,2,3/4,5,6").norm == Normalization(
        (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    )
    assert parse_spec("x.npz#range=-1,1").value_range == (-1.0, 1.0)


def test_a_name_that_looks_like_a_modifier_is_found_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run#first=3", "set@train", "both@test"):
        (tmp_path / name).mkdir()
    assert parse_spec("mnist:run#first=3").path == Path("run#first=3")
    assert parse_spec("mnist:run#first=3").first is None
    assert parse_spec("mnist:run#first=3#first=2").first == 2
    assert parse_spec("mnist:set@train").path == Path("set@train")
    assert parse_spec("mnist:both@test@train").split == "train"
    assert parse_spec("mnist:other@train").split == "train"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cifar:data", ["data set kind 'cifar'", "mnist:PATH", "FILE.npz"]),
        ("digit", ["data set kind 'digit'", "did you mean 'digits'"]),
        ("", ["data set kind ''"]),
        ("mnist:d@validation", ["split", "'validation'", "test, train"]),
        ("digits@tets", ["split", "did you mean 'test'"]),
        ("mnist:d#frist=3", ["option", "'frist'", "did you mean 'first'"]),
        ("mnist:d#first", ["option", "'first'"]),
    ],
)
def test_unknown_names_list_the_alternatives(text: str, words: list[str]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mnist", "mnist needs a path"),
        ("npz:", "npz needs a path"),
        ("digits:some/where", "takes no path"),
        ("mnist:d#range=0,1", "known range"),
        ("mnist:d#first=0", "first=0"),
        ("mnist:d#first=-1", "first=-1"),
        ("mnist:d#first=2.5", "first=2.5"),
        ("mnist:d#first=1#first=2", "given twice"),
        ("mnist:d#norm=mnis", "neither one of mnist, cifar10, imagenet nor MEANS/STDS"),
        ("mnist:d#norm=0.1/a", "'a' where numbers"),
        ("mnist:d#norm=nan/1", "'nan' where numbers"),
        ("mnist:d#norm=1,2/3", "2 means and 1 standard deviations"),
        ("mnist:d#norm=1/0", "above 0"),
        ("x.npz#range=1", "LOW,HIGH"),
        ("x.npz#range=1,1", "LOW below HIGH"),
    ],
)
def test_values_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "training"),
    [
        ("digits", "digits@train"),
        ("digits@test#first=7", "digits@train"),
        ("mnist:data/mnist@test", "mnist:data/mnist@train"),
        ("cifar10:c#norm=imagenet#first=3", "cifar10:c@train#norm=imagenet"),
        ("mnist:d#norm=mnist", "mnist:d@train#norm=mnist"),
        ("cifar10:c#norm=0.1,0.2,0.3/0.4,0.5,0.6", "cifar10:c@train#norm=0.1,0.2,0.3/0.4,0.5,0.6"),
    ],
)
def test_the_training_split_of_the_same_data(text: str, training: str) -> None:
    assert training_text(text) == training
    assert parse_spec(training).norm == parse_spec(text).norm


def test_an_npz_file_has_no_training_split() -> None:
    with pytest.raises(UsageError, match="no training split"):
        training_text("some.npz")
