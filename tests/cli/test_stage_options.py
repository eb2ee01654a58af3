"""Options of commands made from signatures: names, types, defaults and help stand in the stages."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from neurodeploy import api
from neurodeploy.cli import run
from neurodeploy.cli.convert import conversion_options
from neurodeploy.cli.fields import stage_options


def stage(
    net: object,
    against: str | list[str],
    *,
    weights: str | Path | None = None,
    method: str = "auto",
    timesteps: int | None = None,
    max_loss: float | None = None,
    seed: int = 0,
    fast: bool = False,
    layer_bits: dict[str, int] | None = None,
    progress: object = None,
    **options: object,
) -> None:
    """A stage.

    Parameters
    ----------
    against : str or sequence of str
        What to compare with.
    weights : path, optional
        A state dict.
    method : {"auto", "rate"}
        ``auto`` stays within ``max_loss``.
    timesteps : int, optional
        Steps. [default: the method's]
    seed : int >= 0
    fast : bool
        Less exact.
    """


def made(**given: object) -> dict[str, click.Option]:
    return {option.opts[0]: option for option in stage_options(stage, **given)}


def test_every_parameter_is_an_option() -> None:
    options = made(leave_out=("net", "layer_bits"))
    assert list(options) == [
        *("--against", "--weights", "--method", "--timesteps", "--max-loss", "--seed", "--fast"),
    ]
    assert [o.name for o in options.values()][4] == "max_loss"
    metavars = ["NAME,...", "FILE", "auto|rate", "N", "X", "N", None]
    assert [o.metavar for o in options.values()] == metavars
    assert [o.required for o in options.values()] == [True, *[False] * 6]
    assert options["--method"].default == "auto"
    assert options["--method"].help == "'auto' stays within --max-loss."
    assert options["--timesteps"].help == "Steps. [default: the method's]"
    assert options["--fast"].is_flag


@pytest.mark.parametrize(
    ("given", "value"),
    [(["--seed", "3"], 3), (["--max-loss", "0.5"], 0.5), (["--fast"], True)],
)
def test_values_are_read_as_the_type_of_the_parameter(given: list[str], value: object) -> None:
    command = click.Command(
        "x", params=[*made(leave_out=("net", "against", "layer_bits")).values()]
    )
    name = given[0].removeprefix("--").replace("-", "_")
    found = command.make_context("x", given).params
    assert found[name] == value
    assert type(found[name]) is type(value)


def test_a_number_below_the_least_is_refused() -> None:
    command = click.Command("x", params=[made()["--seed"]])
    with pytest.raises(click.BadParameter, match="-1 is not in the range x>=0"):
        command.make_context("x", ["--seed", "-1"])


def test_conversions_take_the_same_options_wherever_they_are_offered() -> None:
    def named(*leave_out: str) -> dict[str, str | None]:
        @conversion_options(*leave_out)
        def command() -> None: ...

        return {o.name: o.help for o in reversed(command.__click_params__)}

    own = set(api.options_of(api.convert)) - {"model", "data", "tell", "progress"}
    options = named()
    assert own < set(options)
    assert all(options[name] for name in own)
    without = named("timesteps")
    assert {name: text for name, text in options.items() if name != "timesteps"} == without


def test_an_option_without_its_value_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """click took required ones of them for None."""
    from neurodeploy.cli.group import COMMANDS, cli

    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        valued = [p for p in command.params if isinstance(p, click.Option) and not p.is_flag]
        for option in valued:
            assert run([name, option.opts[-1]]) == 2
            told = capsys.readouterr().err
            assert f"requires an argument; see 'neurodeploy {name} --help'" in told


@pytest.mark.parametrize("command", ["convert", "quantize", "compile", "verify", "energy"])
def test_every_option_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from neurodeploy.cli.group import cli

    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    silent = [p.opts[-1] for p in found.params if isinstance(p, click.Option) and not p.help]
    assert silent == []
    assert run([command, "--help"]) == 0
    assert "--debug" in capsys.readouterr().out
