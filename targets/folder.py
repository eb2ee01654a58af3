"""Folders of deployments: the names of what they hold, and their header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodeploy.ir.files import DEPLOYMENT_FILE
from neurodeploy.loading.files import file_digest
from neurodeploy.targets.timed import DEPLOYMENT_SCHEMA

ARTIFACT_FILE = "net.ndn"
GIVEN_FILE = "given.ndn"
RESTATED = "restated"
"""Key of a restated network's provenance that tells what was done: a mapping of JSON values with a
``summary`` of one line; see :meth:`neurodeploy.targets.base.Target.restate`."""


def write_header(folder: Path, header: Mapping[str, Any]) -> None:
    """Write ``deployment.json`` beside finished files, whose SHA-256 it keeps by name."""
    whole = {"schema": DEPLOYMENT_SCHEMA, **header, "files": digests(folder)}
    text = json.dumps(whole, indent=2, sort_keys=True, allow_nan=False)
    (folder / DEPLOYMENT_FILE).write_text(text + "\n", encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the header, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in paths
        if path != folder / DEPLOYMENT_FILE
    }
