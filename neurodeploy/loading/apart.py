"""Files that can break the library which reads them are read in a process of their own.

A damaged HDF5 file can make its library run for ever, crash, or ask for all memory. So it is read
by a process that is started for that, where every file has a child with limits on time and memory.
It lives as long as this process does, and holds nothing but the readers.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.loading.files import expect_plain_file

SECONDS = 5
"""Of a processor, that a file may take: and one more for every 5 MB of it."""
BYTES_A_SECOND = 5_000_000
WAITING = 30
"""How many times longer it may take where others use the processors too."""
COPIES = 3
"""Memory, in what a file may declare: values are read, checked and handed on."""
OUT_OF_MEMORY = 3
LIBRARIES = ("h5py",)
"""What readers use."""
FREE_BYTES = 64 * 2**20
"""What a file may declare in any case: compressed zeros are small."""
MAX_EXPANSION = 100
"""And so many times its own bytes, together."""
_PROGRAM = "from neurodeploy.loading.apart import serve\nserve()"


def read_apart(reader: str, path: Path, what: str, *arguments: int | str) -> Any:
    """What a reader makes of a file.

    Parameters
    ----------
    reader : str
        ``module:function`` of this package, called with the path, the path as it is shown, ``what``
        and the arguments. It returns arrays, texts, and dicts of such.
    path : Path
    what : str
        What the file should be, for messages.

    Raises
    ------
    FileFormatError, DataError
        Those of the reader; and if reading crashes, or takes more time or memory than the size of
        the file accounts for.
    """
    expect_plain_file(path, what)
    header, content = _HELPER.ask(reader, path, what, arguments)
    if header.get("ended"):
        raise FileFormatError(
            f"{path}: damaged: reading it {header['ended']}; write it again with its framework"
        )
    answer = json.loads(content[: header["json"]])
    if "error" in answer:
        raise (DataError if answer["data"] else FileFormatError)(answer["error"])
    return _Unpacking(content[header["json"] :]).value(answer["tree"])


class _Helper:
    """The process that reads, started when first asked for, and again where it ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0
        self.lock = threading.Lock()

    def ask(
        self, reader: str, path: Path, what: str, arguments: Sequence[int | str]
    ) -> tuple[dict[str, Any], bytes]:
        size = path.stat().st_size
        seconds = SECONDS + size // BYTES_A_SECOND
        memory = COPIES * (FREE_BYTES + MAX_EXPANSION * size)
        where = [os.path.abspath(path), str(path), what, *arguments]
        request = {"reader": reader, "given": where, "seconds": seconds, "memory": memory}
        with self.lock:
            process = self.started()
            assert process.stdin is not None
            assert process.stdout is not None
            patience = threading.Timer(WAITING * seconds, process.kill)
            patience.start()
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                header = json.loads(
                    process.stdout.readline() or b'{"ended": "never came to an end"}'
                )
                return header, process.stdout.read(header.get("bytes", 0))
            except BrokenPipeError:
                return {"ended": "ended the process that does it"}, b""
            finally:
                patience.cancel()

    def started(self) -> subprocess.Popen[bytes]:
        alive = self.process is not None and self.process.poll() is None
        if self.process is None or not alive or self.owner != os.getpid():
            self.end()
            # As a user's own imports find packages, but never in the working directory.
            places = [place for place in sys.path if os.path.isabs(place)]
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {places!r}\n{_PROGRAM}"],
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self.owner = os.getpid()
        return self.process

    def end(self) -> None:
        """End the process, if it is this one's, and close what leads to it."""
        process, self.process = self.process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        if self.owner == os.getpid():
            process.kill()
            process.wait()
        else:
            # A copy in a fork, whose process is the parent's: not to be waited for here.
            process.returncode = 0


_HELPER = _Helper()
atexit.register(_HELPER.end)


def serve() -> None:
    """Answer requests until the process that asks has ended."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # Here once, instead of in every child.
        for name in (request["reader"].partition(":")[0], *LIBRARIES):
            with contextlib.suppress(ImportError):
                import_module(name)
        with _memory() as place:
            ended = _answered(request, place)
            header: dict[str, Any] = {"ended": ended}
            content = b""
            if ended is None:
                place.seek(0)
                content = place.read()
                head, _, content = content.partition(b"\n")
                header |= {"json": int(head), "bytes": len(content)}
        replies.write(json.dumps(header).encode() + b"\n" + content)
        replies.flush()


def _memory() -> IO[bytes]:
    """A file in memory, where there are such: a full disk is no fault of the file that is read."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("neurodeploy"), "w+b")
    return tempfile.TemporaryFile()


def _answered(request: dict[str, Any], place: IO[bytes]) -> str | None:
    """Read a file in a child, into ``place``; how that ended where it did not succeed."""
    if not hasattr(os, "fork"):
        _answer(request, place)
        return None
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _limit(request["seconds"], request["memory"])
            _answer(request, place)
            code = 0
        except MemoryError:
            code = OUT_OF_MEMORY
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return f"took more than {request['seconds']} s"
        return f"crashed the HDF5 library ({signal.Signals(number).name})"
    code = os.WEXITSTATUS(status)
    if code == OUT_OF_MEMORY:
        return f"took more than {request['memory'] >> 20} MiB"
    return None if code == 0 else f"failed (status {code})"


def _limit(seconds: int, memory: int) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _answer(request: dict[str, Any], place: IO[bytes]) -> None:
    data: list[bytes] = []
    answer: dict[str, Any]
    module, _, name = request["reader"].partition(":")
    path, *more = request["given"]
    try:
        found = getattr(import_module(module), name)(Path(path), *more)
        answer = {"tree": _packed(found, data)}
    except (FileFormatError, DataError) as error:
        answer = {"error": str(error), "data": isinstance(error, DataError)}
    text = json.dumps(answer).encode()
    place.write(b"%d\n" % len(text) + text)
    place.writelines(data)
    place.flush()


def _packed(value: Any, data: list[bytes]) -> Any:
    """A tree as JSON, with the numbers of its arrays in ``data``."""
    if isinstance(value, dict):
        return {"group": {name: _packed(v, data) for name, v in value.items()}}
    if isinstance(value, str):
        return {"text": value}
    if value.dtype.kind == "O":
        return {"texts": value.reshape(-1).tolist(), "shape": value.shape}
    content = value.tobytes()
    data.append(content)
    return {"numbers": value.dtype.str, "shape": value.shape, "bytes": len(content)}


class _Unpacking:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def value(self, value: dict[str, Any]) -> Any:
        if "group" in value:
            return {name: self.value(v) for name, v in value["group"].items()}
        if "text" in value:
            return value["text"]
        if "texts" in value:
            texts = np.empty(len(value["texts"]), dtype=object)
            texts[:] = value["texts"]
            return texts.reshape(value["shape"])
        n, dtype = value["bytes"], np.dtype(value["numbers"])
        numbers = np.frombuffer(self.content, dtype, n // dtype.itemsize, self.at)
        self.at += n
        return numbers.reshape(value["shape"]).copy()
