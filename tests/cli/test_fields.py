"""Click options made from dataclasses, and the texts that commands read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import click
import pytest

from neurodeploy.cli.compile import option_values
from neurodeploy.cli.fields import field_options, field_values
from neurodeploy.cli.options import key_values
from neurodeploy.cli.quantize import weight_widths
from neurodeploy.errors import UsageError
from neurodeploy.ir.provenance import command_text, without_folders


@dataclass(frozen=True)
class Method:
    """A method.

    Parameters
    ----------
    timesteps : int
        T.
    kind_of_norm : {"max", "mean"}
        What it is
        divided by.
    leak : float
    signed : bool
    reset : str
        Named ``soft``.
    """

    timesteps: int = 3
    kind_of_norm: str = "max"
    leak: float = 0.5
    signed: bool = False
    reset: Literal["soft", "hard"] = "soft"


@dataclass(frozen=True)
class Other:
    """Shares one field.

    Parameters
    ----------
    leak : int
    depth : int
    """

    leak: int = 2
    depth: int = 1


def options_of(*classes: type, leave_out: tuple[str, ...] = ()) -> dict[str, click.Option]:
    found = field_options({c.__name__.lower(): c for c in classes}, leave_out)
    return {option.opts[0]: option for option in found}


def test_every_field_is_an_option_with_its_documentation() -> None:
    options = options_of(Method, leave_out=("timesteps",))
    assert list(options) == ["--kind-of-norm", "--leak", "--signed", "--reset"]
    norm = options["--kind-of-norm"]
    assert norm.metavar == "max|mean"
    assert norm.help == "What it is divided by.  [default: max]"
    assert [o.metavar for o in options.values()] == ["max|mean", "X", "true|false", "soft|hard"]
    assert options["--reset"].help == "Named 'soft'.  [default: soft]"


def test_methods_share_options_of_one_name_and_read_them_as_their_own_type() -> None:
    options = options_of(Method, Other)
    assert "--depth" in options
    assert options["--leak"].help == "[default: the method's]"
    assert options["--depth"].help == "[other: 1]"
    assert options_of(Method)["--leak"].help == "[default: 0.5]"
    assert field_values(Method, {"leak": "1", "reset": None}) == {"leak": 1.0}
    assert field_values(Other, {"leak": "1"}) == {"leak": 1}
    with pytest.raises(UsageError, match=r"--leak '1\.5': expected a whole number"):
        field_values(Other, {"leak": "1.5"})


def test_values_of_every_type() -> None:
    given = {"timesteps": "7", "signed": "yes", "leak": "1e-3", "reset": "hard", "plug": "in"}
    values = field_values(Method, given)
    assert values == {
        "timesteps": 7,
        "signed": True,
        "leak": 0.001,
        "reset": "hard",
        "plug": "in",
    }
    with pytest.raises(UsageError, match="--signed 'maybe': expected true or false"):
        field_values(Method, {"signed": "maybe"})


@pytest.mark.parametrize(
    ("text", "widths"),
    [
        ("8", (8, {})),
        ("conv1=4", (None, {"conv1": 4})),
        ("6, conv1=4, output = 8", (6, {"conv1": 4, "output": 8})),
    ],
)
def test_weight_widths(text: str, widths: object) -> None:
    assert weight_widths(text) == widths


@pytest.mark.parametrize("text", ["", "8,", "a", "a=", "=4", "4,5", "a=4,a=5", "0", "a=-1", "3.5"])
def test_widths_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--weight-bits"):
        weight_widths(text)


def test_key_values() -> None:
    assert key_values(["a-b=1", "c=x=y", "d="], "--set") == {"a_b": "1", "c": "x=y", "d": ""}
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="--set"):
            key_values(bad, "--set")


def test_target_options_are_read_as_their_defaults() -> None:
    assert option_values("brian2", ("codegen=7", "max-synapses=5")) == {
        "codegen": "7",
        "max_synapses": 5,
    }
    limits = ("time_limit_s=5", "samples_side_by_side=None")
    values = option_values("lava", limits)
    assert values == {"time_limit_s": 5.0, "samples_side_by_side": None}
    assert isinstance(values["time_limit_s"], float)
    assert option_values("lava", ("samples_side_by_side=3",)) == {"samples_side_by_side": 3}


@pytest.mark.parametrize(
    ("argument", "recorded"),
    [
        ("/a/b/net.ndn", "net.ndn"),
        ("../b/net.ndn", "../b/net.ndn"),
        ("mnist:/a/b/mnist@test#first=3", "mnist:mnist@test#first=3"),
        ("digits#norm=0.5,0.4/0.2,0.2", "digits#norm=0.5,0.4/0.2,0.2"),
        ("cifar10:/a/c#norm=0.5/0.2", "cifar10:c#norm=0.5/0.2"),
        ("--weights=/a/w.pt", "--weights=w.pt"),
        ("/a/zoo.py:lenet", "zoo.py:lenet"),
        ("8,16,32", "8,16,32"),
    ],
)
def test_a_recorded_command_names_no_folder_of_this_machine(argument: str, recorded: str) -> None:
    assert without_folders(argument) == recorded
    assert command_text(["run", argument]) == ["neurodeploy", "run", recorded]
