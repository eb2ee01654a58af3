"""The worker: ``python -m neurodeploy.targets.lava.worker PARENT_PID FOLDER...`` runs jobs in turn.

It runs in the interpreter that has Lava and leads a session of its own. How each job ended stands
in its folder's ``status.json``, of a stream that it has begun; tracebacks go to the log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from neurodeploy.errors import NeurodeployError
from neurodeploy.targets.lava.job import done_status, read_job, write_status
from neurodeploy.targets.lava.supervision import PULSE_FILE

PULSE_S = 0.2
SWEEPER_S = 3.0


def main(arguments: Sequence[str]) -> int:
    """Run every job; 0 if all of them ended well."""
    parent, folders = int(arguments[0]), [Path(a) for a in arguments[1:]]
    threading.Thread(target=_live_with, args=(parent, folders), daemon=True).start()
    return max([_run(folder) for folder in folders], default=0)


def _live_with(parent: int, folders: Sequence[Path]) -> None:
    # The folder may go first.
    with contextlib.suppress(FileNotFoundError):
        while os.getppid() == parent:
            (folders[0] / PULSE_FILE).touch()
            time.sleep(PULSE_S)
    # The sweeper, which also cleans up, is quicker unless it was killed too.
    time.sleep(SWEEPER_S)
    os.killpg(0, signal.SIGTERM)


def _run(folder: Path) -> int:
    try:
        from neurodeploy.targets.lava.execution import execute, serve

        job, bundle = read_job(folder)
        if job.stream:
            serve(job, bundle, lambda made: write_status(folder, done_status(made)))
            return 0
        write_status(folder, done_status(execute(job, bundle, lambda counts, n_steps: None)))
        return 0
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        lines = str(error).strip().splitlines() or [""]
        ours = isinstance(error, NeurodeployError)
        line = lines[0] if ours else f"the Lava worker raised {type(error).__name__}: {lines[-1]}"
        write_status(folder, {"error": line})
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
