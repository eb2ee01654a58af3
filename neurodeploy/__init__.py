"""neurodeploy: a compiler from trained networks to spiking neuromorphic hardware.

The public names are looked up on first use, so that importing neurodeploy imports neither torch
nor networkx, nor what targets need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurodeploy.version import __version__

if TYPE_CHECKING:
    from neurodeploy.api import (
        check,
        compile,
        convert,
        deploy,
        diagnose,
        estimate_energy,
        evaluate,
        export,
        import_network,
        load,
        quantize,
        read_deployed,
        report,
        run,
        save,
        stream,
        sweep,
        verify,
    )
    from neurodeploy.conversion import methods
    from neurodeploy.datasets import EventSamples, Normalization, Samples, SamplesLike
    from neurodeploy.diagnosis.diagnosis import Diagnosis
    from neurodeploy.errors import (
        BoardError,
        CapacityError,
        ConversionError,
        DataError,
        ExecutionError,
        FileFormatError,
        MismatchError,
        NetlistError,
        NeurodeployError,
        NeurodeployWarning,
        QuantizationError,
        TargetUnavailableError,
        UnknownNameError,
        UnsupportedLayerError,
        UsageError,
    )
    from neurodeploy.hardware.boards.board import Board
    from neurodeploy.hardware.price.comparison import EnergyComparison
    from neurodeploy.hardware.price.report import EnergyReport
    from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
    from neurodeploy.ir.encoding import Encoding
    from neurodeploy.ir.netlist import (
        IntegerNetlist,
        IntegerProjection,
        Output,
        Population,
        Projection,
        RealNetlist,
        RealProjection,
    )
    from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Neuron, RealNeuron
    from neurodeploy.ir.record import RunRecord
    from neurodeploy.network import Network
    from neurodeploy.render.figures import plot
    from neurodeploy.render.html import html
    from neurodeploy.stages.deployed import Deployed
    from neurodeploy.stages.export import Exported
    from neurodeploy.stages.names import list_boards, list_targets
    from neurodeploy.stages.reported import Report
    from neurodeploy.stages.stream import Stream
    from neurodeploy.sweeps.results import Sweep
    from neurodeploy.targets.base import Deployment, Target, Violation
    from neurodeploy.verification.accuracy import Evaluation
    from neurodeploy.verification.inference import Run
    from neurodeploy.verification.verification import Verification

__all__ = [
    "Board",
    "BoardError",
    "CapacityError",
    "Connectivity",
    "Conv",
    "ConversionError",
    "DataError",
    "Dense",
    "Deployed",
    "Deployment",
    "Diagnosis",
    "Encoding",
    "EnergyComparison",
    "EnergyReport",
    "Evaluation",
    "EventSamples",
    "ExecutionError",
    "Exported",
    "FileFormatError",
    "Input",
    "IntegerNetlist",
    "IntegerNeuron",
    "IntegerProjection",
    "MaxPool",
    "MismatchError",
    "NetlistError",
    "Network",
    "NeurodeployError",
    "NeurodeployWarning",
    "Neuron",
    "Normalization",
    "Output",
    "Population",
    "Projection",
    "QuantizationError",
    "RealNetlist",
    "RealNeuron",
    "RealProjection",
    "Report",
    "Run",
    "RunRecord",
    "Samples",
    "SamplesLike",
    "Sparse",
    "Stream",
    "SumPool",
    "Sweep",
    "Target",
    "TargetUnavailableError",
    "UnknownNameError",
    "UnsupportedLayerError",
    "UsageError",
    "Verification",
    "Violation",
    "__version__",
    "check",
    "compile",
    "convert",
    "deploy",
    "diagnose",
    "estimate_energy",
    "evaluate",
    "export",
    "html",
    "import_network",
    "list_boards",
    "list_targets",
    "load",
    "methods",
    "plot",
    "quantize",
    "read_deployed",
    "report",
    "run",
    "save",
    "stream",
    "sweep",
    "verify",
]

_PLACES = {
    "datasets": "EventSamples Normalization Samples SamplesLike",
    "diagnosis.diagnosis": "Diagnosis",
    "errors": "BoardError CapacityError ConversionError DataError ExecutionError FileFormatError "
    "MismatchError NetlistError NeurodeployError NeurodeployWarning QuantizationError "
    "TargetUnavailableError UnknownNameError UnsupportedLayerError UsageError",
    "hardware.boards.board": "Board",
    "hardware.price.comparison": "EnergyComparison",
    "hardware.price.report": "EnergyReport",
    "ir.connectivity": "Connectivity Conv Dense Sparse SumPool",
    "ir.encoding": "Encoding",
    "ir.netlist": "IntegerNetlist IntegerProjection Output Population Projection RealNetlist "
    "RealProjection",
    "ir.neurons": "Input IntegerNeuron MaxPool Neuron RealNeuron",
    "ir.record": "RunRecord",
    "network": "Network",
    "render.figures": "plot",
    "render.html": "html",
    "stages.deployed": "Deployed",
    "stages.export": "Exported",
    "stages.names": "list_boards list_targets",
    "stages.reported": "Report",
    "stages.stream": "Stream",
    "sweeps.results": "Sweep",
    "targets.base": "Deployment Target Violation",
    "verification.accuracy": "Evaluation",
    "verification.inference": "Run",
    "verification.verification": "Verification",
}
"""Modules of the names that are not functions of :mod:`neurodeploy.api`."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any
    if name == "methods":
        value = importlib.import_module("neurodeploy.conversion.methods")
    else:
        place = next((p for p, names in _PLACES.items() if name in names.split()), "api")
        value = getattr(importlib.import_module(f"neurodeploy.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
