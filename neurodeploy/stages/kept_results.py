"""What the folder of a deploy knows already of networks, data and boards, for the page about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.hardware.fit import Verdict
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.hardware.price.stored import stored_report, stored_verdict
from neurodeploy.stages.deploy_record import Name, Step
from neurodeploy.stages.deployed import Deployed, deployment_folder, network_file
from neurodeploy.stages.fingerprints import MeasuredOn
from neurodeploy.stages.keeping import digest_of
from neurodeploy.targets.registry import target_for
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.stored import stored_evaluation
from neurodeploy.version import __version__


@dataclass(frozen=True, slots=True)
class KeptResults:
    """Results of a board that are those which measuring again would give.

    A result is None where it was measured on other samples, of another network, or by another
    version.

    Parameters
    ----------
    deployed : Deployed
    board : str
    on : MeasuredOn
        What the page is to be measured on.
    """

    deployed: Deployed
    board: str
    on: MeasuredOn

    def evaluation(
        self, kind: Literal["spiking", "integer"], data: Samples | EventSamples
    ) -> Evaluation | None:
        """Accuracy of the real-valued or of the integer network on these samples, all of them."""
        name: Name = "evaluate-real" if kind == "spiking" else "evaluate"
        step = self._same(name, len(data))
        told = self.deployed.result(step)
        if step is None or told is None:
            return None
        answers = self.deployed.answers(step)
        if told.get("task") == "classes" and not answers:
            return None
        return stored_evaluation(told, answers, data.y)

    def verdict(self) -> Verdict | None:
        """Whether the board runs the network."""
        told = self.deployed.result(self._same("verdict"))
        return None if told is None else stored_verdict(told)

    def energy(self, n: int) -> EnergyReport | None:
        """Energy on the first n samples."""
        told = self.deployed.result(self._same("energy", n))
        return None if told is None else stored_report(told)

    def _same(self, name: Name, n: int | None = None) -> Step | None:
        """The step, if a measurement of now would be the same."""
        step = self.deployed.step(name, self.board)
        if step is None or step.inputs.get("neurodeploy") != __version__:
            return None
        if step.inputs.get("network") not in set(self._networks(name)):
            return None
        if n is not None:
            given = {"samples": str(n), "data": self.on.digest(n)}
            if any(step.inputs.get(key) != value for key, value in given.items()):
                return None
        # A page asks the usual target of a board.
        board, target = self.deployed.board(self.board), step.inputs.get("target", "None")
        usual = target == "None" or target == target_for(board, None)
        return step if usual else None

    def _networks(self, name: Name) -> Iterator[str]:
        """Digests of the files that hold the network of a step."""
        folder, board = self.deployed.folder, self.board
        if name == "evaluate-real":
            yield digest_of(folder, network_file(board))
            return
        whole = self.deployed.integer_name(board)
        if whole is not None:
            yield digest_of(folder, whole)
        for target in self.deployed.compiled(board):
            told = self.deployed.result(self.deployed.step("compile", board, target)) or {}
            # What approximates is another network.
            if told.get("restated") is None:
                yield digest_of(folder, deployment_folder(board, target))
