"""Steps whose results are kept: one that is finished runs again only if its inputs changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neurodeploy.errors import NeurodeployWarning, UsageError, warn_user
from neurodeploy.ir.files import (
    expect_only,
    expect_replaceable,
    expect_writable,
    remove_unfinished,
    write_bytes_whole,
)
from neurodeploy.ir.lock import LOCK_FILE, locked
from neurodeploy.loading.files import file_digest
from neurodeploy.stages.deploy_record import (
    DEPLOYED_FILE,
    Name,
    Record,
    Status,
    Step,
    is_deployed,
    read_record,
)
from neurodeploy.stages.deployed import STEPS_FOLDER, Deployed, result_file


@dataclass(frozen=True, slots=True)
class Work:
    """What a step came to, before it is kept.

    Parameters
    ----------
    line : str
    result : mapping or None
        JSON values.
    status : {"done", "refused", "left out"}
    """

    line: str
    result: Mapping[str, Any] | None = None
    status: Status = "done"


@dataclass(slots=True)
class Keeper:
    """The steps of a run in a folder, beside those that earlier runs left there.

    Parameters
    ----------
    folder : Path
    record : Record
        Its ``kept`` are those of earlier runs.
    tell : callable
        Told a line for each step.
    """

    folder: Path
    record: Record
    tell: Callable[[str], None]

    def step(
        self,
        name: Name,
        board: str | None,
        target: str | None,
        inputs: Mapping[str, str],
        files: tuple[str, ...],
        work: Callable[[], Work],
    ) -> Step:
        """Run a step, or keep what it came to before.

        Parameters
        ----------
        name, board, target
            There is one step of each.
        inputs : mapping of str to str
            Everything that it depends on.
        files : tuple of str
            Files and folders that ``work`` writes, relative to the folder.
        work : callable
            Does it.

        Raises
        ------
        UsageError
            If something else is in the place of what it writes.
        """
        key = (name, board, target)
        old = next((s for s in self.record.kept if s.key == key), None)
        again = self._changed(old, inputs)
        if old is not None and not again:
            for line in old.warnings:
                warn_user(line)
            self._keep(old)
            self.tell(f"    kept  {old}: {old.line}")
            return old
        result = result_file(name, board, target)
        self._expect_ours((*files, result))
        own = set(self.record.running) | {*files, result}
        self.record = replace(self.record, running=tuple(sorted(own)))
        self.record.write(self.folder)
        began = time.perf_counter()
        done, heard = _heard(work)
        seconds = time.perf_counter() - began
        if done.result is not None:
            text = json.dumps(done.result, indent=2, allow_nan=False)
            write_bytes_whole(self.folder / result, f"{text}\n".encode())
        if done.status != "done":
            self.remove(files)
        written = (*files, result) if done.result is not None else files
        step = Step(
            name,
            board,
            target,
            done.status,
            round(seconds, 3),
            " ".join(done.line.split()),
            heard,
            result if done.result is not None else None,
            {n: file_digest(self.folder / n) for n in _below(self.folder, written)},
            dict(inputs),
        )
        if old is not None:
            # What it wrote under other names is no result of anything any more.
            stale = [n for n in old.files if n not in step.files]
            self.remove(tuple(n for n in stale if not self._differs(n, old.files[n])))
        self._keep(step)
        why = f" (again: {', '.join(again)} changed)" if old is not None else ""
        self.tell(f"{seconds:6.1f} s  {step}: {step.line}{why}")
        return step

    def finish(self) -> Deployed:
        """Note that all steps are done."""
        self.record = replace(self.record, finished=True, running=())
        self.record.write(self.folder)
        return Deployed(self.folder, self.record)

    def digest(self, name: str) -> str:
        """SHA-256 of a file of the folder, or of everything in a folder of it."""
        return digest_of(self.folder, name)

    def _keep(self, step: Step) -> None:
        rest = tuple(s for s in self.record.kept if s.key != step.key)
        self.record = replace(self.record, steps=(*self.record.steps, step), kept=rest)
        self.record.write(self.folder)

    def _changed(self, old: Step | None, inputs: Mapping[str, str]) -> list[str]:
        """The inputs that differ from those of an earlier run, and the files that were changed."""
        if old is None:
            return []
        names = [*inputs, *(name for name in old.inputs if name not in inputs)]
        changed = [name for name in names if old.inputs.get(name) != inputs.get(name)]
        return changed or [n for n, digest in old.files.items() if self._differs(n, digest)]

    def remove(self, names: tuple[str, ...]) -> None:
        """Remove files and folders that a step wrote."""
        for name in names:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _differs(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return not path.is_file() or file_digest(path) != digest

    def _expect_ours(self, names: tuple[str, ...]) -> None:
        ours = self.record.files
        for name in names:
            path = self.folder / name
            if path.is_dir():
                expect_replaceable(path)
            elif path.exists() and name not in ours:
                raise UsageError(
                    f"{path}: is no file of this deploy, which writes one of that name; move it, "
                    "or choose a new folder"
                )


def digest_of(folder: Path, name: str) -> str:
    """SHA-256 of a file of a folder, or of everything in a folder of it."""
    return text_digest({n: file_digest(folder / n) for n in _below(folder, (name,))})


def _below(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Files, and those inside folders, that are there, relative to the folder."""
    for name in names:
        path = folder / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (p.relative_to(folder).as_posix() for p in found if p.is_file())


@contextlib.contextmanager
def kept_in(folder: Path, record: Record, tell: Callable[[str], None]) -> Iterator[Keeper]:
    """A keeper of the steps in a folder; one in which no step was finished is left as it was.

    Parameters
    ----------
    folder : Path
        A new or empty one, or one of an earlier run, whose steps are taken where they are the same.
    record : Record
        Of this run, without steps.

    Raises
    ------
    UsageError
        If the folder holds other things, cannot be written, or another process writes there.
    """
    if not is_deployed(folder):
        expect_only(folder, _may_be_new)
    with locked(folder), _kept(folder, record, tell) as keeper:
        yield keeper


@contextlib.contextmanager
def _kept(folder: Path, record: Record, tell: Callable[[str], None]) -> Iterator[Keeper]:
    is_new = not is_deployed(folder)
    if is_new:
        remove_unfinished(folder / DEPLOYED_FILE)
    else:
        _expect_own_files(folder)
        before = read_record(folder)
        record = replace(record, kept=(*before.steps, *before.kept), running=before.running)
        expect_writable(folder / DEPLOYED_FILE)
        for name in {DEPLOYED_FILE, *record.files}:
            remove_unfinished(folder / name)
    (folder / STEPS_FOLDER).mkdir(exist_ok=True)
    keeper = Keeper(folder, record, tell)
    try:
        yield keeper
    except BaseException:
        if is_new and not keeper.record.steps:
            keeper.remove((*keeper.record.running, DEPLOYED_FILE))
            with contextlib.suppress(OSError):
                (folder / STEPS_FOLDER).rmdir()
        raise


def _may_be_new(name: str) -> bool:
    """Whether it may lie in a folder that no step was finished in: what a killed run left."""
    return name in (LOCK_FILE, STEPS_FOLDER) or name.startswith(f".{DEPLOYED_FILE}.")


def _expect_own_files(folder: Path) -> None:
    """Refuse links: what they lead to is not of this folder, and would be replaced."""
    link = next((path for path in sorted(folder.rglob("*")) if path.is_symlink()), None)
    if link is not None:
        raise UsageError(f"{link}: a symbolic link in the folder of a deploy; choose a new folder")


def _heard(work: Callable[[], Work]) -> tuple[Work, tuple[str, ...]]:
    """What a step came to, and neurodeploy's own warnings in it, each once; all pass after it."""
    lines: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NeurodeployWarning)
            done = work()
    finally:
        for one in caught:
            if not issubclass(one.category, NeurodeployWarning):
                warnings.showwarning(one.message, one.category, one.filename, one.lineno)
            elif str(one.message) not in lines:
                lines.append(str(one.message))
        for line in lines:
            warn_user(line)
    return done, tuple(lines)


def text_digest(value: Any) -> str:
    """SHA-256 of JSON values."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
