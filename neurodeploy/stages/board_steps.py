"""The steps of a deploy for one board; each is a public stage whose result is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurodeploy.datasets import SamplesLike
from neurodeploy.errors import CapacityError, QuantizationError, TargetUnavailableError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.storage import array_bytes
from neurodeploy.network import Network, load_network
from neurodeploy.stages.asked import FULL_BITS, Asked, package_version
from neurodeploy.stages.budget import AUTO
from neurodeploy.stages.compile import compile
from neurodeploy.stages.convert import convert
from neurodeploy.stages.deploy_record import Name
from neurodeploy.stages.deployed import (
    REPORT_FILE,
    Deployed,
    answers_file,
    deployment_folder,
    integer_file,
    network_file,
)
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.keeping import Work, text_digest
from neurodeploy.stages.load import load
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.record import with_command
from neurodeploy.stages.report import report
from neurodeploy.stages.save import save
from neurodeploy.stages.step_lines import (
    accuracy_line,
    choice_line,
    comparison_line,
    network_line,
    widths_line,
)
from neurodeploy.stages.verdict import COST_SAMPLES, verdict
from neurodeploy.stages.verify import verify
from neurodeploy.targets.registry import TARGETS, target_for
from neurodeploy.version import __version__

REFUSALS = (CapacityError, QuantizationError)
"""Errors that tell of a board what it cannot do; all others end the run."""
AGAINST = ("reference", "engine")


class BoardSteps:
    """The steps of one board, as far as it can run the network."""

    def __init__(self, asked: Asked, board: Board, targets: Sequence[str]) -> None:
        self.asked, self.board, self.targets = asked, board, targets
        # A target that does not run this board is for other boards of the same call.
        only = asked.only
        self.only = only if only and target_for(board, only) == only else None
        self.folder = asked.keeper.folder
        self.digest = text_digest(board.to_dict())
        self.real = network_file(board.name)
        self.whole = ""
        self.widths: Mapping[str, Any] = {}
        self.parts: Mapping[str, Any] = {}

    def run(self) -> None:
        """All steps, or those up to the first refusal."""
        given = self.asked.given
        if not (self.convert() if given is None else self.load(given)):
            return
        if given is None or isinstance(given.netlist, RealNetlist):
            self.read_choice()
            self.evaluate("evaluate-real", self.real)
            if not self.quantize():
                return
        if not self.judge():
            return
        compiled = [target for target in self.targets if self.compile(target)]
        first = target_for(self.board, self.only)
        stated = deployment_folder(self.board.name, first) if first in compiled else self.whole
        self.evaluate("evaluate", stated)
        for target in compiled:
            self.verify(target)
        self.price(stated)

    def step(
        self,
        name: Name,
        inputs: Mapping[str, str],
        work: Callable[[], Work],
        *,
        files: tuple[str, ...] = (),
        target: str | None = None,
    ) -> bool:
        """Whether a step is done: run, or kept."""

        def refusable() -> Work:
            self.asked.stage(" ".join(n for n in (self.board.name, name, target) if n))
            try:
                return work()
            except REFUSALS as error:
                return Work(str(error), {"refused": str(error)}, "refused")
            except TargetUnavailableError as error:
                if target is None:
                    raise
                return Work(str(error), {"left_out": str(error)}, "left out")

        known = {"neurodeploy": __version__, **inputs}
        found = self.asked.keeper.step(name, self.board.name, target, known, files, refusable)
        return found.status == "done"

    def convert(self) -> bool:
        """The trained network to a real-valued netlist, for this board if ``auto`` chooses."""
        asked = self.asked
        aimed: dict[str, Any] = {}
        if asked.options.get("method", AUTO) == AUTO:
            aimed = {"board": self.board, "target": self.only}

        def work() -> Work:
            assert asked.training is not None
            net = convert(
                asked.model,
                asked.training,
                weights=asked.weights,
                tell=asked.stage,
                progress=asked.progress,
                **aimed,
                **asked.options,
            )
            if asked.command:
                net = with_command(net, asked.command)
            save(net, self.folder / self.real)
            return Work(choice_line(net), dict(net.provenance))

        inputs = {**asked.sources, "board": self.digest, "target": str(self.only)}
        return self.step("convert", inputs, work, files=(self.real,))

    def load(self, given: Network) -> bool:
        """A network that is a spiking one already, as it is."""
        asked, file = self.asked, self.real
        if isinstance(given.netlist, IntegerNetlist):
            widths = [projection.weight_bits for projection in given.netlist.projections]
            file = self.whole = integer_file(self.board.name, max(widths, default=FULL_BITS))

        def work() -> Work:
            net = with_command(given, asked.command) if asked.command else given
            save(net, self.folder / file)
            return Work(network_line(net), dict(net.provenance))

        return self.step("load", asked.sources, work, files=(file,))

    def read_choice(self) -> None:
        """What ``auto`` measured the network with, where that is not the usual way."""
        auto = load_network(self.folder / self.real).provenance.get("auto", {})
        # A network that was given may have been converted for another board.
        ours = auto.get("board") in (None, self.board.name)
        chosen = (auto.get("chosen") or {}) if ours else {}
        self.widths = chosen.get("quantization") or {}
        self.parts = chosen.get("options") or {}
        bits = self.widths.get("weight_bits", self.asked.weight_bits)
        self.whole = integer_file(self.board.name, bits)

    def evaluate(self, name: Name, what: str) -> None:
        """Accuracy beside the source network's, and the class that each sample was given."""
        n = self.asked.first("samples")
        file = answers_file(name, self.board.name)

        def work() -> Work:
            thing = load(self.folder / what)
            net = thing if isinstance(thing, Network) else thing.network
            found = evaluate(net, self.asked.test, n, progress=self.asked.progress)
            answers = {"decided": found.decided, "source_decided": found.source_decided}
            known = {name: values for name, values in answers.items() if values is not None}
            if known:
                write_bytes_whole(self.folder / file, array_bytes(known))
            kind = "integer" if isinstance(net.netlist, IntegerNetlist) else "spiking"
            return Work(accuracy_line(found, kind), found.to_dict())

        inputs = {"network": self.digest_of(what), "data": self.asked.data(n), "samples": str(n)}
        self.step(name, inputs, work, files=(file,))

    def quantize(self) -> bool:
        """To integers, in the widths of the board."""
        asked = self.asked
        options: dict[str, Any] = {"weight_bits": asked.weight_bits, "fit": self.board}
        if self.widths:
            options = dict(self.widths)
        rounded = not self.widths and asked.weight_bits < FULL_BITS

        def work() -> Work:
            net = quantize(
                self.folder / self.real,
                data=asked.training if rounded else None,
                target=self.only,
                progress=asked.progress,
                **options,
            )
            save(net, self.folder / self.whole)
            told = net.provenance["quantization"]
            return Work(widths_line(told["report"]), dict(told))

        inputs = {
            "network": self.digest_of(self.real),
            "board": self.digest,
            "target": str(self.only),
            "weight bits": str(self.widths or asked.weight_bits),
            **({"calibration data": asked.calibration} if rounded else {}),
        }
        return self.step("quantize", inputs, work, files=(self.whole,))

    def judge(self) -> bool:
        """Whether the board can run it; in parts, only its compilation tells."""
        if self.parts:
            return True
        only = self.only

        def work() -> Work:
            found = verdict(self.folder / self.whole, self.board, only, self.asked.test)
            line = f"{found}; {found.remedy}" if found.remedy else str(found)
            return Work(line, found.to_dict(), "done" if found.fits else "refused")

        inputs = {
            "network": self.digest_of(self.whole),
            "board": self.digest,
            "target": str(only),
            "data": self.asked.data(COST_SAMPLES),
        }
        return self.step("verdict", inputs, work)

    def compile(self, target: str) -> bool:
        """For a target, if that takes it."""
        folder = deployment_folder(self.board.name, target)
        options = self.parts if target == target_for(self.board, self.only) else {}

        def work() -> Work:
            deployment = compile(self.folder / self.whole, target, self.board, **options)
            save(deployment, self.folder / folder)
            told = deployment.to_dict()
            stated = f"; approximated: {told['restated']['summary']}" if told["restated"] else ""
            return Work(f"{folder}{stated}", told)

        inputs = {
            "network": self.digest_of(self.whole),
            "board": self.digest,
            "options": json.dumps(dict(options), sort_keys=True),
            "software": _software(target),
        }
        return self.step("compile", inputs, work, files=(folder,), target=target)

    def verify(self, target: str) -> None:
        """Spike for spike, from the compiled files."""
        folder, n = deployment_folder(self.board.name, target), self.asked.first("verify_samples")

        def work() -> Work:
            reason = TARGETS.get(target).unavailable()
            if reason is not None:
                raise TargetUnavailableError(reason)
            found = verify(
                self.folder / folder, AGAINST, self.asked.test, n, progress=self.asked.progress
            )
            return Work(comparison_line(found), found.to_dict())

        inputs = {
            "deployment": self.digest_of(folder),
            "data": self.asked.data(n),
            "samples": str(n),
            "software": _software(target),
        }
        self.step("verify", inputs, work, target=target)

    def price(self, what: str) -> None:
        """Energy and time per inference, on the board's cores."""
        n = self.asked.first("energy_samples")

        def work() -> Work:
            found = estimate_energy(
                self.folder / what,
                self.board,
                self.asked.test,
                n,
                target=self.only,
                progress=self.asked.progress,
            )
            cores = f"{found.cores} core{'s' * (found.cores != 1)}"
            return Work(f"{found.energy_text} on {cores}", found.to_dict())

        inputs = {
            "network": self.digest_of(what),
            "board": self.digest,
            "data": self.asked.data(n),
            "samples": str(n),
            "target": str(self.only),
        }
        self.step("energy", inputs, work)

    def digest_of(self, what: str) -> str:
        """Digest of what an earlier step wrote."""
        return self.asked.keeper.digest(what)


def write_page(asked: Asked, data: SamplesLike) -> None:
    """The page of everything, the last step.

    Parameters
    ----------
    asked : Asked
    data : Samples or what they are made from
        As it was given, so that the page tells the command that makes it again.
    """
    keeper, n = asked.keeper, asked.first("samples")
    steps = keeper.record.steps
    path = keeper.folder / REPORT_FILE

    def work() -> Work:
        asked.stage("the page")
        made = Deployed(keeper.folder, keeper.record)
        if all(made.integer_name(board) is None for board in made.boards):
            return Work("no board has a network to show", None, "left out")
        try:
            report(keeper.folder, data, path, samples=n, tell=asked.stage)
        except TargetUnavailableError as error:
            return Work(str(error), {"left_out": str(error)}, "left out")
        return Work(f"{REPORT_FILE}, {path.stat().st_size / 1000:.0f} kB")

    done = {str(step): [dict(step.files), step.line] for step in steps}
    inputs = {
        "neurodeploy": __version__,
        "matplotlib": package_version("matplotlib"),
        "results": text_digest(done),
        "data": asked.data(n),
        "samples": str(n),
    }
    keeper.step("report", None, None, inputs, (REPORT_FILE,), work)


def _software(target: str) -> str:
    """Whether a target can run here: what was left out runs once it can."""
    return TARGETS.get(target).unavailable() or "there"
