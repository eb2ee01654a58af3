"""Folders that one process writes at a time, whoever dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurodeploy.errors import NeurodeployWarning, UsageError
from neurodeploy.ir.lock import LOCK_FILE, locked
from tests.conftest import ROOT

HOLDS = """
import sys, time
from pathlib import Path
from neurodeploy.ir.lock import locked
with locked(Path(sys.argv[1]), shared="shared" in sys.argv):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def holder(folder: Path, *more: str, program: str = HOLDS) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a folder until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder), *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child


def test_the_second_is_told_who_holds_it_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with holder(folder) as child:
        for shared in (False, True):
            with (
                pytest.raises(UsageError, match=f"out: process {child.pid} is writing here; wait"),
                locked(folder, shared=shared),
            ):
                pass
        child.send_signal(signal.SIGKILL)
    # What it left does not hold the folder, and the next one removes it.
    assert (folder / LOCK_FILE).exists()
    with locked(folder):
        pass
    assert not list(folder.iterdir())
    told = f"process {os.getpid()} is writing here"
    with locked(folder), pytest.raises(UsageError, match=told), locked(folder):
        pass
    with locked(folder):
        pass


def test_shards_hold_a_folder_together(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with holder(folder, "shared") as child:
        with locked(folder, shared=True):
            pass
        assert (folder / LOCK_FILE).exists()
        with (
            pytest.raises(UsageError, match="out: a shard of the same sweep is writing here"),
            locked(folder),
        ):
            pass
        child.communicate("\n")
    # The last one takes everything along that it made.
    assert not folder.exists()


FORKS = """
import os, sys, time
from pathlib import Path
from neurodeploy.ir.lock import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        os.close(1)
        time.sleep(5)
        os._exit(0)
    print("held", flush=True)
    sys.stdin.readline()
    os._exit(0)
"""


def test_a_child_that_outlives_the_holder_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path, program=FORKS) as child:
        child.communicate("\n")
    with locked(tmp_path):
        pass


def test_a_folder_without_content_goes_and_one_with_content_stays(tmp_path: Path) -> None:
    with locked(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    with locked(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert os.listdir(tmp_path / "new") == ["file"]
    with locked(tmp_path / "new"):
        (tmp_path / "new" / "file").unlink()
    assert not os.listdir(tmp_path / "new")


def test_what_cannot_be_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: cannot write here"), locked(tmp_path / "file"):
        pass
    with pytest.raises(UsageError, match="cannot write here"), locked(tmp_path / "a" / "b"):
        pass
    # A stranger's folder may lead elsewhere, or hold what is no file.
    place = tmp_path / LOCK_FILE
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="cannot write here"), locked(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(UsageError, match="is a device or pipe"), locked(tmp_path):
        pass
    place.unlink()

    def cannot(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", cannot)
    with pytest.warns(NeurodeployWarning, match="cannot lock it"), locked(tmp_path):
        assert not place.exists()


def test_a_full_disk_leaves_neither_a_lock_nor_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    (tmp_path / "old").mkdir()
    for name in ("old", "new"):
        with pytest.raises(UsageError, match="No space left"), locked(tmp_path / name):
            pass
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["old"]
