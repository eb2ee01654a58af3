"""A diagnosis as PNG files: one per layer, and a summary."""

from __future__ import annotations

import re
from pathlib import Path

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.ir.files import directory_whole
from neurodeploy.notebook import expect_matplotlib
from neurodeploy.render.charts.conversion import layer_figure, summary_figure
from neurodeploy.render.charts.figure import png

SUMMARY = "summary.png"


def write_plots(diagnosis: Diagnosis, folder: Path) -> list[str]:
    """Write ``NN-LAYER.png`` for every layer and ``summary.png``; the folder appears whole.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    UsageError
        If the folder has other content or cannot be written.
    """
    expect_matplotlib()
    digits = len(str(len(diagnosis.layers)))
    written = []
    with directory_whole(folder) as new:
        for place, layer in enumerate(diagnosis.layers, 1):
            # Numbered, because two names may differ in what no file name may hold.
            name = f"{place:0{digits}}-{re.sub(r'[^A-Za-z0-9._-]', '_', layer.name)}.png"
            (new / name).write_bytes(png(layer_figure(layer, diagnosis)))
            written.append(name)
        (new / SUMMARY).write_bytes(png(summary_figure(diagnosis)))
        written.append(SUMMARY)
    return written
