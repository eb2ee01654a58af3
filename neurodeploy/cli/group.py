"""The top-level command: knows each command's name and summary, imports it only to run it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import click

from neurodeploy.errors import UnknownNameError
from neurodeploy.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "convert": ("neurodeploy.cli.convert:convert", "Trained network to real-valued netlist."),
    "import": (
        "neurodeploy.cli.import_network:import_",
        "Spiking network of another framework to a netlist.",
    ),
    "quantize": ("neurodeploy.cli.quantize:quantize", "Real-valued netlist to integers."),
    "compile": ("neurodeploy.cli.compile:compile_", "Integer netlist to a target's deployment."),
    "export": ("neurodeploy.cli.export:export", "A netlist to the file of another framework."),
    "run": ("neurodeploy.cli.run_command:run", "Run a deployment on data."),
    "stream": ("neurodeploy.cli.stream:stream", "Run a recording of any length piece by piece."),
    "verify": ("neurodeploy.cli.verify:verify", "Compare a deployment spike for spike."),
    "energy": ("neurodeploy.cli.energy:energy", "Energy and time per inference on a board."),
    "evaluate": ("neurodeploy.cli.evaluate:evaluate", "Accuracy, step by step."),
    "sweep": ("neurodeploy.cli.sweep:sweep", "Many configurations, on processes or a cluster."),
    "report": ("neurodeploy.cli.report:report", "Everything about a network in one page."),
    "diagnose": ("neurodeploy.cli.diagnose:diagnose", "Where a conversion loses, and why."),
    "inspect": ("neurodeploy.cli.inspect:inspect", "What is in a netlist or a deployment."),
    "targets": ("neurodeploy.cli.targets:targets", "The targets and their options."),
    "boards": ("neurodeploy.cli.boards:boards", "The boards and their constants."),
    "methods": ("neurodeploy.cli.methods:methods", "The conversion methods and their options."),
    "deploy": (
        "neurodeploy.cli.deploy:deploy",
        "All of these for a trained network, board by board.",
    ),
    "demo": ("neurodeploy.cli.demo:demo", "All of it on a small network and embedded data."),
    "doctor": ("neurodeploy.cli.doctor:doctor", "What is installed and which targets work."),
}
"""Name -> (``module:attribute`` of a click command, summary for ``--help``), in order of use."""


@dataclass
class State:
    """State of the top level and the commands during one run."""

    debug: bool = False
    arguments: tuple[str, ...] = ()


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(State).debug = True


def debug_option() -> click.Option:
    """``--debug``, accepted before and after the command's name."""
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None for a name that is not in the table."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(debug_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments.

        Raises
        ------
        UnknownNameError
            For a command that does not exist.
        """
        told = not ctx.resilient_parsing and not args[0].startswith("-")
        if told and args[0] not in COMMANDS:
            raise UnknownNameError("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _build() -> click.Group:
    group = LazyGroup(
        name="neurodeploy",
        help="Compile trained networks to spiking hardware and verify them spike for spike.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[debug_option()],
    )
    decorate: Any = click.version_option(__version__, prog_name="neurodeploy")
    decorated: click.Group = decorate(group)
    return decorated


cli = _build()
