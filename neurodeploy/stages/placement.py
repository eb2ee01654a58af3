"""Where the cores of a priced network lie: what was asked for, checked before any work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.files import expect_writable
from neurodeploy.ir.netlist import IntegerNetlist

if TYPE_CHECKING:
    from neurodeploy.hardware.cut.core_map import CoreMap
    from neurodeploy.hardware.place.placement import Placement
    from neurodeploy.hardware.price.activity import Activity
    from neurodeploy.hardware.price.traffic import Traffic


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """How to place cores.

    Parameters
    ----------
    objective : str
        One of :data:`neurodeploy.hardware.place.placement.OBJECTIVES`.
    source, target : Path or None
        Placement files to read and to write.
    """

    objective: str
    source: Path | None
    target: Path | None

    @classmethod
    def checked(
        cls,
        boards: Sequence[Board],
        objective: str | None,
        source: str | Path | None,
        target: str | Path | None,
    ) -> PlacementRequest:
        """The request, if it makes sense for the boards.

        Raises
        ------
        UsageError
        """
        given = {"objective": objective, "placement": source, "save_placement": target}
        named = [name for name, value in given.items() if value is not None]
        if named and all(board.kind == "crossbar" for board in boards):
            raise UsageError(
                f"board {boards[0].name}: {', '.join(named)}: the cores of crossbar boards are "
                "placed by 'neurodeploy compile'; leave it out"
            )
        if len(boards) > 1 and (source is not None or target is not None):
            raise UsageError(
                f"{len(boards)} boards and a placement file, which is for one; name one board"
            )
        if source is not None and objective is not None:
            raise UsageError("a placement file leaves nothing to choose; leave the objective out")
        if objective is not None:
            from neurodeploy.hardware.place.placement import objective_named

            objective_named(objective)
        if target is not None:
            expect_writable(Path(target))
        return cls(
            objective or "energy",
            None if source is None else Path(source),
            None if target is None else Path(target),
        )

    def start(self, netlist: IntegerNetlist, board: Board) -> CoreMap:
        """The mapping to count a run on: that of the file, or one in row-column order."""
        from neurodeploy.hardware.cut.partition import partition
        from neurodeploy.hardware.place.placement_file import load_placement

        if self.source is not None:
            return load_placement(self.source, netlist, board)
        return partition(netlist, board)

    def finish(
        self,
        traffic: Traffic,
        mapping: CoreMap,
        netlist: IntegerNetlist,
        activity: Activity,
        measure: Callable[[CoreMap], Traffic],
    ) -> tuple[Traffic, Placement]:
        """Place the cores by what the run did, count its events there, and write the file."""
        from neurodeploy.hardware.place.placement_file import save_placement
        from neurodeploy.hardware.search import as_placed, place_by_activity, placed_traffic

        if self.source is not None:
            placement = as_placed(mapping, netlist, activity)
        else:
            placement = place_by_activity(mapping, netlist, activity, self.objective)
            traffic = placed_traffic(traffic, mapping, placement, netlist, activity, measure)
        if self.target is not None:
            save_placement(placement.mapping, self.target)
        return traffic, placement
