"""A recording that was streamed, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.decoding import classify, scores_classes
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, joined_steps
from neurodeploy.render.inference import packed
from neurodeploy.render.text import render_table
from neurodeploy.stages.stream import Stream


@dataclass(frozen=True, slots=True)
class Piece:
    """What a piece of a stream was, and what the network had answered after it.

    Parameters
    ----------
    first, steps : int
        Of the input; 0 steps: what lagged behind, after the last piece.
    spikes : dict
        Population -> spikes of the steps that it answered in this piece.
    classes : dict
        Output -> its class so far; None where it has not answered, or decides no class.
    """

    first: int
    steps: int
    spikes: dict[str, int]
    classes: dict[str, int | None]

    @classmethod
    def of(cls, stream: Stream, record: RunRecord, before: int) -> Piece:
        """The piece that a stream has just run, from what it had run before."""
        netlist = stream.network.netlist
        counts = {
            p.name: int(np.abs(record.spikes[p.name]).sum())
            for p in netlist.populations
            if p.name in record.spikes and not isinstance(p.model, Input)
        }
        classes = {}
        for output in netlist.outputs:
            answer = stream.answer(output)
            decided = None
            if answer is not None and scores_classes(answer):
                decided = int(classify(answer).labels[0])
            classes[output.population] = decided
        return cls(before, stream.steps - before, counts, classes)

    @property
    def shown(self) -> str:
        """Its steps, as ``0..9``."""
        return f"{self.first}..{self.first + self.steps - 1}" if self.steps else "end"


def render_stream(stream: Stream, played: Sequence[Piece]) -> str:
    """A line per piece."""
    names = list(played[0].classes)
    rows = [(piece.shown, *piece.classes.values(), sum(piece.spikes.values())) for piece in played]
    several = len(names) > 1
    headings = ("steps", *(f"class of {n}" if several else "class" for n in names), "spikes")
    lines = [f"{stream.network.netlist.name} on {stream.executor}: {stream.steps} steps"]
    if stream.lost:
        lines.append(f"events that their counts do not show: {stream.lost}")
    return "\n".join(lines) + "\n\n" + render_table(headings, rows)


def stream_to_dict(stream: Stream, played: Sequence[Piece]) -> dict[str, Any]:
    """The same as JSON values, with the answers at the end."""
    answers = {o.population: stream.answer(o) for o in stream.network.netlist.outputs}
    return {
        "network": stream.network.netlist.name,
        "executor": stream.executor,
        "steps": stream.steps,
        "lost": stream.lost,
        "pieces": [
            {"first": p.first, "steps": p.steps, "classes": p.classes, "spikes": p.spikes}
            for p in played
        ],
        "outputs": {n: None if a is None else a[0].tolist() for n, a in answers.items()},
    }


def stream_npz(records: Sequence[RunRecord]) -> bytes:
    """Spikes of all steps as the bytes of an .npz file."""
    whole = joined_steps([record for record in records if record.spikes])
    return packed({f"spikes.{name}": values for name, values in whole.spikes.items()})
