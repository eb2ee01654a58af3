"""From a trained network to verified, priced deployments on several boards, step by step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import EventSamples, Samples, SamplesLike, as_data, as_samples
from neurodeploy.datasets.events.spec import is_events_text
from neurodeploy.datasets.spec import training_text
from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.provenance import command_text, without_folders
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network, load_network
from neurodeploy.notebook import shows_progress
from neurodeploy.quantization.integers import MAX_BITS, MIN_BITS
from neurodeploy.stages.asked import FULL_BITS, Asked, chosen_options
from neurodeploy.stages.board_steps import BoardSteps, write_page
from neurodeploy.stages.compile import board_list, chosen_board
from neurodeploy.stages.deploy_record import Record, plain_name
from neurodeploy.stages.deployed import Deployed
from neurodeploy.stages.keeping import kept_in
from neurodeploy.stages.load import wrong_kind
from neurodeploy.stages.samples import encoded_samples
from neurodeploy.stages.sources import check_model
from neurodeploy.targets.registry import TARGETS, usable_targets
from neurodeploy.version import __version__

if TYPE_CHECKING:
    from torch import nn

SAMPLES, VERIFY_SAMPLES, ENERGY_SAMPLES = 1000, 5, 50


@shows_progress("deploy")
def deploy(
    model: str | Path | nn.Module | Network,
    data: SamplesLike,
    board: str | Board | Sequence[str | Board],
    output: str | Path,
    *,
    weights: str | Path | None = None,
    norm: str | None = None,
    calibration_data: SamplesLike | None = None,
    target: str | Sequence[str] | None = None,
    weight_bits: int = FULL_BITS,
    samples: int = SAMPLES,
    verify_samples: int = VERIFY_SAMPLES,
    energy_samples: int = ENERGY_SAMPLES,
    command: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
    stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
    **options: Any,
) -> Deployed:
    """Convert, quantize, evaluate, compile, verify and price a network for several boards.

    Every step that is finished is kept in the folder. A further run, after a kill or with other
    arguments, runs only what is missing and what depends on something that changed.

    Parameters
    ----------
    model : str, path, torch.nn.Module or Network
        As of :func:`neurodeploy.convert`; or a spiking network, which is not converted: one that
        was imported or converted before, or its .ndn file.
    data : Samples or what they are made from
        What accuracy, verification and energy are measured on: the test split of a text. A spiking
        network takes recordings of events as well.
    board : str, Board or sequence
        Names or paths, as text separated by commas; ``all`` that come with neurodeploy.
    output : path
        The folder to write: a new one, an empty one, or that of an earlier run.
    weights : path, optional
        State dict saved by torch.save.
    norm : str, optional
        Normalization of the source network, as ``#norm`` of a data text: mnist, cifar10, imagenet
        or MEANS/STDS.
    calibration_data : Samples or what they are made from, optional
        What the conversion is calibrated on, and weights of few bits are rounded against.
        [default: the training split of the data's text]
    target : str or sequence of str, optional
        Targets to compile for, as text separated by commas. [default: all that take it]
    weight_bits : int
        2 to 8.
    samples : int >= 1
        Accuracies are measured on the first so many samples.
    verify_samples : int >= 1
        Deployments are verified on the first so many samples.
    energy_samples : int >= 1
        Energies are measured on the first so many samples.
    command : sequence of str
        The command line, to be recorded in the files.
    tell : callable
        Told a line for each step.
    stage : callable
        Told what runs now.
    progress : callable, optional
        Of what runs now.
    **options
        Of :func:`neurodeploy.convert` and of its method.

    Returns
    -------
    Deployed
        Also with boards that cannot run the network: their steps tell why.

    Raises
    ------
    UsageError
        If the folder holds other things, or for arguments that contradict each other.
    NeurodeployError
        One line for everything else that does not fit.
    """
    given = _spiking(model)
    if given is None:
        check_model(model, "deploy")
    boards = _boards(board)
    targets = _targets(target, boards)
    for name in ("board", "target"):
        if name in options:
            raise UsageError(f"deploy: {name} {options[name]!r} is given twice")
    counts = {
        "samples": samples,
        "verify_samples": verify_samples,
        "energy_samples": energy_samples,
    }
    if not isinstance(output, str | os.PathLike):
        raise wrong_kind("deploy", output, "the path of a folder as output")
    for name, count in {"weight_bits": weight_bits, **counts}.items():
        if not isinstance(count, int):
            raise UsageError(f"{name.replace('_', ' ')} {count!r}: expected a whole number")
    if not MIN_BITS <= weight_bits <= MAX_BITS:
        raise UsageError(f"weight bits {weight_bits}: expected {MIN_BITS} to {MAX_BITS}")
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name.replace('_', ' ')} {count}: at least 1 is needed")
    name = type(model).__name__ if given is None else given.netlist.name
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
    read = as_samples if given is None else as_data
    test: Samples | EventSamples = read(data, "test")
    training = None
    if given is not None:
        conversion = {"norm": norm, "weights": weights, **options}
        _expect_unasked(name, given, weight_bits, calibration_data, conversion)
        # Data of another network are told before anything is written.
        encoded_samples(given, test, 1)
    if given is None or _rounded(given, weight_bits):
        training = read(_calibration(data, calibration_data, norm), "train")
    arguments = {
        "model": name,
        "weights": weights,
        "data": data if isinstance(data, str) else test.name,
        "norm": norm,
        "calibration_data": calibration_data if isinstance(calibration_data, str) else None,
        "board": ",".join(b.name for b in boards),
        "target": ",".join(targets) if target is not None else None,
        "weight_bits": weight_bits,
        **counts,
        **options,
    }
    told = {k: _told(v) for k, v in arguments.items() if v is not None}
    names = tuple(b.name for b in boards)
    record = Record(
        __version__,
        tuple(command_text(command)) if command else (),
        told,
        names,
        {one.name: one.to_dict() for one in boards},
    )
    with kept_in(Path(output), record, tell) as keeper:
        asked = Asked(
            keeper,
            model,
            weights,
            given,
            test,
            training,
            targets[0] if target is not None and len(targets) == 1 else None,
            weight_bits,
            counts,
            options,
            command,
            stage,
            progress,
        )
        for one in boards:
            BoardSteps(asked, one, [t for t in targets if _takes(t, one)]).run()
        write_page(asked, data if isinstance(data, str) else test)
        return keeper.finish()


def _told(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    return without_folders(os.fspath(value) if isinstance(value, os.PathLike) else str(value))


def _boards(board: str | Board | Sequence[str | Board]) -> list[Board]:
    found = [chosen_board(one) for one in board_list(board)]
    if not found:
        raise UsageError("deploy: an empty list of boards; name one at least")
    names = [plain_name("board", one.name) for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"deploy: two boards are called {twice!r}; give each a name of its own")
    return found


def _targets(target: str | Sequence[str] | None, boards: Sequence[Board]) -> list[str]:
    if target is None:
        # Those that take no other netlists than ones quantized for them alone have to be named.
        usual = (name for name, kind in usable_targets().items() if not kind.quantization)
        return [plain_name("target", name) for name in usual]
    if not isinstance(target, Iterable):
        raise wrong_kind("deploy", target, "names of targets as target")
    names = [n.strip() for n in target.split(",")] if isinstance(target, str) else list(target)
    for name in names:
        TARGETS.get(name)
        if not any(_takes(name, board) for board in boards):
            told = " or ".join(board.name for board in boards)
            raise UsageError(f"deploy: target {name} does not run board {told}; choose another")
    return list(dict.fromkeys(plain_name("target", name) for name in names))


def _takes(target: str, board: Board) -> bool:
    return TARGETS.get(target).board_kind in (None, board.kind)


def _spiking(model: object) -> Network | None:
    """The model, if it is a spiking network already."""
    if isinstance(model, Network):
        return model
    if isinstance(model, str | os.PathLike) and os.fspath(model).endswith(".ndn"):
        return load_network(os.fspath(model))
    return None


def _rounded(net: Network, weight_bits: int) -> bool:
    """Whether weights are rounded against data."""
    return not isinstance(net.netlist, IntegerNetlist) and weight_bits < FULL_BITS


def _expect_unasked(
    name: str,
    net: Network,
    weight_bits: int,
    calibration_data: SamplesLike | None,
    conversion: Mapping[str, Any],
) -> None:
    """Refuse what does nothing to a spiking network.

    Raises
    ------
    UsageError
        Naming the first of them.
    """
    found = next(iter(chosen_options(conversion).items()), None)
    if found is not None:
        option, value = found
        raise UsageError(f"deploy: {option} {value}: {name} is converted already; leave it out")
    if isinstance(net.netlist, IntegerNetlist) and weight_bits != FULL_BITS:
        raise UsageError(
            f"deploy: weight_bits {weight_bits}: {name} is quantized already; leave it out"
        )
    if calibration_data is not None and not _rounded(net, weight_bits):
        raise UsageError(
            f"deploy: calibration_data: nothing of {name} is calibrated, or rounded to fewer than "
            f"{FULL_BITS} bits; leave it out"
        )


def _calibration(data: SamplesLike, given: SamplesLike | None, norm: str | None) -> SamplesLike:
    """What the training samples are made from, with the normalization."""
    if given is None and (not isinstance(data, str) or is_events_text(data)):
        what = "events" if isinstance(data, str) else "data that are no text"
        raise UsageError(f"deploy: {what} have no training split; name calibration_data as well")
    text = training_text(str(data)) if given is None else given
    if norm is not None:
        if not isinstance(text, str):
            raise UsageError(
                f"deploy: norm {norm!r} is for data that a text names; pass "
                "calibration_data=Samples(x, y, norm=...)"
            )
        if "#norm=" in text:
            raise UsageError(f"deploy: norm {norm!r}: {text} names one as well; leave one out")
        text = f"{text}#norm={norm}"
    return text
