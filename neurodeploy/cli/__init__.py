"""The command line: one file per command, imported only when that command runs."""

from __future__ import annotations

# Little, and quick: an interrupt is told in a line from main() on.
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USER_ERROR = 2
BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

_IS_BUG = (
    "neurodeploy: this is a bug in neurodeploy; please report it with the lines above and the "
    "output of 'neurodeploy doctor'"
)

COMPLETION = "_NEURODEPLOY_COMPLETE"
"""The variable by which click's completion scripts ask, with ``bash_source`` and so on."""


class Terminated(BaseException):
    """SIGTERM came; unwinds like KeyboardInterrupt, so that nothing stays behind."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``neurodeploy`` and exit.

    The exit status is 0 for success, 1 where a command found what it looks for to be false (a
    mismatch) and never else, 2 for an error the user can mend (one line on standard error), 70 for
    a bug (with a traceback), 130 after an interrupt, 141 where the reader of the output left, 143
    after SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.
    """
    _catch_early_interrupt()
    try:
        _open_missing_streams()
        _catch_termination()
        try:
            shell = os.environ.get(COMPLETION)
            given = sys.argv[1:] if arguments is None else arguments
            status = run(given) if shell is None else _complete(shell)
        except Terminated:
            _tell("neurodeploy: terminated")
            status = TERMINATED
        status = _flush(status)
    except BrokenPipeError:
        # Of standard output, or of standard error while an error was told.
        _hush()
        status = BROKEN_PIPE
    except KeyboardInterrupt:
        _tell("neurodeploy: interrupted")
        status = INTERRUPTED
    except Exception:
        # Python would end with status 1, which says "mismatch" here.
        status = _bug()
    finally:
        _unwind_after_interrupts()
    sys.exit(status)


def _catch_early_interrupt() -> None:
    """Until there is something to undo, an interrupt ends the process at once."""
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def _end_at_once(number: int, frame: object) -> None:
    _tell("neurodeploy: interrupted")
    os._exit(INTERRUPTED)


def _unwind_after_interrupts() -> None:
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _tell(line: str) -> None:
    """A line on standard error, as far as it takes one: the status tells it too."""
    try:
        os.write(2, f"{line}\n".encode())
    except OSError:
        return


def _bug() -> int:
    import traceback

    _tell(traceback.format_exc().rstrip("\n"))
    _tell(_IS_BUG)
    return BUG


def _open_missing_streams() -> None:
    """Standard streams that the caller closed lead nowhere, and no file takes their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _complete(shell: str) -> int:
    """Answer a shell that completes a command line, as click does it."""
    from click.shell_completion import shell_complete

    from neurodeploy.cli.group import cli

    if shell_complete(cli, {}, "neurodeploy", COMPLETION, shell) == 0:
        return 0
    kinds = "bash_source, zsh_source or fish_source"
    print(f"neurodeploy: error: {COMPLETION}={shell}: expected {kinds}", file=sys.stderr)
    return USER_ERROR


def _flush(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if status == 0:
            print(f"neurodeploy: error: standard output: {error.strerror}", file=sys.stderr)
            status = USER_ERROR
        _hush()
    return status


def _catch_termination() -> None:
    # A program that calls main() and has its own way of ending keeps it.
    if not _in_main_thread():
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

    from neurodeploy.cli.group import COMMANDS, State, cli
    from neurodeploy.cli.terminal import one_line_warnings, say, tell
    from neurodeploy.errors import NeurodeployError, is_out_of_memory

    _unwind_after_interrupts()
    state = State(arguments=tuple(arguments))

    def fail(message: str) -> int:
        if state.debug:
            import traceback

            traceback.print_exc()
        tell(f"neurodeploy: error: {message}")
        return USER_ERROR

    try:
        # Not cli.main(), which ends a broken pipe with status 1: that says "mismatch" here.
        with (
            one_line_warnings(state),
            cli.make_context("neurodeploy", list(arguments), obj=state) as context,
        ):
            cli.invoke(context)
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except NeurodeployError as error:
        return fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return USER_ERROR
    except click.UsageError as error:
        named = next((a for a in arguments if a in COMMANDS), "")
        command = error.ctx.command_path if error.ctx else f"neurodeploy {named}".rstrip()
        message = error.format_message().rstrip(".")
        return fail(f"{message}; see '{command} --help'")
    except click.ClickException as error:
        return fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        tell("neurodeploy: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return fail(f"{error.filename}: {reason}" if error.filename else reason)
    except SystemExit as error:
        # Somebody's code that ends the process: its status would be taken for one of these.
        return fail(f"ended by SystemExit({error.code!r}), which code of others raised")
    except Exception as error:
        if is_out_of_memory(error):
            return fail("out of memory; use fewer samples (--samples) or fewer time steps")
        import traceback

        for line in traceback.format_exc().splitlines():
            tell(line, whole=True)
        tell(_IS_BUG)
        return BUG


def _hush() -> None:
    # The reader is gone; the interpreter must not complain about it again when it flushes at exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
