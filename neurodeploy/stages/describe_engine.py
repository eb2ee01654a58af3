"""How the fast engine runs a netlist here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from neurodeploy.execution.native.library import Problem, load, status
from neurodeploy.execution.native.program import build_program
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist


def describe_engine(netlist: IntegerNetlist | RealNetlist) -> dict[str, Any]:
    """Kernels that a netlist takes, as JSON values.

    ``native`` says whether native kernels run it; where they do not, ``reason`` says why and what
    does. The other entries are None without them: ``isa``, the version of the kernels;
    ``state_bits``; ``merged``, how many populations share the sums of another one;
    ``projections``, each with its kernel.

    Raises
    ------
    CapacityError
        If a state is not proved to fit the engine.
    UsageError
        If ``NEURODEPLOY_ISA`` names kernels that this processor cannot run.
    """
    told: dict[str, Any] = {
        "native": False,
        "reason": None,
        "isa": None,
        "state_bits": None,
        "merged": None,
        "projections": None,
    }
    torch_runs = find_spec("torch") is not None
    if not isinstance(netlist, IntegerNetlist):
        executor = "PyTorch" if torch_runs else "the reference, because PyTorch is not installed"
        return {**told, "reason": f"a real-valued netlist: it runs on {executor}"}
    found = status()
    # An ISA that cannot run is the user's error, which load tells.
    if not found.available and found.problem != Problem.UNKNOWN_ISA.value:
        executor = "PyTorch" if torch_runs else "the reference"
        reason = f"{found.reason}; {found.remedy}. Integer netlists run on {executor} until then"
        return {**told, "reason": reason}
    library = load()
    program = build_program(netlist, netlist.timesteps, tiles=library.has_tiles)
    return {
        **told,
        "native": True,
        "isa": library.isa_name,
        "state_bits": 64 if program.wide else 32,
        "merged": program.merged,
        "projections": [
            {"pre": q.pre, "post": q.post, "kernel": path}
            for q, path in zip(netlist.projections, program.paths, strict=True)
        ],
    }
