"""Accuracies as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from neurodeploy.render.text import optional, percent, render_table
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.neurobench import Metrics
from neurodeploy.verification.statistics import Paired, wilson


def shown_prefixes(timesteps: int) -> list[int]:
    """1, 2, 4, ... and T, with the steps halfway between from 8 on."""
    steps = {t for k in range(20) for t in (2**k, 3 * 2**k) if t < timesteps and t != 3}
    return sorted(steps | {timesteps})


def evaluation_parts(evaluations: Sequence[Evaluation]) -> list[str]:
    """Accuracy by T, of every prefix of the longest run, and correlation by layer."""
    last = max(evaluations, key=lambda e: e.timesteps)
    n = last.samples
    head = f"{n} sample{'s' * (n != 1)}"
    if last.source_accuracy is not None:
        head += f"; accuracy of the source network: {interval(last.source_accuracy, n)}"
    if last.source_target_error is not None:
        head += (
            "; error of the source network against the targets, relative to their spread: "
            f"{last.source_target_error}"
        )
    parts = [head, _answers(evaluations)]
    lines = [] if last.loss is None else [f"T = {last.timesteps} loses {_decided(last.loss)}"]
    for before, after in pairwise(evaluations):
        if (change := after.against(before)) is not None:
            steps = f"T = {after.timesteps} against T = {before.timesteps}"
            lines.append(f"{steps} loses {_decided(change)}")
    if lines:
        parts.append("\n".join(lines))
    if last.prefix_accuracy:
        shown = [(t, percent(last.prefix_accuracy[t])) for t in shown_prefixes(last.timesteps)]
        title = f"had the run of T = {last.timesteps} ended at step"
        parts.append(render_table((title, "accuracy"), shown))
    if last.output_rmse and last.task != "classes":
        columns = ("output: RMSE in its units", *(f"T = {e.timesteps}" for e in evaluations))
        rmse = [
            (name, *(f"{e.output_rmse[name]:.4g}" for e in evaluations))
            for name in last.output_rmse
        ]
        parts.append(render_table(columns, rmse))
    if last.layer_correlation:
        rows_ = [
            (name, *(optional("{:.4f}".format, e.layer_correlation.get(name)) for e in evaluations))
            for name in last.layer_correlation
        ]
        columns = (
            "rates and activations: correlation",
            *(f"T = {e.timesteps}" for e in evaluations),
        )
        parts.append(render_table(columns, rows_))
    measured = [(e.timesteps, e.metrics) for e in evaluations if e.metrics is not None]
    if measured:
        columns = ("NeuroBench", *(f"T = {T}" for T, _ in measured))
        told = [_metrics(metrics) for _, metrics in measured]
        parts.append(render_table(columns, [(name, *(t[name] for t in told)) for name in told[0]]))
    return parts


def _metrics(metrics: Metrics) -> dict[str, str | None]:
    """Metrics of NeuroBench as they are shown."""
    return {
        "footprint (bytes)": f"{metrics.footprint:,.0f}",
        "connection sparsity": optional("{:.4f}".format, metrics.connection_sparsity),
        "activation sparsity": optional("{:.4f}".format, metrics.activation_sparsity),
        "effective MACs per inference": f"{metrics.effective_macs:,.1f}",
        "effective ACs per inference": f"{metrics.effective_acs:,.1f}",
        "dense operations per inference": f"{metrics.dense_operations:,.1f}",
        "membrane updates per inference": f"{metrics.membrane_updates:,.1f}",
    }


def interval(share: float, n: int) -> str:
    """A share of some samples with its 95 % interval: ``83.1 % (80.7 .. 85.3, 1000 samples)``."""
    low, high = wilson(round(share * n), n)
    return f"{100 * share:.1f} % ({100 * low:.1f} .. {100 * high:.1f}, {n} sample{'s' * (n != 1)})"


def _decided(paired: Paired) -> str:
    return f"{paired}, p = {paired.p:.2g}"


def _answers(evaluations: Sequence[Evaluation]) -> str:
    """Rows of an evaluation, by kind of answer: classes, numbers, or maps."""
    columns: dict[str, Sequence[object]] = {"T": [e.timesteps for e in evaluations]}
    if evaluations[-1].task == "classes":
        columns |= {
            "accuracy": [
                e.accuracy if e.accuracy is None else interval(e.accuracy, e.samples)
                for e in evaluations
            ],
            "agreement": [optional(percent, e.agreement) for e in evaluations],
        }
    for name in evaluations[-1].relative_error:
        errors = [e.relative_error.get(name) for e in evaluations]
        if evaluations[-1].task == "maps":
            found = [e.layer_correlation.get(name) for e in evaluations]
            columns[f"{name}: correlation"] = [optional("{:.4f}".format, r) for r in found]
            columns[f"{name}: relative error"] = errors
        elif evaluations[-1].task == "values":
            columns[f"{name}: error relative to its spread"] = errors
    if evaluations[-1].target_error is not None:
        columns["error against the targets"] = [e.target_error for e in evaluations]
    columns["spikes per inference"] = [f"{e.spikes_per_inference:.1f}" for e in evaluations]
    if evaluations[-1].task == "classes":
        columns["undecided"] = [optional(percent, e.tie_share) for e in evaluations]
    rows = [
        [None if v is None else str(v) for v in row] for row in zip(*columns.values(), strict=True)
    ]
    return render_table(list(columns), rows)
