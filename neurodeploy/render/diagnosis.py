"""A diagnosis as text."""

from __future__ import annotations

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.diagnosis.layer import LayerDiagnosis
from neurodeploy.diagnosis.split import CAUSES
from neurodeploy.render.evaluation import shown_prefixes
from neurodeploy.render.netlist import fit_lines
from neurodeploy.render.text import optional, percent, render_table

COLUMNS = (
    "layer",
    "neurons",
    "correlation",
    "error",
    *(cause.replace("_", " ") for cause in CAUSES),
    "new",
    "silent",
    "saturated",
)


def diagnosis_parts(diagnosis: Diagnosis) -> list[str]:
    """Layers with their errors by cause, what to change, and the accuracy by T."""
    n, evaluation = diagnosis.samples, diagnosis.evaluation
    head = f"{n} sample{'s' * (n != 1)}, T = {diagnosis.timesteps}"
    if evaluation.source_accuracy is not None:
        head += f"; accuracy of the source network: {percent(evaluation.source_accuracy)}"
    note = (
        "errors: root mean squares in percent of the activations'; elementwise the causes add up "
        "to the error"
    )
    parts = [head, render_table(COLUMNS, [_row(layer) for layer in diagnosis.layers]), note]
    if diagnosis.worst_layer is not None:
        lines = [f"loses most itself: {diagnosis.worst_layer}"]
        parts.append("\n".join([*lines, *(f"- {text}" for text in diagnosis.advice)]))
    parts += fit_lines(diagnosis.curve_fits)
    if diagnosis.accuracy:
        parts.append(_curve(diagnosis))
    # Where a class is the answer, a difference of the outputs tells little.
    if diagnosis.outputs and evaluation.agreement is None:
        rows = [
            (o.name, f"{o.rmse:.4g}", optional("{:.4f}".format, o.correlation), o.units)
            for o in diagnosis.outputs
        ]
        parts.append(render_table(("output", "RMSE", "correlation", "in the units of"), rows))
        if len(diagnosis.evaluations) > 1:
            parts.append(_output_curve(diagnosis))
    return parts


def _row(layer: LayerDiagnosis) -> tuple[object, ...]:
    return (
        layer.name,
        layer.neurons,
        optional("{:.4f}".format, layer.correlation),
        optional(percent, layer.relative_rms),
        *(optional(percent, layer.errors[cause]) for cause in CAUSES),
        optional(percent, layer.lost),
        optional(percent, layer.silent),
        optional(percent, layer.saturated),
    )


def _curve(diagnosis: Diagnosis) -> str:
    accuracy = diagnosis.accuracy
    if len(diagnosis.evaluations) > 1:
        return render_table(("T", "accuracy"), [(t, percent(a)) for t, a in accuracy.items()])
    shown = [(t, percent(accuracy[t])) for t in shown_prefixes(diagnosis.timesteps)]
    title = f"had the run of T = {diagnosis.timesteps} ended at step"
    return render_table((title, "accuracy"), shown)


def _output_curve(diagnosis: Diagnosis) -> str:
    columns = ("output: RMSE", *(f"T = {e.timesteps}" for e in diagnosis.evaluations))
    rows = [
        (o.name, *(f"{e.output_rmse[o.name]:.4g}" for e in diagnosis.evaluations))
        for o in diagnosis.outputs
    ]
    return render_table(columns, rows)
