"""The public API: the pipeline, one function per stage. The command line calls nothing else."""

from neurodeploy.stages.compile import check, compile, stated
from neurodeploy.stages.convert import convert
from neurodeploy.stages.diagnose import diagnose
from neurodeploy.stages.doctor import doctor
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.load import load
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.run import run
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.stages.save import save
from neurodeploy.stages.verify import verify

__all__ = [
    "check",
    "compile",
    "convert",
    "diagnose",
    "doctor",
    "estimate_energy",
    "evaluate",
    "load",
    "quantize",
    "run",
    "save",
    "stated",
    "stimulus_for",
    "verify",
]
