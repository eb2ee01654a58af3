"""The conversion methods by name."""

from __future__ import annotations

from neurodeploy.conversion.method import ConversionMethod
from neurodeploy.registry import Entry, Registry

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
        "calibrated": Entry(
            "neurodeploy.conversion.methods.calibrated:Calibrated",
            "weights, thresholds, membranes and biases calibrated on real spikes (Li 2021)",
        ),
        "local-threshold": Entry(
            "neurodeploy.conversion.methods.local_threshold:LocalThreshold",
            "thresholds that grow by what they clip (Bu 2024)",
        ),
        "channel-norm": Entry(
            "neurodeploy.conversion.methods.channel_norm:ChannelNorm",
            "channel-wise thresholds, imbalanced signed neurons for leaky ReLU (Kim 2020)",
        ),
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
