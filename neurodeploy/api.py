"""The public API: the pipeline, one function per stage. The command line calls nothing else."""

from neurodeploy.conversion.registry import METHODS
from neurodeploy.stages.compile import check, compile, stated
from neurodeploy.stages.convert import convert
from neurodeploy.stages.diagnose import diagnose
from neurodeploy.stages.doctor import doctor
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.load import load
from neurodeploy.stages.options import Option, options_of
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.registered import describe_methods, describe_targets
from neurodeploy.stages.run import run
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.stages.save import save
from neurodeploy.stages.verify import verify

__all__ = [
    "METHODS",
    "Option",
    "check",
    "compile",
    "convert",
    "describe_methods",
    "describe_targets",
    "diagnose",
    "doctor",
    "estimate_energy",
    "evaluate",
    "load",
    "options_of",
    "quantize",
    "run",
    "save",
    "stated",
    "stimulus_for",
    "verify",
]
