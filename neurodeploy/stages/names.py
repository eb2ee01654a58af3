"""Names of methods, boards, targets and executors."""

from __future__ import annotations

from neurodeploy.hardware.boards.loading import board_names


def list_boards() -> list[str]:
    """Names of the boards that come with neurodeploy; a path to a TOML file serves as well."""
    return board_names()


def list_targets() -> list[str]:
    """Names of the targets, plug-ins included."""
    from neurodeploy.targets.registry import TARGETS

    return list(TARGETS)
