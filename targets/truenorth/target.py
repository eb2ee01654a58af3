"""The target ``truenorth``: crossbar cores with one destination per neuron."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from neurodeploy.boards.board import Board, BoardKind, load_board
from neurodeploy.errors import UsageError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.targets.base import Deployment, Target, Violation, refuse
from neurodeploy.targets.truenorth.assembly import assemble
from neurodeploy.targets.truenorth.compile import plan_netlist
from neurodeploy.targets.truenorth.cores import load_cores
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.plan import FAN_OUT, Plan
from neurodeploy.targets.truenorth.readout import load_readout


class TrueNorthTarget(Target):
    """Compiler to crossbar cores.

    Options
    -------
    fan_out : {"auto", "copies", "splitters"}
        How a neuron reaches more than one axon: copies of it, splitter cores (one tick more), or
        per population whichever takes fewer cores.
    """

    name: ClassVar[str] = "truenorth"
    summary: ClassVar[str] = "crossbar cores of 256 axons x 256 neurons, run by a core simulator"
    option_defaults: ClassVar[Mapping[str, Any]] = {"fan_out": "auto"}
    default_board: ClassVar[str | None] = "truenorth"
    board_kind: ClassVar[BoardKind | None] = "crossbar"

    def __init__(self) -> None:
        # check and lower of one compilation share the plan, which is most of the work.
        self._planned: tuple[IntegerNetlist, CrossbarLimits, str, Plan | list[Violation]] | None
        self._planned = None

    @classmethod
    def unavailable(cls) -> str | None:
        """None: the simulator needs NumPy only."""
        return None

    def complete_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the defaults; refuse unknown options and values."""
        complete = super().complete_options(options)
        if complete["fan_out"] not in FAN_OUT:
            raise UsageError(
                f"target truenorth: fan_out {complete['fan_out']!r}; expected one of "
                f"{', '.join(FAN_OUT)}"
            )
        return complete

    def check(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """All violations of the first stage that fails: models; sizes and delays; biases; cores."""
        plan = self._plan(netlist, self._board(board), options)
        return plan if isinstance(plan, list) else []

    def lower(
        self, artifact: Artifact, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Compile a netlist that passed :meth:`check`."""
        board = self._board(board)
        plan = self._plan(artifact.integer, board, options)
        if isinstance(plan, list):
            refuse(self.name, plan)
            raise AssertionError("unreachable: a list of violations is not empty")
        cores, readout = assemble(plan, board)
        return TrueNorthDeployment(artifact, board, options, cores, readout, plan.report())

    def load(
        self, folder: Path, artifact: Artifact, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Read the compiled files."""
        readout, layers = load_readout(folder)
        return TrueNorthDeployment(artifact, board, options, load_cores(folder), readout, layers)

    def _board(self, board: Board | None) -> Board:
        assert self.default_board is not None
        return load_board(self.default_board) if board is None else board

    def _plan(
        self, netlist: IntegerNetlist, board: Board, options: Mapping[str, Any]
    ) -> Plan | list[Violation]:
        limits = CrossbarLimits.from_board(board)
        fan_out = self.complete_options(options)["fan_out"]
        known = self._planned
        if known is None or known[0] is not netlist or known[1:3] != (limits, fan_out):
            known = (netlist, limits, fan_out, plan_netlist(netlist, limits, fan_out))
            self._planned = known
        return known[3]
