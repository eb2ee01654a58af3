"""Answers and spikes of a run, as text and as an .npz file."""

from __future__ import annotations

import io

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.render.text import percent, render_table
from neurodeploy.verification.inference import Inference


def render_inference(inference: Inference) -> str:
    """Accuracy and activity."""
    n = inference.samples
    rows = [
        (
            name,
            count,
            f"{count / n:.1f}",
            percent(count / inference.neuron_steps[name]),
        )
        for name, count in inference.spikes.items()
    ]
    lines = [
        f"{inference.network} on {inference.target}: {n} sample{'s' * (n != 1)}, "
        f"T = {inference.timesteps}"
    ]
    if inference.accuracy is not None:
        lines.append(f"accuracy: {percent(inference.accuracy)}")
    if inference.tie_share:
        lines.append(f"undecided (more than one largest output): {percent(inference.tie_share)}")
    lines.append(f"spikes per inference: {inference.spikes_per_inference:.1f}")
    headings = ("population", "spikes", "per inference", "of neuron-steps")
    return "\n".join(lines) + "\n\n" + render_table(headings, rows)


def inference_npz(inference: Inference) -> bytes:
    """Outputs, classes, labels and spikes as the bytes of an .npz file."""
    arrays: dict[str, AnyArray] = {}
    single = len(inference.outputs) == 1
    for name, values in inference.outputs.items():
        arrays["outputs" if single else f"outputs.{name}"] = values
        arrays["classes" if single else f"classes.{name}"] = inference.classes[name]
    if inference.labels is not None:
        arrays["labels"] = np.asarray(inference.labels)
    arrays |= {f"spikes.{name}": values for name, values in inference.rasters.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # keys are no keywords of it
    return stream.getvalue()
