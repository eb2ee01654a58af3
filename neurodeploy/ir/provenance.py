"""Provenance in files, free of the machine that made them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.loading.shapes import WHOLE, Shape, has_shape

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


_BITS = range(1, 65)
_TRIED: Shape = {
    "method": str,
    "timesteps": WHOLE,
    "measure": (str, None),
    "loss": (float, None),
    "spikes": (float, None),
    "text": (str, None),
    "refused": (str, None),
    "quantization": ({"weight_bits": (_BITS, None)}, None),
    "options": ({}, None),
}
_QUANTIZED: Shape = {
    "layer": str,
    **dict.fromkeys(("weight_bits", "lost_bits", "levels", "fraction_bits"), WHOLE),
    "state_bound": WHOLE,
    "grid": (str, None),
    "weight_snr_db": (float, None),
    "input_snr_db": (float, None),
    "threshold": ([WHOLE], None),
}
_READ: Mapping[str, Shape] = {
    "commands": [([str], str)],
    "method": {"name": (str, None), "timesteps": (WHOLE, None)},
    "auto": {
        **{"reason": (str, None), "met": (bool, None)},
        **{"target": (str, None), "board": (str, None)},
        **{"chosen": (_TRIED, None), "tried": ([_TRIED], None)},
    },
    "quantization": {
        **{"weight_bits": _BITS, "state_bits": _BITS, "neuron": (str, None)},
        "report": [_QUANTIZED],
    },
    "silent_channels": [{"layer": str, "silent": WHOLE, "channels": WHOLE}],
    "max_pooling_deviation": [
        {"layer": str, "mean_error": float, "largest_error": float, "mean_maximum": float}
    ],
    "curve_fits": [{"node": str, "error": float, "units": WHOLE, "range": [float, float]}],
}
"""What commands read out of the provenance of a file, which tells people everything else."""


def misread(provenance: Mapping[str, Any]) -> str | None:
    """The first entry that a command would read and that is of another shape than is written."""
    return next(
        (k for k, v in provenance.items() if k in _READ and not has_shape(v, _READ[k])), None
    )
