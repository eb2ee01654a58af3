"""The public API: the pipeline, one function per stage. The command line calls nothing else."""

from neurodeploy.conversion.registry import METHODS
from neurodeploy.datasets.spec import training_text
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.ir.files import expect_replaceable, expect_writable, write_bytes_whole
from neurodeploy.ir.printer import print_netlist
from neurodeploy.network import Network, load_network
from neurodeploy.notebook import expect_matplotlib
from neurodeploy.quantization.integers import Quantization
from neurodeploy.stages.auto import AUTO_METHODS
from neurodeploy.stages.compile import check, compile, stated
from neurodeploy.stages.convert import convert
from neurodeploy.stages.demo import demo_command, demonstrate
from neurodeploy.stages.deploy import deploy
from neurodeploy.stages.deployed import Deployed, read_deployed
from neurodeploy.stages.describe_engine import describe_engine
from neurodeploy.stages.diagnose import diagnose
from neurodeploy.stages.doctor import doctor
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.export import export
from neurodeploy.stages.import_network import import_network
from neurodeploy.stages.load import load
from neurodeploy.stages.options import Option, option_value, options_of
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.record import with_command
from neurodeploy.stages.registered import describe_methods, describe_targets
from neurodeploy.stages.report import report
from neurodeploy.stages.run import run
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.stages.save import save
from neurodeploy.stages.stream import stream
from neurodeploy.stages.sweep import sweep
from neurodeploy.stages.sweep_options import sweep_options
from neurodeploy.stages.verdict import verdict
from neurodeploy.stages.verify import verify
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.registry import TARGETS
from neurodeploy.verification.accuracy import evaluations_to_dict

__all__ = [
    "AUTO_METHODS",
    "METHODS",
    "TARGETS",
    "Deployed",
    "Deployment",
    "Network",
    "Option",
    "Quantization",
    "board_names",
    "check",
    "compile",
    "convert",
    "demo_command",
    "demonstrate",
    "deploy",
    "describe_engine",
    "describe_methods",
    "describe_targets",
    "diagnose",
    "doctor",
    "estimate_energy",
    "evaluate",
    "evaluations_to_dict",
    "expect_matplotlib",
    "expect_replaceable",
    "expect_writable",
    "export",
    "import_network",
    "load",
    "load_board",
    "load_deployment",
    "load_network",
    "option_value",
    "options_of",
    "print_netlist",
    "quantize",
    "read_deployed",
    "report",
    "run",
    "save",
    "stated",
    "stimulus_for",
    "stream",
    "sweep",
    "sweep_options",
    "training_text",
    "verdict",
    "verify",
    "with_command",
    "write_bytes_whole",
]
