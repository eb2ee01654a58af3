"""Methods that are other methods with other defaults."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pkgutil import resolve_name

import pytest

from neurodeploy.conversion import registry
from neurodeploy.conversion.registry import METHODS, PRESETS


def defaults(method: type) -> dict[str, object]:
    return {f.name: f.default for f in dataclasses.fields(method)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_base_with_other_defaults(name: str) -> None:
    method, base = METHODS.get(name), resolve_name(PRESETS[name].base)
    assert issubclass(method, base)
    assert list(defaults(method)) == list(defaults(base))
    changed = {k: v for k, v in defaults(method).items() if v != defaults(base)[k]}
    assert changed == PRESETS[name].defaults
    assert METHODS.get(name) is method
    with pytest.raises(dataclasses.FrozenInstanceError):
        method().timesteps = 4
    assert pickle.loads(pickle.dumps(method(timesteps=4))) == method(timesteps=4)
    assert copy.deepcopy(method(timesteps=4)) == method(timesteps=4)


def test_only_channel_norm_makes_its_spikes_signed() -> None:
    emitted = {name: METHODS.get(name).emits for name in PRESETS}
    assert emitted == {
        "calibrated": "binary",
        "local-threshold": "binary",
        "channel-norm": "signed",
    }


def test_a_class_that_no_preset_has_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Channelnorm'"):
        registry.Channelnorm  # noqa: B018
