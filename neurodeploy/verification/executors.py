"""Everything that can run an integer netlist, by one name and one signature."""

from __future__ import annotations

from collections.abc import Callable, Collection

from neurodeploy.errors import UnknownNameError
from neurodeploy.execution import has_engine, make_engine, run_engine
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS

Executor = Callable[[Stimulus, Collection[str]], RunRecord]
"""(stimulus, populations whose membranes are recorded) -> run."""

BUILT_IN = ("reference", "engine")


def executor_names() -> list[str]:
    """All executors."""
    return [*BUILT_IN, *TARGETS]


def fastest_executor(
    netlist: IntegerNetlist | RealNetlist, progress: Progress | None = None
) -> Executor:
    """The engine, prepared once for all runs, or the reference where there is none."""
    if has_engine(netlist):
        engine = make_engine(netlist)
        return lambda stimulus, membranes: engine.run(
            stimulus, membranes=membranes, progress=progress
        )
    return _reference(netlist, progress)


def _reference(netlist: IntegerNetlist | RealNetlist, progress: Progress | None) -> Executor:
    from neurodeploy.ir.reference import run_reference

    return lambda stimulus, membranes: run_reference(
        netlist, stimulus, membranes=membranes, progress=progress
    )


def make_executor(name: str, network: Network, progress: Progress | None = None) -> Executor:
    """An executor of the network's netlist; targets compile it with their default options.

    Raises
    ------
    UnknownNameError
    CapacityError
        If a target refuses the netlist.
    """
    netlist = network.integer
    if name == "reference":
        return _reference(netlist, progress)
    if name == "engine":
        return lambda stimulus, membranes: run_engine(
            netlist, stimulus, membranes=membranes, progress=progress
        )
    if name not in TARGETS.entries():
        raise UnknownNameError("executor", name, executor_names())
    target = TARGETS.get(name)()
    from neurodeploy.hardware.boards.loading import load_board

    board = None if target.default_board is None else load_board(target.default_board)
    deployment = target.compile(network, board)
    return lambda stimulus, membranes: deployment.run(
        stimulus, membranes=membranes, progress=progress
    )
