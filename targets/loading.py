"""Deployments, read from their folders: the header first, and then what it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileFormatError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.files import DEPLOYMENT_FILE
from neurodeploy.loading.files import LARGEST_TEXT, expect_schema, parsed_json, read_bytes
from neurodeploy.network import Network, load_network
from neurodeploy.targets.deployment import Deployment
from neurodeploy.targets.folder import ARTIFACT_FILE, GIVEN_FILE, RESTATED, digests
from neurodeploy.targets.registry import TARGETS
from neurodeploy.targets.timed import DEPLOYMENT_SCHEMA, RECOMPILE


def load_deployment(folder: Path | str, *, check: bool = True) -> Deployment:
    """Read a deployment folder of any target.

    Parameters
    ----------
    folder : path
    check : bool
        Compare every file with the digest that was taken when it was compiled. Without it, files
        that were edited on purpose are read, as far as they make sense.

    Raises
    ------
    FileFormatError
        If it is missing, damaged, changed or of another schema version.
    """
    folder = Path(folder)
    header = _read_header(folder)
    _expect_own_files(folder)
    if check:
        _expect_unchanged(folder, header["files"])
    network = load_network(folder / ARTIFACT_FILE, check=check)
    _expect_of(network, header, folder)
    given, where = header["board"], f"{folder / DEPLOYMENT_FILE}: board"
    board = None if given is None else Board.from_dict(given, where)
    loader = TARGETS.get(header["target"])()
    options = loader.complete_options(header["options"])
    deployment = loader.load(folder, network, board, options)
    if header["latency"] != dict(deployment.latency):
        raise FileFormatError(
            f"{folder / DEPLOYMENT_FILE}: latency {header['latency']!r:.100}, the compiled files "
            f"have {dict(deployment.latency)!r:.100}; {RECOMPILE}"
        )
    if header["given"] is not None:
        deployment.given = _given_network(folder, network, check)
    return deployment


def _read_header(folder: Path) -> dict[str, Any]:
    if folder.is_file():
        raise FileFormatError(
            f"{folder}: is a file, expected a deployment folder; compile a netlist first: "
            "'neurodeploy compile'"
        )
    if not folder.is_dir():
        raise FileFormatError(f"{folder}: no such deployment folder; run 'neurodeploy compile'")
    where = folder / DEPLOYMENT_FILE
    if not where.exists():
        raise FileFormatError(
            f"{folder}: is not a deployment folder, it holds no {DEPLOYMENT_FILE}; run "
            "'neurodeploy compile'"
        )
    damaged = FileFormatError(f"{where}: damaged header; {RECOMPILE}")
    content = read_bytes(where, "a deployment header", LARGEST_TEXT)
    header = parsed_json(content, str(damaged))
    if not isinstance(header, dict) or "schema" not in header:
        raise damaged
    expect_schema(header["schema"], DEPLOYMENT_SCHEMA, where, RECOMPILE)
    match header:
        case {
            "target": str(),
            "board": None | dict(),
            "options": dict(),
            "given": None | "given.ndn",
            "files": dict(files),
            "network": str(),
            "timesteps": int(),
            "latency": dict(),
        } if all(isinstance(digest, str) for digest in files.values()):
            return header
    raise damaged


def _expect_of(network: Network, header: Mapping[str, Any], folder: Path) -> None:
    """Refuse a header that tells of another network than the one beside it."""
    own = {"network": network.netlist.name, "timesteps": network.netlist.timesteps}
    for key, value in own.items():
        if header[key] != value:
            raise FileFormatError(
                f"{folder / DEPLOYMENT_FILE}: {key} {header[key]!r:.60}, {ARTIFACT_FILE} has "
                f"{value!r:.60}; {RECOMPILE}"
            )


def _expect_own_files(folder: Path) -> None:
    """Refuse links: what they lead to is not of this folder, and may be anything."""
    link = next((path for path in sorted(folder.rglob("*")) if path.is_symlink()), None)
    if link is not None:
        raise FileFormatError(f"{link}: a symbolic link in a deployment; {RECOMPILE}")


def _expect_unchanged(folder: Path, files: Mapping[str, str]) -> None:
    found = digests(folder)
    for name, digest in sorted(files.items()):
        if name not in found:
            raise FileFormatError(f"{folder / name}: missing; {RECOMPILE}")
        if found[name] != digest:
            raise FileFormatError(
                f"{folder / name}: was changed after it was compiled; {RECOMPILE}, or pass "
                "--no-check if you changed it yourself"
            )


def _given_network(folder: Path, stated: Network, check: bool) -> Network:
    told = stated.provenance.get(RESTATED)
    if not isinstance(told, dict) or not isinstance(told.get("summary"), str):
        raise FileFormatError(
            f"{folder / ARTIFACT_FILE}: does not tell how it was made from {GIVEN_FILE}; "
            f"{RECOMPILE}"
        )
    return load_network(folder / GIVEN_FILE, check=check)
