"""Every method: finer codes approach the source, integers are exact, options are checked."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")


import neurodeploy as nd
from neurodeploy.cli import run as run_command
from neurodeploy.conversion.registry import METHODS
from neurodeploy.errors import UsageError
from neurodeploy.execution import run_engine
from neurodeploy.ir.encoding import encode
from neurodeploy.ir.reference import run_reference
from tests.conversion.method_networks import (
    DEFAULT_FINER,
    FINER,
    NAMES,
    SMALL,
    X,
    answer,
    convert,
    hidden,
    network,
    relative,
    source,
    suited,
    tailored,
)


@pytest.mark.parametrize("method", [m for m in NAMES if m != "cao"])
def test_finer_codes_approach_the_source(method: str) -> None:
    key, values = FINER.get(method, DEFAULT_FINER)
    module = network()
    expected = source(module, X)
    errors = [relative(answer(convert(method, module, **{key: v}), X), expected) for v in values]
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2], errors
    # A reset to zero loses charge, and the OR of spikes is no maximum: that does not vanish.
    assert errors[-1] < (0.2 if method == "hard-reset" else 0.02)


def test_cao_orders_classes_as_the_source_does() -> None:
    """Hard reset loses charge, so counts approach no value; they keep what the source tells."""
    module = tailored()
    expected = source(module, X)
    found = [answer(convert("cao", module, timesteps=T), X) for T in (16, 512)]
    few, many = (np.corrcoef(f.ravel(), expected.ravel())[0, 1] for f in found)
    assert few < many
    assert many > 0.95


@pytest.mark.parametrize("method", NAMES)
def test_integers_are_exact_and_near(method: str) -> None:
    module = suited(method)
    converted = nd.quantize(convert(method, module, **SMALL.get(method, {})), 8)
    netlist = converted.integer
    assert netlist is not None
    ((name, encoding),) = converted.encodings.items()
    stimulus = {name: encode(encoding, X[:4], netlist.timesteps)}
    watched = [p.name for p in hidden(netlist)]
    expected = run_reference(netlist, stimulus, membranes=watched)
    found = run_engine(netlist, stimulus, record=list(expected.spikes), membranes=watched)
    assert set(found.spikes) == set(expected.spikes)
    for population in hidden(netlist):
        assert expected.spikes[population.name].any(), population.name
    for kind in ("spikes", "membranes"):
        for population, values in getattr(expected, kind).items():
            np.testing.assert_array_equal(getattr(found, kind)[population], values, population)
    real = answer(converted, X)
    assert relative(answer(converted, X, netlist), real) < 0.1


OUT_OF_RANGE: dict[str, tuple[Any, ...]] = {
    "timesteps": (0, -3),
    "normalization": ("mean",),
    "scope": ("network",),
    "percentile": (0, 100.5, float("nan")),
    "initial_membrane": (-0.1, 1.0, float("nan")),
    "decode": ("argmax",),
    "max_pooling": ("mean",),
    "average_pooling": ("max",),
    "leaky": ("relu",),
    "activation_units": (1, 13),
    "bias_correction": (-1,),
    "membrane_correction": (-1,),
    "reset": ("none", "hard"),
    "take_back": (-0.1, 1.01, float("nan")),
    "coefficient": (0, 2**16 + 1),
    "levels": (-1, 2**16 + 1),
    "digits": (0, 17),
    "listening": (-1, 200),
    "digit_worths": ("decimal",),
    "reserve": (-0.5, 16.0, float("nan")),
    "hysteresis": (-0.1, 1.0),
    "payload": ("binary",),
    "cycles": (0, -1),
    "thresholds_per_neuron": (0, 13),
    "gain": ("linear",),
}


@pytest.mark.parametrize("method", NAMES)
def test_options_out_of_range_are_refused_in_one_line(method: str) -> None:
    known = {f.name for f in dataclasses.fields(METHODS.get(method))}
    tried = 0
    for option, values in OUT_OF_RANGE.items():
        for value in values if option in known else ():
            # The class refuses, before any data are read.
            with pytest.raises(UsageError) as caught:
                METHODS.get(method)(**{option: value})
            line = str(caught.value)
            assert "\n" not in line
            assert str(value) in line
            tried += 1
    assert tried >= 5
    with pytest.raises(UsageError, match=f"method {method}: no option 'flavour'; options: "):
        convert(method, network(), flavour=2)


# What a whole number has to be comes as text from the command line, and as anything from Python.
@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("rate", "timesteps", "8"),
        ("rate", "timesteps", 2.5),
        ("rate", "bias_correction", 1.5),
        ("rate", "activation_units", 2.5),
        ("rate", "threshold_search", "maybe"),
        ("amos", "digits", 2.5),
        ("augmented", "coefficient", 1.5),
        ("graded", "levels", 2.5),
    ],
)
def test_options_of_the_wrong_type_are_refused(method: str, option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=option.split("_", maxsplit=1)[0]):
        METHODS.get(method)(**{option: value})


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_command(["methods", "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue())["methods"]
    return found


@pytest.mark.parametrize("method", NAMES)
def test_every_method_is_listed(method: str, listed: dict[str, Any]) -> None:
    entry = listed[method]
    assert entry["summary"]
    assert "\n" not in entry["summary"]
    # A published method says whose it is in its one line.
    assert method == "graded" or re.search(r"\(.*(19|20)\d\d.*\)$", entry["summary"])
    assert re.fullmatch(r"doi 10\.\d{4,}/\S+|arXiv \d{4}\.\d{4,5}", entry["citation"])
    assert entry["spikes"] in ("binary", "signed", "graded")
    assert entry["available"]
    for option, told in entry["option_help"].items():
        assert told["values"], option
        assert told["meaning"], option


@pytest.mark.parametrize("method", NAMES)
def test_every_method_lists_its_targets(method: str, listed: dict[str, Any]) -> None:
    targets = listed[method].get("targets") or listed[method]["runs_on"]
    assert {"lava", "brian2"} <= set(targets)
    assert ("truenorth" in targets) <= (listed[method]["spikes"] == "binary")
