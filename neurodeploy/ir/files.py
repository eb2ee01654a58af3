"""Files and directories that appear whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.loading.files import LARGEST_TEXT, parsed_json, read_bytes

DEPLOYMENT_FILE = "deployment.json"
"""Header of a folder that neurodeploy wrote; its ``files`` are those that a new one replaces."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def as_path(path: Path | str) -> Path:
    """The path to write to; UsageError for what is none."""
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"save: got {type(path).__name__}; pass the path to write")
    return Path(path)


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` through a temporary neighbour and a rename.

    Raises
    ------
    UsageError
        If ``path`` is something else than a file, or its folder does not exist or cannot be
        written.
    """
    path = _followed(path)
    expect_plain(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        reason = error.strerror
        raise UsageError(f"{path}: cannot write here ({reason}); choose another path") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        _sync(path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot write ({error.strerror}); choose another path") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def remove_unfinished(path: Path) -> None:
    """Remove what writers of ``path`` that were killed left beside it; nobody may be writing it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def expect_writable(path: Path) -> None:
    """Raise what :func:`write_bytes_whole` would raise for its folder, before hours of work.

    Raises
    ------
    UsageError
        If ``path`` is a folder, or its own folder does not exist or cannot be written.
    """
    path = _followed(path)
    expect_plain(path)
    _expect_writable_parent(path)


def _followed(path: Path) -> Path:
    # A rename replaces a link, or fails on ".": what they stand for is meant.
    return Path(os.path.realpath(path))


def expect_plain(path: Path) -> None:
    """Refuse to replace what is no file.

    Raises
    ------
    UsageError
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; choose a file")
    if path.exists() and not path.is_file():
        # Renaming over a device such as /dev/null would destroy it for everyone.
        raise UsageError(f"{path}: is a device or pipe; choose a file")


def expect_replaceable(path: Path) -> None:
    """Raise what :func:`directory_whole` would raise, before any work.

    Raises
    ------
    UsageError
        If ``path`` is a file, a foreign folder, or its parent cannot be written.
    """
    path = _followed(path)
    inside = (p for p in path.rglob("*") if not _is_plain_dir(p))
    own = _files_of_deployment(path)
    expect_only(path, own.__contains__, inside)
    _expect_writable_parent(path)


def expect_only(
    path: Path, is_own: Callable[[str], bool], content: Iterable[Path] | None = None
) -> None:
    """Refuse to write into what is no folder, or one with other things.

    Parameters
    ----------
    path : Path
        What is not there yet is fine.
    is_own : callable
        Whether something in it, by its name from ``path`` on, may be there.
    content : iterable of Path, optional
        What is looked at. [default: the top of the folder]

    Raises
    ------
    UsageError
        Naming the first of them.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise UsageError(f"{path}: is a file; choose a folder")
    inside = path.iterdir() if content is None else content
    names = (p.relative_to(path).as_posix() for p in inside)
    foreign = min((name for name in names if not is_own(name)), default=None)
    if foreign is not None:
        raise UsageError(
            f"{path}: is a folder with other content, {foreign}; choose a new or empty one"
        )


def _is_plain_dir(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _files_of_deployment(folder: Path) -> set[str]:
    """Names that neurodeploy wrote there: other programs have a ``deployment.json`` too."""
    try:
        header = parsed_json(read_bytes(folder / DEPLOYMENT_FILE, "", LARGEST_TEXT), "")
    except FileFormatError:
        return set()
    if not isinstance(header, dict) or not {"neurodeploy", "target"} <= set(header):
        return set()
    files = header.get("files")
    return {DEPLOYMENT_FILE, *(files if isinstance(files, dict) else ())}


def _expect_writable_parent(path: Path) -> None:
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        reason = error.strerror
        raise UsageError(f"{path}: cannot write here ({reason}); choose another path") from error


@contextlib.contextmanager
def directory_whole(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``path`` in one step if the block succeeds.

    An existing ``path`` is replaced only if it holds nothing but files of a deployment, which its
    ``deployment.json`` names.

    Raises
    ------
    UsageError
        If ``path`` is a file, a foreign folder, or its parent cannot be written.
    """
    expect_replaceable(path)
    path = _followed(path)
    try:
        new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        reason = error.strerror
        raise UsageError(f"{path}: cannot write here ({reason}); choose another path") from error
    try:
        yield new
        allowed = ~_umask()
        for written in (*new.rglob("*"), new):
            # Libraries that write through temporary files of their own leave them to their owner.
            written.chmod((0o777 if written.is_dir() else 0o666) & allowed)
            _sync(written)
        _replace_directory(new, path)
        _sync(path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot write ({error.strerror}); choose another path") from error
    finally:
        # After an exchange this is the old content; after a failure, the unfinished one.
        shutil.rmtree(new, ignore_errors=True)


def _replace_directory(new: Path, path: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    if _exchange(new, path):
        return
    # No atomic exchange here (not Linux, or an old file system): for one moment there is none.
    old = new.with_name(f"{new.name}.old")
    os.rename(path, old)
    os.rename(new, path)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Have a file or folder on the disk, so that a power cut after the rename finds it whole."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(a: Path, b: Path) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    status: int = renameat2(
        _AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    return status == 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
