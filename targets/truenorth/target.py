"""The target ``truenorth``: crossbar cores with one destination per neuron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import BoardKind
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment, Target, Violation, refuse
from neurodeploy.targets.folder import RESTATED
from neurodeploy.targets.truenorth.assembly import assemble
from neurodeploy.targets.truenorth.checks import bound_violations, model_violations
from neurodeploy.targets.truenorth.compile import SPLIT, Choices, plan_netlist
from neurodeploy.targets.truenorth.cores import load_cores
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.layers import FanInViolation
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.plan import FAN_OUT, CorePlan
from neurodeploy.targets.truenorth.readout import expect_of, load_readout
from neurodeploy.targets.truenorth.split.approximate import Restated, restate, wide_populations


class TrueNorthTarget(Target):
    """Compiler to crossbar cores.

    Options
    -------
    fan_out : {"auto", "copies", "splitters"}
        How a neuron reaches more than one axon: copies of it, splitter cores (one tick more), or
        per population whichever takes fewer cores.
    split : {"none", "exact", "approximate"}
        What happens to populations with more inputs than a core has axons: refused; computed from
        partial sums, which takes many ticks per step; or replaced by partial sums in rates, which
        takes one tick per step and is another netlist, whose deviation ``verify`` measures.
    max_ticks_per_step : int
        Refuse an exact split that takes more.
    """

    name: ClassVar[str] = "truenorth"
    summary: ClassVar[str] = "crossbar cores of 256 axons x 256 neurons, run by a core simulator"
    option_defaults: ClassVar[Mapping[str, Any]] = {
        "fan_out": "auto",
        "split": "none",
        "max_ticks_per_step": 256,
    }
    default_board: ClassVar[str | None] = "truenorth"
    board_kind: ClassVar[BoardKind | None] = "crossbar"
    approximations: ClassVar[tuple[Mapping[str, Any], ...]] = ({"split": "approximate"},)

    def __init__(self) -> None:
        # check and lower of one compilation share the plan, which is most of the work.
        self._planned: (
            tuple[IntegerNetlist, CrossbarLimits, Choices, CorePlan | list[Violation]] | None
        ) = None

    @classmethod
    def unavailable(cls) -> str | None:
        """None: the simulator needs nothing beyond what is always installed."""
        return None

    def complete_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the defaults; refuse unknown options and values."""
        complete = super().complete_options(options)
        for option, values in (("fan_out", FAN_OUT), ("split", SPLIT)):
            if complete[option] not in values:
                raise UsageError(
                    f"target truenorth: {option} {complete[option]!r}; expected one of "
                    f"{', '.join(values)}"
                )
        most = complete["max_ticks_per_step"]
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise UsageError(
                f"target truenorth: max_ticks_per_step {most!r}; expected a whole number from 1"
            )
        return complete

    def restate(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Network | list[Violation]:
        """With ``split="approximate"``: populations that do not fit a core, from partial sums."""
        if options["split"] != "approximate":
            return network
        board = self._board(board)
        limits = CrossbarLimits.from_board(board)
        netlist = network.integer
        if model_violations(netlist, limits) or bound_violations(netlist, limits):
            return network  # and check tells them
        wide = wide_populations(netlist, limits)
        found: Restated | None = None
        while True:
            if wide:
                rewritten = restate(netlist, wide, limits)
                if isinstance(rewritten, list):
                    return rewritten
                found = rewritten
            # The axons of biases, which the timing decides, may make more populations too wide.
            plan = self._plan(found.netlist if found else netlist, board, options)
            refused = plan if isinstance(plan, list) else []
            where = {v.where.split("[")[0] for v in refused if isinstance(v, FanInViolation)}
            more = [p.name for p in netlist.populations if p.name in where and p.name not in wide]
            if not more:
                return network if found is None else self._restated(network, found)
            wide += more

    def _restated(self, network: Network, found: Restated) -> Network:
        told = {
            "target": self.name,
            "option": "split=approximate",
            "summary": found.summary,
            "populations": list(found.entries),
        }
        # The real-valued netlist belongs to the given one, whose layers are its layers.
        return replace(
            network,
            netlist=found.netlist,
            real=None,
            provenance={**network.provenance, RESTATED: told},
        )

    def check(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """All violations of the first stage that fails: models; sizes and delays; biases; cores."""
        plan = self._plan(netlist, self._board(board), options)
        return plan if isinstance(plan, list) else []

    def lower(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Compile a netlist that passed :meth:`check`."""
        board = self._board(board)
        plan = self._plan(network.integer, board, options)
        if isinstance(plan, list):
            refuse(self.name, plan)
            raise AssertionError("unreachable: a list of violations is not empty")
        cores, readout = assemble(plan, board)
        return TrueNorthDeployment(network, board, options, cores, readout, plan.report())

    def load(
        self, folder: Path, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Read the compiled files."""
        readout, layers = load_readout(folder)
        cores = load_cores(folder)
        expect_of(readout, cores, network.integer, folder)
        return TrueNorthDeployment(network, board, options, cores, readout, layers)

    def _board(self, board: Board | None) -> Board:
        assert self.default_board is not None
        return load_board(self.default_board) if board is None else board

    def _plan(
        self, netlist: IntegerNetlist, board: Board, options: Mapping[str, Any]
    ) -> CorePlan | list[Violation]:
        limits = CrossbarLimits.from_board(board)
        choices = Choices(**self.complete_options(options))
        known = self._planned
        if known is None or known[0] is not netlist or known[1:3] != (limits, choices):
            known = (netlist, limits, choices, plan_netlist(netlist, limits, choices))
            self._planned = known
        return known[3]
