"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from neurodeploy.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

SPEC_HELP = (
    "KIND:PATH[@train|test][#first=N][#norm=mnist|cifar10|imagenet|MEANS/STDS] with KIND digits "
    "(no path), mnist, cifar10 or imagefolder, FILE.npz[#range=LOW,HIGH][#layout=NHWC] holding x "
    "and y, FILE.py:FACTORY that gives them, or recordings for a network of spikes, "
    "events:PATH#dt=1ms[,size=WxH,...] (docs/events.md). #norm, in the units that #range "
    "declares, is for convert; later commands take it from the file."
)


def check_option(function: F) -> F:
    """``--no-check``: passes ``check: bool``."""
    return click.option(
        "--no-check",
        "check",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Take compiled files as they are, even if they were changed after compilation.",
    )(function)


def json_option(function: F) -> F:
    """``--json``: passes ``as_json: bool``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        function
    )


def samples_option(function: F) -> F:
    """``--samples N``: passes ``samples: int | None``, None meaning all."""
    return click.option(
        "--samples",
        type=click.IntRange(min=1),
        metavar="N",
        help="Use the first N samples only.  [default: all]",
    )(function)


def data_option(required: bool = True, what: str = "") -> Callable[[F], F]:
    """``--data SPEC``: passes ``data: str`` (None where not required and not given)."""
    return click.option("--data", required=required, metavar="SPEC", help=what + SPEC_HELP)


def output_option(required: bool = True, what: str = "Where to write.") -> Callable[[F], F]:
    """``-o/--output PATH``: passes ``output: Path`` (None where not required and not given)."""
    return click.option(
        "-o",
        "--output",
        required=required,
        type=click.Path(path_type=Path),
        metavar="PATH",
        help=what,
    )


def expect_output(path: Path, suffix: str, source: Path | None = None) -> None:
    """Refuse, before any work, a file name that hides what will be in it or cannot be written.

    Raises
    ------
    UsageError
        If ``path`` does not end in ``suffix``, is the file ``source`` that is read and would be
        lost, or its folder cannot be written.
    """
    from neurodeploy import api

    if path.suffix != suffix:
        raise UsageError(f"--output {path}: choose a name that ends in {suffix}")
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise UsageError(f"--output {path}: that is the file which is read; choose another name")
    api.expect_writable(path)


def with_options(make: Callable[[], list[click.Option]]) -> Callable[[F], F]:
    """Several options that a function makes, as one decorator."""

    def decorate(function: F) -> F:
        for option in reversed(make()):
            # Where click's own decorators leave the options of a function that is no command yet.
            declared: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
            declared.append(option)
        return function

    return decorate


def key_values(settings: Sequence[str], option: str) -> dict[str, str]:
    """Read ``key=value`` texts; dashes in a key count as underscores.

    Raises
    ------
    UsageError
        For a text without ``=`` or key, or a key that is given twice.
    """
    found: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"{option} {text!r}: expected key=value")
        if key in found:
            raise UsageError(f"{option} {text!r}: {key} is given twice")
        found[key] = value
    return found
