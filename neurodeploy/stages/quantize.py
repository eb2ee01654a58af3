"""From a real-valued netlist to integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import EventSamples, Samples, SamplesLike, as_data
from neurodeploy.errors import UsageError, warn_user
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import shows_progress
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.stages.calibration import calibration_record, expect_calibration
from neurodeploy.stages.compile import chosen_board
from neurodeploy.stages.load import opened_network

if TYPE_CHECKING:
    from neurodeploy.quantization.feedback import Replay

MIN_SAMPLES, MAX_SAMPLES = 16, 256
"""Training samples that weights are rounded against."""
LEAST_SNR_DB = 15
"""Layers that gave up bits for a width are warned of below this: weights wrong by 18 %."""
EMITTED_BYTES = 2 * 2**30
"""Limit of emissions over these samples, in 4 bytes each; large networks have more positions."""


@shows_progress("quantize")
def quantize(
    net: Network | str | Path,
    weight_bits: int = 8,
    *,
    layer_bits: Mapping[str, int] | None = None,
    fit: str | Board | None = None,
    data: SamplesLike | None = None,
    calibration_samples: int | None = None,
    target: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Network:
    """Quantize a converted network to integers.

    Parameters
    ----------
    net : Network or path
        With a real-valued netlist.
    weight_bits : int
        2 to 8.
    layer_bits : mapping of population to int, optional
        Other widths for the projections into these populations.
    fit : board, optional
        Widest widths, up to those given, with which every layer fits the board: its crossbars, or
        the weights, states, thresholds and biases of its neurocores.
    data : Samples or what they are made from, optional
        Round weights against what arrives at them, on its training split, layer after layer: what
        few bits need.
    calibration_samples : int, optional
        The first so many samples of ``data``; 256 by default, fewer of networks so large that what
        their neurons emit would take more than 2 GiB.
    target : str, optional
        That is to compute it, and sets what its neurons need; with ``fit`` the first that runs such
        boards by default, else what ``auto`` converted for.
    progress : callable, optional
        Of running them.
    **options
        Further fields of :class:`neurodeploy.quantization.integers.Quantization`.

    Raises
    ------
    QuantizationError
        Naming the layer and what the widths cannot represent.
    DataError
        If ``data`` is no training data, or not what the network was converted for.
    UsageError
        If the network is quantized already, has no encoded input for ``data``.
    """
    from neurodeploy.quantization.integers import Quantization
    from neurodeploy.stages.fit import fit_layer_bits, within

    net = opened_network(net, "quantize")
    if not isinstance(net.netlist, RealNetlist):
        raise UsageError(f"{net.netlist.name}: is quantized already; start from the converted file")
    known = {f.name for f in dataclasses.fields(Quantization)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(f"quantize: no option {unknown[0]!r}; options: {', '.join(sorted(known))}")
    if not isinstance(layer_bits, Mapping | None):
        raise UsageError(
            f"layer_bits of type {type(layer_bits).__name__}; expected bits by layer, as "
            "{'conv1': 6}"
        )
    needed = _needed(target or net.provenance.get("auto", {}).get("target"))
    chosen = Quantization(weight_bits, dict(layer_bits or {}), **{**needed, **options})
    # What is wrong with the options is told before anything takes long.
    chosen.check_layers(net.netlist)
    board = None if fit is None else chosen_board(fit)
    if board is not None and board.kind != "crossbar":
        chosen, board = within(chosen, board), None
    heard, replay = Heard(), None
    rounding: dict[str, Any] | None = None
    if data is not None:
        given = as_data(data, "train")
        if not net.encodings and not isinstance(given, EventSamples):
            raise UsageError(
                f"{net.netlist.name}: has no encoded input that data could enter by; give events, "
                "or quantize it without data"
            )
        samples = calibration_samples
        if samples is None:
            samples = _rounding_samples(net.netlist)
        expect_calibration(given, samples)
        dataset = given.first(min(samples, len(given)))
        heard, replay = _emissions(net, dataset, progress)
        rounding = calibration_record(dataset)
    if board is not None:
        # What fits is found on weights that are rounded side by side.
        chosen = dataclasses.replace(chosen, feedback=False)
        chosen = fit_layer_bits(net.netlist, chosen, board, heard, target)
    integer, report = chosen(net.netlist, heard, replay)
    for row in report:
        if _suffers(row):
            warn_user(_given_up(row))
    provenance = {
        **net.provenance,
        "quantization": {**dataclasses.asdict(chosen), "calibration": rounding, "report": report},
    }
    return Network(integer, net.encodings, net.analog, net.netlist, provenance)


def _needed(target: str | None) -> Mapping[str, Any]:
    """The fields that netlists for a target are quantized with."""
    from neurodeploy.targets.registry import TARGETS

    return {} if target is None else TARGETS.get(target).quantization


def _suffers(row: Mapping[str, Any]) -> bool:
    """Whether a layer gave up weight bits for a width, and now errs by more than is told here."""
    snr = row["input_snr_db"] if row["compensated"] else row["weight_snr_db"]
    return bool(row["most_lost_bits"] and snr is not None and snr < LEAST_SNR_DB)


def _given_up(row: Mapping[str, Any]) -> str:
    snr = row["input_snr_db"] if row["compensated"] else row["weight_snr_db"]
    return (
        f"{row['layer']}: up to {row['most_lost_bits']} of {row['weight_bits']} weight bits are "
        f"given up for the width of its state, which leaves {snr:.2f} dB of its weights (below "
        f"{LEAST_SNR_DB}); use fewer time steps, or an input of fewer levels"
    )


def _rounding_samples(netlist: RealNetlist) -> int:
    neurons = sum(p.size for p in netlist.populations)
    return max(MIN_SAMPLES, min(MAX_SAMPLES, EMITTED_BYTES // (4 * neurons)))


def _emissions(
    net: Network, dataset: Samples | EventSamples, progress: Progress | None
) -> tuple[Heard, Replay]:
    """Emissions over each sample of every population with targets, and the samples."""
    from neurodeploy.quantization.feedback import Replay
    from neurodeploy.stages.samples import stimulus_for
    from neurodeploy.verification.totals import run_integers, summarize

    assert isinstance(net.netlist, RealNetlist)
    stimulus, _ = stimulus_for(net, dataset)
    heard = sorted({q.pre for q in net.netlist.projections})
    summary = summarize(net.netlist, stimulus, rates=heard, progress=progress)
    emissions = {name: summary.rates[name] for name in heard}
    return Heard(emissions), Replay(stimulus, run_integers)
