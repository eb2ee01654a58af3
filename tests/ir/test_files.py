"""Files and folders that appear whole or not at all, and what is never overwritten."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from neurodeploy.errors import UsageError
from neurodeploy.ir import files
from neurodeploy.ir.files import (
    directory_whole,
    expect_replaceable,
    expect_writable,
    write_bytes_whole,
)

HEADER = '{"neurodeploy": "0", "target": "brian2", "files": {"weights/a.txt": ""}}'


def deploy(path: Path, text: str) -> None:
    with directory_whole(path) as new:
        (new / "deployment.json").write_text(HEADER)
        (new / "weights").mkdir()
        (new / "weights" / "a.txt").write_text(text)


def content(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_file_is_replaced_with_the_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "net.ndn"
    mask = os.umask(0o027)
    try:
        write_bytes_whole(path, b"one")
        write_bytes_whole(path, b"two")
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert content(tmp_path) == ["net.ndn"]


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.ndn").symlink_to(tmp_path / "real" / "net.ndn")
    write_bytes_whole(tmp_path / "link.ndn", b"x")
    assert (tmp_path / "link.ndn").is_symlink()
    assert (tmp_path / "real" / "net.ndn").read_bytes() == b"x"


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for refuse in (expect_writable, lambda path: write_bytes_whole(path, b"x")):
        with pytest.raises(UsageError, match="is a device or pipe; choose a file"):
            refuse(pipe)
    with pytest.raises(UsageError, match="is a device or pipe"):
        expect_writable(Path("/dev/null"))
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "net.ndn"
    write_bytes_whole(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_bytes_whole(path, b"new")
    assert path.read_bytes() == b"old"
    with pytest.raises(UsageError, match="No space left on device"):
        deploy(tmp_path / "out", "new")
    assert content(tmp_path) == ["net.ndn"]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_deployment_replaces_the_old_one(tmp_path: Path, monkeypatch, atomic: bool) -> None:
    if not atomic:
        monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    out = tmp_path / "out"
    for text in ("one", "two"):
        deploy(out, text)
        assert (out / "weights" / "a.txt").read_text() == text
    assert content(tmp_path) == ["out", "out/deployment.json", "out/weights", "out/weights/a.txt"]


def test_without_an_exchange_the_old_folder_is_moved_before_it_is_deleted(
    tmp_path: Path, monkeypatch
) -> None:
    deploy(tmp_path / "out", "one")
    monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    deleted = []

    def delete(path: Path, ignore_errors: bool = False) -> None:
        deleted.append(path)

    monkeypatch.setattr(files.shutil, "rmtree", delete)
    deploy(tmp_path / "out", "two")
    assert tmp_path / "out" not in deleted


def test_an_error_inside_leaves_the_old_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    deploy(out, "one")

    def interrupted() -> None:
        with directory_whole(out) as new:
            (new / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (out / "weights" / "a.txt").read_text() == "one"
    assert len(content(tmp_path)) == 4


@pytest.mark.parametrize("header", ["{}", '{"name": "web", "target": "x"}', "[1]", "no json"])
def test_a_deployment_of_another_program_is_left_alone(tmp_path: Path, header: str) -> None:
    (tmp_path / "deployment.json").write_text(header)
    with pytest.raises(UsageError, match="folder with other content"):
        expect_replaceable(tmp_path)
    with pytest.raises(UsageError, match="folder with other content"):
        deploy(tmp_path, "x")
    assert (tmp_path / "deployment.json").read_text() == header


def test_a_link_to_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in ("one", "two"):
        deploy(tmp_path / "link", text)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "weights" / "a.txt").read_text() == "two"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_the_working_directory_itself(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    deploy(Path("."), "x")
    assert (tmp_path / "here" / "weights" / "a.txt").read_text() == "x"
    assert [p.name for p in tmp_path.iterdir()] == ["here"]
