"""Answers and spikes of a run, as text and as an .npz file."""

from __future__ import annotations

import io

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.decoding import scores_classes
from neurodeploy.render.text import percent, render_table
from neurodeploy.verification.inference import Run


def inference_parts(run: Run) -> list[str]:
    """Accuracy and activity."""
    n = run.samples
    rows = [
        (
            name,
            count,
            f"{count / n:.1f}",
            percent(count / run.neuron_steps[name]),
        )
        for name, count in run.spike_counts.items()
    ]
    lines = [f"{run.network} on {run.target}: {n} sample{'s' * (n != 1)}, T = {run.timesteps}"]
    if run.accuracy is not None:
        lines.append(f"accuracy: {percent(run.accuracy)}")
    elif run.labels is not None:
        lines.append("accuracy: not measured, the outputs are no classes")
    if run.tie_share:
        lines.append(f"undecided (more than one largest output): {percent(run.tie_share)}")
    lines.append(f"spikes per inference: {run.spikes_per_inference:.1f}")
    headings = ("population", "spikes", "per inference", "of neuron-steps")
    return ["\n".join(lines), render_table(headings, rows)]


def inference_npz(run: Run) -> bytes:
    """Outputs, classes, labels, own steps and spikes as the bytes of an .npz file."""
    arrays: dict[str, AnyArray] = {}
    single = len(run.outputs) == 1
    for name, values in run.outputs.items():
        arrays["outputs" if single else f"outputs.{name}"] = values
        if scores_classes(values):
            arrays["classes" if single else f"classes.{name}"] = run.decided[name].labels
    if run.labels is not None:
        arrays["labels"] = np.asarray(run.labels)
    if run.steps is not None:
        arrays["steps"] = np.asarray(run.steps)
    return packed(arrays | {f"spikes.{name}": values for name, values in run.spikes.items()})


def packed(arrays: dict[str, AnyArray]) -> bytes:
    """The bytes of an .npz file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # keys are no keywords of it
    return stream.getvalue()
