"""The folder of a sweep: what is swept, and a file for each configuration that ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.ir.files import expect_only, expect_writable, remove_unfinished, write_bytes_whole
from neurodeploy.ir.lock import LOCK_FILE, locked
from neurodeploy.loading.files import LARGEST_TEXT, parsed_json, read_bytes
from neurodeploy.sweeps.configurations import Configuration, key_of, label
from neurodeploy.sweeps.results import is_whole

SCHEMA = 1
MANIFEST = "sweep.json"
RESULTS = "configurations"
TABLES = ("results.csv", "results.parquet", "sweep.html")
"""What is made of the results."""


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """Where the results of a sweep are kept, each written whole.

    Parameters
    ----------
    path : Path
        ``sweep.json`` says what is swept, ``configurations/KEY.json`` holds a result; several
        processes may write different ones at a time.
    manifest : bytes
        What ``sweep.json`` is to hold.
    """

    path: Path
    manifest: bytes = b""

    @classmethod
    @contextlib.contextmanager
    def held(
        cls,
        path: Path,
        common: Mapping[str, Any],
        configurations: Sequence[Configuration],
        *,
        shard: bool,
    ) -> Iterator[SweepFolder]:
        """As :meth:`opened`, for nobody else until the block ends, but for other shards of a shard.

        Raises
        ------
        UsageError
            If another process writes there.
        """
        if not (path / MANIFEST).exists():
            expect_only(path, _may_be_new)
        with locked(path, shared=shard):
            folder = cls.opened(path, common, configurations)
            if not shard:
                names = (path / name for name in (MANIFEST, *TABLES))
                for file in (*names, *map(folder._file, configurations)):
                    remove_unfinished(file)
            yield folder

    @classmethod
    def opened(
        cls, path: Path, common: Mapping[str, Any], configurations: Sequence[Configuration]
    ) -> SweepFolder:
        """The folder of this sweep, which the first result makes; more configurations may join.

        Parameters
        ----------
        path : Path
        common : mapping
            What all configurations share, JSON values: a folder belongs to one such.
        configurations : sequence

        Raises
        ------
        UsageError
            If it is the folder of another sweep, of something else, or cannot be written.
        """
        manifest = {
            "neurodeploy_sweep": SCHEMA,
            "common": dict(common),
            "configurations": list(configurations),
        }
        content = (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()
        folder = cls(path, content)
        before = folder._before(common)
        asked = set(map(key_of, configurations))
        missing = [c for c in before if key_of(c) not in asked]
        if missing:
            raise UsageError(
                f"{path}: holds a sweep with other configurations ({label(missing[0])}); name them "
                "too, or choose another folder"
            )
        expect_writable(path / MANIFEST if path.exists() else path)
        return folder

    def _before(self, common: Mapping[str, Any]) -> list[Configuration]:
        """The configurations of an earlier start of this sweep."""
        path = self.path
        if not (path / MANIFEST).exists():
            return []
        damaged = f"{path / MANIFEST}: damaged; choose another folder"
        found = parsed_json(read_bytes(path / MANIFEST, "a sweep", LARGEST_TEXT), damaged)
        if not isinstance(found, dict) or found.get("neurodeploy_sweep") != SCHEMA:
            raise FileFormatError(damaged)
        held, configurations = found.get("common"), found.get("configurations")
        if (
            not isinstance(held, dict)
            or not isinstance(configurations, list)
            or not all(isinstance(c, dict) for c in configurations)
        ):
            raise FileFormatError(damaged)
        for name, value in common.items():
            if held.get(name) != value:
                raise UsageError(
                    f"{path}: holds another sweep, whose {name.replace('_', ' ')} is "
                    f"{_short(held.get(name))}, not {_short(value)}; choose another folder"
                )
        return configurations

    def keep(self, configuration: Configuration, record: Mapping[str, Any]) -> None:
        """Write the result of a configuration, whole."""
        try:
            (self.path / RESULTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self.path}: cannot write here ({error.strerror}); choose another folder"
            ) from error
        manifest = self.path / MANIFEST
        if not manifest.exists() or read_bytes(manifest, "a sweep") != self.manifest:
            write_bytes_whole(manifest, self.manifest)
        content = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_bytes_whole(self._file(configuration), content.encode())

    def record(self, configuration: Configuration, boards: Sequence[str]) -> dict[str, Any] | None:
        """The result of a configuration on these boards; None where it has none yet.

        Raises
        ------
        FileFormatError
            If its file is damaged.
        """
        path = self._file(configuration)
        if not path.exists():
            return None
        damaged = f"{path}: damaged; delete it, and its configuration runs again"
        found = parsed_json(read_bytes(path, "a result", LARGEST_TEXT), damaged)
        if (
            not isinstance(found, dict)
            or found.get("configuration") != configuration
            or not is_whole(found, boards)
        ):
            raise FileFormatError(damaged)
        return found

    def _file(self, configuration: Configuration) -> Path:
        return self.path / RESULTS / f"{key_of(configuration)}.json"


def _may_be_new(name: str) -> bool:
    """Whether it may lie in a folder that another shard is about to write a manifest into."""
    return name in (LOCK_FILE, RESULTS) or name.startswith(f".{MANIFEST}.")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
