"""Advice, by rule, from the losses of each layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from neurodeploy.diagnosis.layer import LayerDiagnosis

MATTERS = 0.05
"""Share of an error below which it is not worth a word."""
MANY_SILENCED = 0.05
NAMED_LAYERS = 3
MOST_BITS = 8

REMEDIES = {
    "clipping": "activations exceed the range of the code: larger thresholds (--normalization max, "
    "or a higher --percentile)",
    "quantization": "spikes are too coarse: more time steps, or graded spikes (--method graded)",
    "unevenness": "spikes come at the wrong time: spikes that wait for all of their input "
    "(--method radix), or that can be taken back (--method momentum, signed-memory or graded), "
    "more time steps, or --bias-correction",
}
FULL_REMEDY = (
    f"integers are too coarse, though weights have {MOST_BITS} bits: fewer time steps or wider "
    "states (quantize --state-bits) leave weights and biases more of them"
)
OWN_REMEDIES = {
    "clipping": "activations exceed the range of the code: more calibration samples",
    "quantization": "spikes are too coarse: more time steps",
    "unevenness": "spikes come at the wrong time: more time steps",
}
"""For methods that a target asks for: what it cannot run is no remedy."""


def worst_layer(layers: Sequence[LayerDiagnosis]) -> LayerDiagnosis | None:
    """The layer that adds most to the errors that reach it; None where none adds anything."""
    losing = [layer for layer in layers if layer.lost]
    return max(losing, key=lambda layer: layer.lost or 0.0) if losing else None


def main_cause(layer: LayerDiagnosis) -> str | None:
    """The largest of the causes that lie in a layer itself."""
    known = {cause: share for cause, share in layer.new.items() if share}
    return max(known, key=lambda cause: known[cause]) if known else None


def advise(
    layers: Sequence[LayerDiagnosis],
    remedies: Mapping[str, str] = REMEDIES,
    full: Collection[str] = (),
) -> list[str]:
    """Sentences, the layer that loses most first; none where nothing stands out.

    Parameters
    ----------
    layers : sequence of LayerDiagnosis
    remedies : mapping of cause to str
    full : collection of str
        Layers whose weights have the most bits already.
    """
    found: dict[str, list[LayerDiagnosis]] = {}
    for layer in sorted(layers, key=lambda layer: layer.lost or 0.0, reverse=True):
        cause = main_cause(layer)
        if cause is not None and (layer.new[cause] or 0.0) >= MATTERS:
            at_most = cause == "own_weight_bits" and layer.name in full
            found.setdefault("full" if at_most else cause, []).append(layer)
    advice = [_sentence(cause, hit, remedies) for cause, hit in found.items()]
    silenced = [layer for layer in layers if (layer.silenced or 0.0) >= MANY_SILENCED]
    if silenced:
        advice.append(
            f"{_names(silenced)}: neurons never fire though their activations are worth a spike: "
            "more or other calibration data, or thresholds by channel (--scope channel)"
        )
    return advice


def _sentence(cause: str, layers: list[LayerDiagnosis], remedies: Mapping[str, str]) -> str:
    if cause == "own_weight_bits":
        widths = ",".join(f"{layer.name}={MOST_BITS}" for layer in layers[:NAMED_LAYERS])
        return f"{_names(layers)}: integer weights are too coarse: --weight-bits {widths}"
    if cause == "full":
        return f"{_names(layers)}: {FULL_REMEDY}"
    return f"{_names(layers)}: {remedies[cause]}"


def _names(layers: Sequence[LayerDiagnosis]) -> str:
    more = len(layers) - NAMED_LAYERS
    named = ", ".join(layer.name for layer in layers[:NAMED_LAYERS])
    return named if more <= 0 else f"{named} and {more} more"
