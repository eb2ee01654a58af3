"""The command line: one file per command, imported only when that command runs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

USER_ERROR = 2
BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM came; unwinds like KeyboardInterrupt, so that nothing stays behind."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``neurodeploy`` and exit.

    The exit status is 0 for success, 1 where a command found what it looks for to be false (a
    mismatch), 2 for an error the user can mend (one line on standard error), 70 for a bug (with a
    traceback), 130 after an interrupt, 143 after SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.
    """
    _catch_termination()
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
    except Terminated:
        print("neurodeploy: terminated", file=sys.stderr)
        status = TERMINATED
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = _hush()
    sys.exit(status)


def _catch_termination() -> None:
    # A program that calls main() and has its own way of ending keeps it.
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    owner = os.getpid()

    def handle(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == owner:
            raise Terminated
        # Forks end at once, as they did before.
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; everything that goes wrong is told on stderr."""
    import click

    from neurodeploy.cli.group import State, cli
    from neurodeploy.errors import NeurodeployError

    state = State(arguments=tuple(arguments))

    def fail(message: str) -> int:
        if state.debug:
            import traceback

            traceback.print_exc()
        print(f"neurodeploy: error: {' '.join(message.split())}", file=sys.stderr)
        return USER_ERROR

    try:
        # Not cli.main(), which ends a broken pipe with status 1: that says "mismatch" here.
        with (
            _one_line_warnings(),
            cli.make_context("neurodeploy", list(arguments), obj=state) as context,
        ):
            cli.invoke(context)
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except NeurodeployError as error:
        return fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return USER_ERROR
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "neurodeploy"
        message = error.format_message().rstrip(".")
        return fail(f"{message}; see '{command} --help'")
    except click.ClickException as error:
        return fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        print("neurodeploy: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return _hush()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return fail(f"{error.filename}: {reason}" if error.filename else reason)
    except MemoryError:
        return fail("out of memory; use fewer samples (--samples) or fewer time steps")
    except Exception:
        import traceback

        traceback.print_exc()
        print(
            "neurodeploy: this is a bug in neurodeploy; please report it with the lines above and "
            "the output of 'neurodeploy doctor'",
            file=sys.stderr,
        )
        return BUG


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Warnings of neurodeploy as one line each, without the place in the code; each once."""
    from neurodeploy.errors import NeurodeployWarning

    with warnings.catch_warnings():
        show = warnings.showwarning
        told: set[str] = set()

        def tell(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, NeurodeployWarning):
                show(message, category, *where)
            elif str(message) not in told:
                told.add(str(message))
                print(f"warning: {message}", file=sys.stderr)

        warnings.simplefilter("always", NeurodeployWarning)
        warnings.showwarning = tell
        yield


def _hush() -> int:
    # The reader is gone; the interpreter must not complain about it again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
