"""Grids, and lists of configurations in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurodeploy.errors import FileFormatError, NeurodeployError, UsageError
from neurodeploy.stages.sweep_options import checked_configuration, sweep_options
from neurodeploy.sweeps.configurations import (
    expect_different,
    grid,
    key_of,
    label,
    read_configurations,
)

TWO = [{"method": "rate", "timesteps": 2}, {"method": "rate", "timesteps": 4}]


def test_a_grid_has_all_combinations_with_the_last_axis_fastest() -> None:
    assert grid({"method": "rate", "timesteps": [2, 4]}) == TWO
    assert len(grid({"a": [1, 2, 3], "b": [4, 5], "c": [6, 7]})) == 12


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", '[{"method": "rate", "timesteps": [2, 4]}]'),
        ("x.json", '[{"method": "rate", "timesteps": 2}, {"method": "rate", "timesteps": 4}]'),
        ("x.toml", '[[configuration]]\nmethod = "rate"\ntimesteps = [2, 4]\n'),
        ("x.csv", "method,timesteps,weight-bits\nrate,2,\n\nrate,4,\n"),
    ],
)
def test_files_hold_the_same(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    read = read_configurations(tmp_path / name)
    assert [checked_configuration("x", c) for c in read] == TWO


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "{", "is no JSON"),
        ("x.json", '{"method": "rate"}', "expected a list of objects"),
        ("x.json", '[{"method": "rate", "method": "graded"}]', "is no JSON"),
        ("x.json", '[{"timesteps": []}]', "configuration 1: sweep: timesteps has no values"),
        ("x.json", "[]", "holds no configuration"),
        ("x.toml", "[configuration", "is no TOML"),
        ("x.toml", "method = 'rate'", "'method' is none of its tables"),
        ("x.csv", "method,method\nrate,rate\n", "names an option twice"),
        ("x.csv", "method,timesteps\nrate\n", "configuration 1 has 1 cells, the first line 2"),
        ("x.py", "print(1)", "expected the name of a .json, .toml, .csv file"),
    ],
)
def test_other_files_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_configurations(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timestep": 2}, "unknown option in x .* 'timestep'; .*did you mean 'timesteps'"),
        ({"method": "rate", "neg_threshold": 1}, "unknown option in x .method rate. 'neg_thr"),
        ({"method": "rat"}, "unknown method 'rat'"),
        ({"method": 3}, "method 3: expected its name"),
        ({"timesteps": "two"}, "x: timesteps 'two': expected a whole number"),
        ({"timesteps": True}, "x: timesteps True: expected a whole number"),
        ({"method": "rate", "timesteps": 0}, "timesteps 0: at least 1"),
        ({"weight_bits": 9}, "9 bits; expected 2 to 8"),
        ({"layer_bits": "conv1=4"}, "layer_bits: expected a table"),
        ({"input": "voice"}, "unknown encoder in x 'voice'"),
        ({"weights": "x.pt"}, "unknown option in x"),
    ],
)
def test_options_that_are_none_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(NeurodeployError, match=message):
        checked_configuration("x", given)


def test_options_of_the_stages_can_be_swept() -> None:
    assert {"method", "timesteps", "weight_bits", "state_bits", "input", "seed"} <= set(
        sweep_options()
    )
    assert not {"model", "data", "board", "tell"} & set(sweep_options())


def test_the_order_of_options_makes_no_other_configuration() -> None:
    one, other = {"method": "rate", "timesteps": 2}, {"timesteps": 2, "method": "rate"}
    assert key_of(one) == key_of(other)
    with pytest.raises(UsageError, match="configurations 1 and 2 are the same"):
        expect_different([one, other])
    assert label(one) == "rate timesteps=2"
