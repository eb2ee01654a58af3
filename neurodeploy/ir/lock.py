"""Folders that one process writes at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from neurodeploy.errors import UsageError, warn_user
from neurodeploy.ir.files import expect_plain

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there.
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".neurodeploy-lock"
"""In a folder while a process writes there; what a killed one left holds nothing."""
SHARD = "a shard of the same sweep"
_HOLDER = re.compile(rf"{SHARD}|process (\d+) on ([\w.-]+)")
# What file systems answer that cannot lock.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_held: set[int] = set()


@contextlib.contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder until the block ends, or the process does, however it ends.

    A missing folder is made, and removed if nothing came into it.

    Parameters
    ----------
    folder : Path
    shared : bool
        Beside other shards of a sweep, which write different files, but nobody else.

    Raises
    ------
    UsageError
        If another process holds it, saying which; or if it cannot be written.
    """
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        handle = _taken(folder, shared) if fcntl is not None else None
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise UsageError(
            f"{folder}: cannot write here ({error.strerror}); choose another folder"
        ) from error
    try:
        yield
    finally:
        if handle is not None:
            _release(folder / LOCK_FILE, handle, shared)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _taken(folder: Path, shared: bool) -> int | None:
    """The locked file; None where the file system has no locks."""
    path = folder / LOCK_FILE
    while True:
        expect_plain(path)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        ours = False
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            # Whoever held it before may have removed it in between.
            ours = _is_at(path, handle)
            if ours:
                os.truncate(handle, 0)
                os.pwrite(handle, _own(shared).encode(), 0)
                _held.add(handle)
                return handle
        except BlockingIOError:
            holder = _told(os.pread(handle, 200, 0))
            os.close(handle)
            raise UsageError(
                f"{folder}: {holder} is writing here; wait until it ends, or choose another folder"
            ) from None
        except OSError as error:
            if ours:
                path.unlink(missing_ok=True)
            os.close(handle)
            if error.errno not in _NO_LOCKS:
                raise
            path.unlink(missing_ok=True)
            warn_user(
                f"{folder}: its file system cannot lock it ({error.strerror}); let nothing else "
                "write here meanwhile"
            )
            return None
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _release(path: Path, handle: int, shared: bool) -> None:
    try:
        if shared:
            # The last shard removes the file.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        pass
    finally:
        _held.discard(handle)
        os.close(handle)


def _own(shared: bool) -> str:
    return SHARD if shared else f"process {os.getpid()} on {socket.gethostname()}"


def _told(content: bytes) -> str:
    """Who holds a folder, by the file that it left there."""
    found = _HOLDER.fullmatch(content.decode(errors="replace"))
    if found is None:
        return "another process"
    here = found[2] == socket.gethostname()
    return f"process {found[1]}" if here else found[0]


def _let_go() -> None:
    """A child that lives on after its parent would keep what that one held."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
