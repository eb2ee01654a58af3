"""Energy, time, cores and chips from the exact spikes of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.boards.board import Board
from neurodeploy.datasets import Dataset
from neurodeploy.errors import UsageError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.record import Progress, Stimulus
from neurodeploy.targets.base import Deployment
from neurodeploy.workflow.compilation import chosen_board
from neurodeploy.workflow.loading import load
from neurodeploy.workflow.placing import PlacementRequest
from neurodeploy.workflow.stimulus import stimulus_for

if TYPE_CHECKING:
    from neurodeploy.energy.activity import Activity
    from neurodeploy.energy.estimate import EnergyReport


def estimate_energy(
    network: Deployment | Artifact | str | Path,
    board: str | Board | None,
    data: str | Dataset,
    samples: int | None = None,
    *,
    cross_validate: bool = False,
    objective: str | None = None,
    placement: str | Path | None = None,
    save_placement: str | Path | None = None,
    progress: Progress | None = None,
) -> EnergyReport:
    """Energy, time, cores and chips per inference, from the exact spikes of a run.

    Boards of neurocores get the netlist partitioned, and its cores placed by the packets of the
    run; boards of crossbar cores get it compiled, and the compiled cores are counted.

    Parameters
    ----------
    network : Deployment, Artifact or path of either
    board : str, Board or None
        None: the board that the deployment was compiled for.
    data : str or Dataset
    samples : int, optional
        The first so many; all by default.
    cross_validate : bool
        Count the real-valued simulation as well.
    objective : {"energy", "time", "pareto", "none"}, optional
        What cores of neurocore boards are placed for: energy if not given.
    placement : path, optional
        A placement file to take instead.
    save_placement : path, optional
        Where to write the placement.

    Raises
    ------
    CapacityError
        If the board cannot hold the network.
    FileFormatError
        If the placement file does not fit the network or the board.
    UsageError
        If no board is named and the deployment has none, for both an objective and a placement
        file, and for any of them on a board of crossbar cores.
    """
    from neurodeploy.energy.estimate import estimate

    thing = network
    if isinstance(thing, str | Path):
        thing = load(thing)
    artifact = thing.artifact if isinstance(thing, Deployment) else thing
    chosen = _energy_board(thing, board)
    stimulus, _ = stimulus_for(artifact, data, samples)
    source = None
    if artifact.analog is not None:
        from neurodeploy.energy.operations import source_energy
        from neurodeploy.ir.analog import macs

        source = source_energy(macs(artifact.analog))
    if cross_validate:
        _expect_real(artifact)
    wanted = PlacementRequest.checked(chosen, objective, placement, save_placement)
    if chosen.kind == "crossbar":
        deployment = _crossbar_deployment(thing, chosen)
        deployment.run(stimulus, record=(), progress=progress)
        return estimate(
            deployment.traffic(),
            chosen,
            network=artifact.netlist.name,
            source_network=source,
            cross_validation=_cross_validation(artifact, stimulus) if cross_validate else None,
        )
    from neurodeploy.energy.measure import measure_traffic

    netlist = artifact.integer
    mapping = wanted.start(netlist, chosen)
    execute = _recorder(artifact)
    traffic, activity = measure_traffic(mapping, netlist, stimulus, execute, progress=progress)
    traffic, placed = wanted.finish(
        traffic,
        mapping,
        netlist,
        activity,
        lambda other: measure_traffic(other, netlist, stimulus, execute)[0],
    )
    return estimate(
        traffic,
        chosen,
        network=netlist.name,
        mapping=placed.mapping,
        placement=placed,
        source_network=source,
        cross_validation=(
            _cross_validation(artifact, stimulus, activity) if cross_validate else None
        ),
    )


def _energy_board(thing: Deployment | Artifact, board: str | Board | None) -> Board:
    if board is not None:
        return chosen_board(board)
    if isinstance(thing, Deployment) and thing.board is not None:
        return thing.board
    raise UsageError("energy: name a board (--board); 'neurodeploy boards' lists them")


def _crossbar_deployment(thing: Deployment | Artifact, board: Board) -> Any:
    from neurodeploy.targets.registry import TARGETS

    if isinstance(thing, Deployment):
        if thing.target == "truenorth" and thing.board == board:
            return thing
        thing = thing.artifact
    return TARGETS.get("truenorth")().compile(thing, board)


def _recorder(artifact: Artifact, real: bool = False) -> Any:
    """Runs the netlist with everything that counting events needs: the engine where it can."""
    from importlib.util import find_spec

    from neurodeploy.energy.activity import membranes_needed

    netlist = artifact.real if real else artifact.integer
    assert netlist is not None
    watched = membranes_needed(netlist)
    if find_spec("torch") is not None:
        from neurodeploy.simulate import make_engine

        engine = make_engine(netlist)
        return lambda stimulus: engine.run(stimulus, membranes=watched)
    from neurodeploy.ir.reference import run_reference

    return lambda stimulus: run_reference(netlist, stimulus, membranes=watched)


def _expect_real(artifact: Artifact) -> None:
    if artifact.real is None:
        raise UsageError(
            f"{artifact.netlist.name}: no real-valued netlist in the file to cross-validate with; "
            "quantize it from a converted network"
        )


def _cross_validation(artifact: Artifact, stimulus: Stimulus, whole: Activity | None = None) -> Any:
    """Compare with the real-valued run; ``whole`` is the integer run's activity where known."""
    from neurodeploy.energy.cross_validation import cross_validate
    from neurodeploy.energy.measure import measure_activity

    assert artifact.real is not None
    if whole is None:
        whole = measure_activity(artifact.integer, stimulus, _recorder(artifact))
    real = measure_activity(artifact.real, stimulus, _recorder(artifact, real=True))
    return cross_validate(artifact.integer, whole, artifact.real, real)
