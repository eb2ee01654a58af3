"""The conversion methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, get_type_hints

from neurodeploy.conversion.method import ConversionMethod
from neurodeploy.registry import Entry, Registry

if TYPE_CHECKING:
    from neurodeploy.source.analog import AnalogGraph


@dataclass(frozen=True, slots=True)
class Preset:
    """A method that is another one with other defaults.

    Parameters
    ----------
    base : str
        Where the class of the other one is, ``module:attribute``.
    summary, references : str
    defaults : mapping of field to value
    emits : str, optional
        What its spikes carry, where that is not what those of the other one do.
    """

    base: str
    summary: str
    references: str
    defaults: Mapping[str, Any]
    emits: str | None = None


PRESETS = {
    "calibrated": Preset(
        "neurodeploy.conversion.methods.rate:RateCoding",
        "weights, thresholds, membranes and biases calibrated on real spikes (Li 2021)",
        'Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, section 4.',
        {
            "membrane_correction": 1,
            "threshold_search": True,
            "weight_correction": True,
        },
    ),
    "local-threshold": Preset(
        "neurodeploy.conversion.methods.rate:RateCoding",
        "thresholds that grow by what they clip (Bu 2024)",
        'Bu et al. 2024, "Inference-scale complexity in ANN-SNN conversion", arXiv 2409.03368.',
        {"normalization": "balance"},
    ),
    # A leaky ReLU of slope alpha fires +1 at theta and -1 at -theta / alpha, and takes off what was
    # crossed: a negative spike stands for as much as a positive one, and takes 1 / alpha as much
    # input.
    "channel-norm": Preset(
        "neurodeploy.conversion.methods.layerwise:LayerwiseMethod",
        "channel-wise thresholds, imbalanced signed neurons for leaky ReLU (Kim 2020)",
        'Kim et al. 2020, "Spiking-YOLO", doi 10.1609/aaai.v34i07.6787, equations 5 to 8.',
        {"normalization": "percentile", "leaky": "imbalanced"},
        emits="signed",
    ),
}
"""Methods without a file of their own."""


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


@cache
def _preset(name: str) -> type:
    preset = PRESETS[name]
    base = resolve_name(preset.base)
    hints = get_type_hints(base)
    emits = {} if preset.emits is None else {"emits": preset.emits}
    text = f"{preset.summary}\n\nReferences\n----------\n{preset.references}\n"
    return make_dataclass(
        _class_name(name),
        [(option, hints[option], value) for option, value in preset.defaults.items()],
        bases=(base,),
        namespace={"__doc__": text, "__module__": __name__, **emits},
        frozen=True,
        slots=True,
    )


def __getattr__(attribute: str) -> type:
    """Make the class of a preset when it is first asked for (PEP 562)."""
    for name in PRESETS:
        if _class_name(name) == attribute:
            return _preset(name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


METHODS: Registry[type[ConversionMethod]] = Registry(
    "method",
    {
        "rate": Entry(
            "neurodeploy.conversion.methods.rate:RateCoding",
            "rate coding, soft reset, data-based thresholds (Rueckauer 2017, Bu 2022)",
        ),
        "ternary": Entry(
            "neurodeploy.conversion.methods.ternary:Ternary",
            "TerMapping: a second threshold takes back over-firing (Yu 2022)",
        ),
        "augmented": Entry(
            "neurodeploy.conversion.methods.augmented:Augmented",
            "AugMapping: a spike carries how often the threshold was crossed (Yu 2022)",
        ),
        **{
            name: Entry(f"{__name__}:{_class_name(name)}", preset.summary)
            for name, preset in PRESETS.items()
        },
        "ecc": Entry(
            "neurodeploy.conversion.methods.ecc:ExplicitCurrentControl",
            "explicit current control: shared scales on branches, half thresholds (Wu 2022)",
        ),
        "cao": Entry(
            "neurodeploy.conversion.methods.cao:Cao",
            "networks without biases and max-pooling, Poisson input, counts (Cao 2015)",
        ),
        "amos": Entry(
            "neurodeploy.conversion.methods.amos:Amos",
            "activations as binary digits, one image a step (Stoeckl & Maass 2019, 2021)",
        ),
        "sigma-delta": Entry(
            "neurodeploy.conversion.methods.sigma_delta:SigmaDelta",
            "graded changes of quantized activations (O'Connor & Welling 2016, Loihi 2)",
        ),
        "signed-memory": Entry(
            "neurodeploy.conversion.methods.signed_memory:SignedMemory",
            "signed spikes that take back what was fired too early (Wang 2022)",
        ),
        "bistable": Entry(
            "neurodeploy.conversion.methods.bistable:Bistable",
            "layers accumulate and fire in turns: no spike comes too early (Li & Zeng 2022)",
        ),
        "hard-reset": Entry(
            "neurodeploy.conversion.methods.hard_reset:HardReset",
            "starts at 0, reset to 0, fitted on real spikes: for stock LIF (Rueckauer 2017)",
        ),
        "radix": Entry(
            "neurodeploy.conversion.methods.radix:Radix",
            "binary digits of an activation, sent once all of its input is there (Wang 2021)",
        ),
        "momentum": Entry(
            "neurodeploy.conversion.methods.momentum:Momentum",
            "ternary digits, sent and taken back from half of their worth on (Gu 2024)",
        ),
        "reserve": Entry(
            "neurodeploy.conversion.methods.reserve:Reserve",
            "equal binary spikes, sent from a reserve that falls to none (after Li & Zeng 2022)",
        ),
        "differential": Entry(
            "neurodeploy.conversion.methods.differential:Differential",
            "a spike of step t corrects the value by 1 / t (Huang 2025)",
        ),
        "graded": Entry(
            "neurodeploy.conversion.methods.graded:Graded",
            "one signed power of two or whole number a step, with memory; 1 to 4 steps",
        ),
    },
    group="neurodeploy.methods",
    needs=("emits", "default_input", "encoders"),
)


def dearer_maximum(method: str, graph: AnalogGraph | None, used: str | None = None) -> str | None:
    """What a method can make of a network's maxima for more neurons, as ``max_pooling``.

    None where it can nothing, has ``used`` it, or the network has no maxima.
    """
    found: str | None = getattr(METHODS.get(method), "dearer_maximum", None)
    pools = graph is not None and any(node.op.kind == "max_pool" for node in graph.nodes)
    return found if pools and found != used else None
