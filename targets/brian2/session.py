"""Importing and driving Brian2 without its marks on the user's process."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.targets.base import Readiness
from neurodeploy.targets.brian2.import_guard import none_of_the_working_directory
from neurodeploy.targets.imports import import_failure, import_report

CODEGENS = ("numpy", "cython")
FIRST_NUMPY_WITHOUT_BRIAN2 = (2, 3)
REMEDY = "pip install 'neurodeploy[brian2]' (brian2 2.9.0 needs NumPy < 2.3)"

# As runs import it: nothing of the working directory is executed.
_LOAD = """
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.targets.brian2.session import load_brian2
try:
    load_brian2()
except TargetUnavailableError as error:
    cause = error.__cause__
    said = str(error).removeprefix("target brian2: ")
    sys.exit(f"{type(cause).__name__}: {cause}" if cause else said)
"""


def unavailable() -> str | None:
    """None if Brian2 can be imported here, else one sentence with the reason and the remedy."""
    if importlib.util.find_spec("brian2") is None:
        return "brian2 is not installed; pip install 'neurodeploy[brian2]'"
    numpy_version = tuple(int(part) for part in np.__version__.split(".")[:2])
    brian2_version = importlib.metadata.version("brian2")
    if numpy_version >= FIRST_NUMPY_WITHOUT_BRIAN2 and brian2_version.startswith(("2.8", "2.9")):
        return (
            f"brian2 {brian2_version} cannot be imported with NumPy {np.__version__}; "
            "pip install 'numpy<2.3'"
        )
    return None


def readiness() -> Readiness:
    """Whether Brian2 really imports, in a process of its own."""
    failure = import_failure("brian2", _LOAD)
    report = import_report("brian2", failure)
    return Readiness(failure is None, report, None if failure is None else REMEDY)


def load_brian2() -> Any:
    """Import brian2 and return it; nothing else imports it.

    A file ``brian_preferences`` of the working directory, which Brian2 would execute, is left
    alone. Where this is the first import in the process, what Brian2 does to the process on import
    is undone: its hooks for exceptions, warnings and SIGINT, its log file and its copy of the main
    script. A process that imported brian2 itself keeps them.

    Raises
    ------
    TargetUnavailableError
        If it is not installed or cannot be imported.
    """
    loaded = sys.modules.get("brian2")
    if loaded is not None and hasattr(loaded, "Network"):
        return loaded
    reason = unavailable()
    if reason is not None:
        raise TargetUnavailableError(f"target brian2: {reason}")
    if threading.current_thread() is not threading.main_thread():
        raise TargetUnavailableError(
            "target brian2: brian2 can be imported in the main thread only; import it there first"
        )
    hook, handler = sys.excepthook, signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings(), none_of_the_working_directory():
            # Deprecations of Brian2's own dependencies are nothing a user can mend.
            warnings.simplefilter("ignore")
            brian2 = importlib.import_module("brian2")
            _unhook_logging(brian2.BrianLogger)
    except Exception as error:
        raise TargetUnavailableError(
            f"target brian2: brian2 cannot be imported ({type(error).__name__}: {error})"
        ) from error
    finally:
        sys.excepthook = hook
        signal.signal(signal.SIGINT, handler)
    return brian2


def _unhook_logging(logger: Any) -> None:
    logging.captureWarnings(False)
    logging.getLogger("py.warnings").removeHandler(logger.console_handler)
    if logger.file_handler is not None:
        logging.getLogger("brian2").removeHandler(logger.file_handler)
        logger.file_handler.close()
        logger.file_handler = None
    for attribute in ("tmp_log", "tmp_script"):
        name = getattr(logger, attribute)
        if name is not None:
            Path(name).unlink(missing_ok=True)
            setattr(logger, attribute, None)


def code_object_class(codegen: str) -> Any:
    """Brian2's class for a code generation target.

    Raises
    ------
    UsageError
        For an unknown one.
    """
    load_brian2()
    if codegen == "numpy":
        from brian2.codegen.runtime.numpy_rt import NumpyCodeObject

        return NumpyCodeObject
    if codegen == "cython":
        from brian2.codegen.runtime.cython_rt import CythonCodeObject

        return CythonCodeObject
    raise UsageError(f"target brian2: codegen {codegen!r}; expected one of {', '.join(CODEGENS)}")


@contextlib.contextmanager
def quiet_preferences(codegen: str) -> Iterator[Any]:
    """Yield brian2 with our code generation target and without messages below an error.

    The user's preferences and log level are back afterwards.
    """
    brian2 = load_brian2()
    code_object_class(codegen)
    preferences = {"codegen.target": codegen, "codegen.string_expression_target": codegen}
    before = {name: brian2.prefs[name] for name in preferences}
    logger = logging.getLogger("brian2")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        for name, value in preferences.items():
            brian2.prefs[name] = value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield brian2
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            brian2.prefs[name] = value
