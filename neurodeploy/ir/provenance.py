"""Provenance in files, free of the machine that made them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# An absolute folder at the start of a text or after what can stand before a path in an argument:
# ``--weights=/a/b.pt``, ``mnist:/a/mnist``.
_FOLDERS = re.compile(r"(^|[:=])/(?:[^/:#]*/)*")


def without_folders(text: str) -> str:
    """An argument whose absolute paths are cut down to their last part.

    >>> without_folders("mnist:/data/sets/mnist@test#first=10")
    'mnist:mnist@test#first=10'
    """
    return _FOLDERS.sub(r"\1", text)


def command_text(arguments: Sequence[str]) -> list[str]:
    """A command line to be recorded: the same command gives the same file on every machine."""
    return ["neurodeploy", *(without_folders(argument) for argument in arguments)]


# A type, a range of whole numbers, or None; in a tuple, one of several; in a list, all entries, or
# each of several; in a dict, the value of a key, where others may be beside it and a missing one is
# None.
_Shape = Any
_WHOLE = range(-(2**63), 2**63)
_BITS = range(1, 65)
_TRIED: _Shape = {
    "method": str,
    "timesteps": _WHOLE,
    "measure": (str, None),
    "loss": (float, None),
    "spikes": (float, None),
    "text": str,
    "refused": (str, None),
    "quantization": ({"weight_bits": (_BITS, None)}, None),
    "options": ({}, None),
}
_QUANTIZED: _Shape = {
    "layer": str,
    **dict.fromkeys(("weight_bits", "lost_bits", "levels", "fraction_bits"), _WHOLE),
    "state_bound": _WHOLE,
    "grid": (str, None),
    "weight_snr_db": (float, None),
    "input_snr_db": (float, None),
    "threshold": ([_WHOLE], None),
}
_READ: Mapping[str, _Shape] = {
    "commands": [([str], str)],
    "method": {"name": (str, None), "timesteps": (_WHOLE, None)},
    "auto": {
        **{"reason": str, "met": bool, "target": (str, None), "board": (str, None)},
        **{"chosen": (_TRIED, None), "tried": [_TRIED]},
    },
    "quantization": {
        **{"weight_bits": _BITS, "state_bits": _BITS, "neuron": (str, None)},
        "report": [_QUANTIZED],
    },
    "silent_channels": [{"layer": str, "silent": _WHOLE, "channels": _WHOLE}],
    "max_pooling_deviation": [
        {"layer": str, "mean_error": float, "largest_error": float, "mean_maximum": float}
    ],
    "curve_fits": [{"node": str, "error": float, "units": _WHOLE, "range": [float, float]}],
}
"""What commands read out of the provenance of a file, which tells people everything else."""


def misread(provenance: Mapping[str, Any]) -> str | None:
    """The first entry that a command would read and that is of another shape than is written."""
    return next((k for k, v in provenance.items() if k in _READ and not _has(v, _READ[k])), None)


def _has(value: Any, shape: _Shape) -> bool:
    match shape:
        case range():
            return isinstance(value, int) and not isinstance(value, bool) and value in shape
        case tuple():
            return any(_has(value, one) for one in shape)
        case [one]:
            return isinstance(value, list) and all(_has(entry, one) for entry in value)
        case list():
            each = isinstance(value, list) and len(value) == len(shape)
            return each and all(map(_has, value, shape))
        case dict():
            return isinstance(value, dict) and all(_has(value.get(k), v) for k, v in shape.items())
        case None:
            return value is None
        case _ if shape is float:
            return _has(value, _WHOLE) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, shape)
