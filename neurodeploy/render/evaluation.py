"""Accuracies as text."""

from __future__ import annotations

from collections.abc import Sequence

from neurodeploy.render.text import percent, render_table
from neurodeploy.verification.accuracy import Evaluation


def shown_prefixes(timesteps: int) -> list[int]:
    """1, 2, 4, ... and T, with the steps halfway between from 8 on."""
    steps = {t for k in range(20) for t in (2**k, 3 * 2**k) if t < timesteps and t != 3}
    return sorted(steps | {timesteps})


def render_evaluations(evaluations: Sequence[Evaluation]) -> str:
    """Accuracy by T, of every prefix of the longest run, and correlation by layer."""
    return "\n\n".join(evaluation_parts(evaluations))


def evaluation_parts(evaluations: Sequence[Evaluation]) -> list[str]:
    """The tables of :func:`render_evaluations` and what stands above them."""
    last = max(evaluations, key=lambda e: e.timesteps)
    n = last.samples
    head = f"{n} sample{'s' * (n != 1)}"
    if last.source_accuracy is not None:
        head += f"; accuracy of the source network: {percent(last.source_accuracy)}"
    rows = [
        (
            e.timesteps,
            _share(e.accuracy),
            _share(e.agreement),
            f"{e.spikes_per_inference:.1f}",
            _share(e.tie_share),
        )
        for e in evaluations
    ]
    headings = ("T", "accuracy", "agreement", "spikes per inference", "undecided")
    parts = [head, render_table(headings, rows)]
    if last.prefix_accuracy:
        shown = [(t, percent(last.prefix_accuracy[t])) for t in shown_prefixes(last.timesteps)]
        title = f"had the run of T = {last.timesteps} ended at step"
        parts.append(render_table((title, "accuracy"), shown))
    # Where a class is the answer, a difference of the outputs tells little.
    if last.output_rmse and last.agreement is None:
        columns = ("output: RMSE in its units", *(f"T = {e.timesteps}" for e in evaluations))
        rmse = [
            (name, *(f"{e.output_rmse[name]:.4g}" for e in evaluations))
            for name in last.output_rmse
        ]
        parts.append(render_table(columns, rmse))
    if last.layer_correlation:
        rows_ = [
            (name, *(_correlation(e.layer_correlation.get(name)) for e in evaluations))
            for name in last.layer_correlation
        ]
        columns = (
            "rates and activations: correlation",
            *(f"T = {e.timesteps}" for e in evaluations),
        )
        parts.append(render_table(columns, rows_))
    return parts


def _share(value: float | None) -> str | None:
    return None if value is None else percent(value)


def _correlation(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
