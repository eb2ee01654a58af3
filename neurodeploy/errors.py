"""Every error that neurodeploy raises on purpose.

A message is one line and says where, what, got against limit, and the remedy. The command line
prints it without a traceback and exits with status 2.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from types import FrameType


class NeurodeployError(Exception):
    """Base of all errors a user can cause or mend."""


class UsageError(NeurodeployError):
    """An argument or option that cannot be used as given."""


class UnknownNameError(UsageError):
    """A name that no registry holds; the message lists those that exist.

    Parameters
    ----------
    kind : str
        What was looked up, for example ``"target"``.
    name : str
        The name that was not found; anything else is told as it is.
    known : iterable of str
        The names that exist.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else ()
        hint = f"; did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(names) or 'none'}{hint}")


class NetlistError(NeurodeployError, ValueError):
    """A netlist or analog graph that contradicts itself."""


class UnsupportedLayerError(NeurodeployError):
    """An operation of the source network that is not converted."""


class ConversionError(NeurodeployError):
    """A source network that could not be turned into a spiking netlist."""


class QuantizationError(NeurodeployError):
    """Values that the requested integer widths cannot represent."""


class CapacityError(NeurodeployError):
    """A netlist that exceeds what a target or a board can hold or compute exactly."""


class FileFormatError(NeurodeployError):
    """A file that is missing, truncated, of another version or not what it should be."""


class DataError(NeurodeployError):
    """A data set, or a part of it, that cannot be used."""


class BoardError(NeurodeployError):
    """A board description that is wrong or incomplete."""


class TargetUnavailableError(NeurodeployError):
    """A target whose software is not installed here."""


class ExecutionError(NeurodeployError):
    """A run that broke off: a worker that died, hung, or reported an error."""


class MismatchError(NeurodeployError, AssertionError):
    """A deployment that does not equal what it was compared with, where a caller insists on it."""


class NeurodeployWarning(UserWarning):
    """A result that is to be taken with care; the message is one line."""


def warn_user(message: str) -> None:
    """Warn at the line that called neurodeploy, through however many of its functions."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "neurodeploy":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, NeurodeployWarning, stacklevel=level)


def first_line(error: BaseException, most: int | None = None) -> str:
    """First line of what another library's error says, or its type where it says nothing."""
    lines = str(error).splitlines() or [""]
    return lines[0][:most] or type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory; torch has no type for it on the CPU."""
    says = ("can't allocate memory", "not enough memory", "out of memory")
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in says)
    return told or isinstance(error, MemoryError)
