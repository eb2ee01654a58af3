"""The folder of a ``deploy``: its steps, and what each of them left there.

::

    deploy.json               what was asked for, and the steps so far, each with its inputs
    steps/BOARD-STEP.json     the result of a step, as the JSON of its command
    steps/BOARD-STEP.safetensors  the class that each sample was given, of an evaluation
    BOARD.ndn                 the converted network, real-valued, or the one that was given
    BOARD-int8.ndn            the quantized one
    BOARD-TARGET/             what the target compiled
    report.html               the page

A step is listed in ``deploy.json`` when everything that it wrote is there whole. The digests of its
inputs stand beside those of its files, so that a later run knows whether it has to run again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.loading.files import LARGEST_TEXT, arrays_and_metadata, parsed_json, read_bytes
from neurodeploy.loading.shapes import WHOLE, Shape, has_shape
from neurodeploy.network import Network, load_network
from neurodeploy.notebook import Shown
from neurodeploy.stages.deploy_record import (
    AGAIN,
    DEPLOYED_FILE,
    SCHEMA,
    Name,
    Record,
    Step,
    is_deployed,
    read_record,
)
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.loading import load_deployment

STEPS_FOLDER = "steps"
REPORT_FILE = "report.html"

_BAR = ({"likely": (float, None), "low": float, "high": (float, None)}, None)
_EVALUATED: Shape = {
    "accuracy": ({...: (float, None)}, None),
    "source_accuracy": (float, None),
    "output_rmse": ({...: (dict, None)}, None),
    "relative_error": ({...: {...: ({"worst": float}, None)}}, None),
}
_RESULTS: Mapping[str, Shape] = {
    "evaluate": _EVALUATED,
    "evaluate-real": _EVALUATED,
    "verdict": {"answer": str},
    "compile": {"restated": ({"summary": str}, None)},
    "verify": {"exact": (bool, None)},
    "energy": {
        "cores": (WHOLE, None),
        "energy_per_inference_j": ({"total": _BAR}, None),
        "time_per_inference_s": _BAR,
    },
}
"""What the table of a deploy shows of the results of its steps."""


@dataclass(frozen=True, slots=True, repr=False)
class Deployed(Shown):
    """The folder of a ``deploy``, finished or not.

    Parameters
    ----------
    folder : Path
    record : Record
    """

    folder: Path
    record: Record

    def __repr__(self) -> str:
        n = len(self.steps)
        open_ = "" if self.record.finished else ", not finished"
        return f"Deployed({self.folder}: {', '.join(self.boards)}; {n} step{'s' * (n != 1)}{open_})"

    @property
    def boards(self) -> tuple[str, ...]:
        """The boards that were asked for."""
        return self.record.boards

    def board(self, name: str) -> Board:
        """A board as it was when it was asked for.

        Raises
        ------
        UnknownNameError
            For another one.
        BoardError
            If its description is damaged.
        """
        if name not in self.boards:
            raise UnknownNameError(f"board of {self.folder}", name, self.boards)
        where = f"{self.folder / DEPLOYED_FILE}: board {name}"
        return Board.from_dict(self.record.descriptions.get(name), where)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The finished steps, in their order."""
        return self.record.steps

    def step(self, name: Name, board: str | None = None, target: str | None = None) -> Step | None:
        """A step; None if it is not finished."""
        return next((s for s in self.steps if s.key == (name, board, target)), None)

    def result(self, step: Step | None) -> dict[str, Any] | None:
        """The result of a step, as the JSON of its command; None where it has none.

        Raises
        ------
        FileFormatError
            If the file is missing, or was changed since.
        """
        if step is None or step.result is None:
            return None
        where = self.folder / step.result
        damaged = f"{where}: damaged; delete it and {AGAIN}"
        found: dict[str, Any] = parsed_json(self._content(step, step.result), damaged)
        if not has_shape(found, _RESULTS.get(step.name, {})):
            raise FileFormatError(damaged)
        return found

    def answers(self, step: Step) -> dict[str, IntArray]:
        """Classes ``decided`` and ``source_decided`` of each sample; empty where none were kept.

        Raises
        ------
        FileFormatError
            If the file is missing, or was changed since.
        """
        file = answers_file(step.name, step.board)
        if file not in step.files:
            return {}
        damaged = f"{self.folder / file}: damaged; delete it and {AGAIN}"
        arrays, _ = arrays_and_metadata(self._content(step, file), damaged)
        return {name: values.astype(np.int64) for name, values in arrays.items()}

    def _content(self, step: Step, file: str) -> bytes:
        """A file that a step wrote, as it wrote it."""
        where = self.folder / file
        content = read_bytes(where, "the result of a step", LARGEST_TEXT)
        if hashlib.sha256(content).hexdigest() != step.files.get(file):
            raise FileFormatError(f"{where}: was changed after it was written; {AGAIN}")
        return content

    def refusal(self, board: str) -> Step | None:
        """The step at which a board turned out not to run the network; None if it runs it."""
        refused = (s for s in self.steps if s.board == board and s.status == "refused")
        return next((step for step in refused if step.target is None), None)

    @property
    def exact(self) -> bool:
        """Whether every deployment that was verified computes the same spikes."""
        found = (self.result(step) for step in self.steps if step.name == "verify")
        return all(result.get("exact", True) for result in found if result is not None)

    def compiled(self, board: str) -> tuple[str, ...]:
        """The targets that compiled the network for a board."""
        return tuple(
            step.target
            for step in self.steps
            if step.name == "compile" and step.board == board and step.status == "done"
            if step.target is not None
        )

    def real(self, board: str) -> Network | None:
        """The real-valued network of a board; None if it was refused, or is not there."""
        return self._network(board, network_file(board))

    def network(self, board: str) -> Network | None:
        """The quantized network of a board; None if it was refused, or is not there yet."""
        return self._network(board, self.integer_name(board))

    def integer_name(self, board: str) -> str | None:
        """Name of the file of the quantized network of a board."""
        names = (n for n in self._netlists(board) if n != network_file(board))
        return next(names, None)

    def _netlists(self, board: str) -> list[str]:
        """The ``.ndn`` files of a board."""
        made = (s for s in self.steps if s.board == board)
        named = [n for s in made if s.name in ("convert", "load", "quantize") for n in s.files]
        return [name for name in named if name.endswith(".ndn")]

    def _network(self, board: str, file: str | None) -> Network | None:
        if file is None or file not in self._netlists(board):
            return None
        return load_network(self.folder / file)

    def source_accuracy(self, board: str) -> float | None:
        """Of the source network; of the real-valued netlist, where none came with it."""
        whole, real = (
            self.result(self.step(name, board)) or {} for name in ("evaluate", "evaluate-real")
        )
        # What was refused before it was evaluated has the first measurement alone.
        told: list[float | None] = [x.get("source_accuracy") for x in (whole, real)]
        told += (real.get("accuracy") or {}).values()
        return next((x for x in told if x is not None), None)

    def deployment(self, board: str, target: str) -> Deployment | None:
        """What a target compiled for a board; None where it refused, or is not there yet."""
        if target not in self.compiled(board):
            return None
        return load_deployment(self.folder / deployment_folder(board, target))

    def to_dict(self) -> dict[str, Any]:
        """JSON values: ``deploy.json``, and the result of every step inside it."""
        told = {"folder": str(self.folder), "schema": SCHEMA, **asdict(self.record)}
        del told["kept"], told["running"], told["descriptions"]
        told["steps"] = [{**asdict(s), "result": self.result(s)} for s in self.steps]
        return told


def network_file(board: str) -> str:
    """Name of the converted network of a board."""
    return f"{board}.ndn"


def integer_file(board: str, bits: int) -> str:
    """Name of the quantized network of a board."""
    return f"{board}-int{bits}.ndn"


def deployment_folder(board: str, target: str) -> str:
    """Name of what a target compiled for a board."""
    return f"{board}-{target}"


def result_file(name: Name, board: str | None, target: str | None) -> str:
    """Name of the result of a step."""
    return f"{STEPS_FOLDER}/{'-'.join(part for part in (board, name, target) if part)}.json"


def answers_file(name: Name, board: str | None) -> str:
    """Name of the classes that an evaluation gave to each sample."""
    return str(PurePosixPath(result_file(name, board, None)).with_suffix(".safetensors"))


def read_deployed(folder: str | Path) -> Deployed:
    """Read the folder of a ``deploy``; nothing in it is executed.

    Raises
    ------
    UsageError
        For anything but a path.
    FileFormatError
        If it is missing, damaged or of another schema version.
    """
    if not isinstance(folder, str | os.PathLike):
        raise UsageError(f"read_deployed: got {folder!r}; pass the path of a folder of deploy")
    folder = Path(folder)
    if not is_deployed(folder):
        what = "holds no deploy.json" if folder.is_dir() else "no such folder"
        raise FileFormatError(f"{folder}: {what}; 'neurodeploy deploy ... -o {folder}' makes it")
    return Deployed(folder, read_record(folder))
