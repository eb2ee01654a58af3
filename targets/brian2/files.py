"""The compiled files of the Brian2 target, ``brian2.json`` and ``brian2.safetensors``.

They hold a netlist with its depths and delays; docs/formats.md tells how.
"""

from __future__ import annotations

from pathlib import Path

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.targets.brian2.plan import Plan, make_plan
from neurodeploy.targets.timed import TimedNetlist, expect_same, read_timed, write_timed

FILES = "brian2"


def write_plan(plan: Plan, folder: Path) -> None:
    """Write ``brian2.json`` and ``brian2.safetensors`` into ``folder``."""
    write_timed(plan.timed, folder, FILES)


def read_plan(folder: Path, netlist: IntegerNetlist) -> Plan:
    """Read what :func:`write_plan` wrote, of this network.

    Raises
    ------
    FileFormatError
        If a file is missing, truncated, of another schema version, contradicts itself, or is of
        another netlist.
    """
    timed = read_timed(TimedNetlist, folder, FILES)
    # Before its bounds are proved over all its time steps, of which a file can name any number.
    expect_same(timed, netlist, folder, FILES)
    return make_plan(timed)
