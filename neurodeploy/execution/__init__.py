"""The fast exact engine: integer netlists on native kernels, real-valued ones in PyTorch.

Where the native library is not built, integer netlists run in PyTorch too. PyTorch is imported by
the first call that needs it, not with this package.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus

if TYPE_CHECKING:
    from neurodeploy.execution.native.engine import NativeEngine
    from neurodeploy.execution.pytorch.engine import Engine


def has_engine(netlist: IntegerNetlist | RealNetlist) -> bool:
    """Whether a fast engine can run it here: native kernels if it is of integers, or PyTorch."""
    if isinstance(netlist, IntegerNetlist):
        from neurodeploy.execution.native.library import available

        if available():
            return True
    return find_spec("torch") is not None


def make_engine(
    netlist: IntegerNetlist | RealNetlist,
    timesteps: int | None = None,
    *,
    dtype: str = "float32",
    batch_size: int | None = None,
) -> Engine | NativeEngine:
    """Make the fastest engine available here: the native one, or the one in PyTorch.

    Raises
    ------
    CapacityError
        If an integer netlist is not proved to fit the engine.
    TargetUnavailableError
        If it needs PyTorch, which is not installed.
    UsageError
        For another dtype, a batch size below 1, or kernels that this processor cannot run.
    """
    if dtype not in ("float32", "float64"):
        raise UsageError(f"engine dtype {dtype!r}; expected 'float32' or 'float64'")
    if isinstance(netlist, IntegerNetlist):
        from neurodeploy.execution.native.library import available, load

        if available():
            from neurodeploy.execution.native.engine import NativeEngine

            return NativeEngine(netlist, load(), timesteps, batch_size=batch_size)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "the fast engine needs PyTorch, which is not installed; "
            "pip install 'neurodeploy[torch]', or use the reference"
        ) from error
    from neurodeploy.execution.pytorch.engine import Engine

    return Engine(netlist, timesteps, dtype=dtype, batch_size=batch_size)


def run_engine(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Stimulus,
    *,
    timesteps: int | None = None,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
    batch_size: int | None = None,
    dtype: str = "float32",
) -> RunRecord:
    """Run a batch of independent samples; equals the reference spike for spike on integers.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    stimulus : mapping
        Input -> int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes).
    timesteps : int, optional
        T; the netlist's own by default.
    record : collection of str, optional
        Populations whose spikes are returned; all by default.
    membranes : collection of str
        Populations whose membranes are returned, beside the integrators among the outputs.
    progress : callable, optional
        Called with (samples done, samples).
    batch_size : int, optional
        Samples side by side; from the size of the netlist by default. Does not change results.
    dtype : {"float32", "float64"}
        Arithmetic of a real-valued netlist. Integer netlists ignore it: theirs is proved.

    Raises
    ------
    DataError
        If the stimulus does not fit.
    CapacityError
        If no arithmetic of the engine is proved exact for the netlist.
    TargetUnavailableError
        If PyTorch is not installed.
    """
    engine = make_engine(netlist, timesteps, dtype=dtype, batch_size=batch_size)
    return engine.run(stimulus, record=record, membranes=membranes, progress=progress)


def run_narrow(netlist: RealNetlist, stimulus: Stimulus) -> RunRecord:
    """Run a real-valued netlist; neurons' spikes come in as few bits as hold their payloads.

    The stimulus may be of any integers. Raises what :func:`run_engine` raises.
    """
    # Netlists that are not of integers have one engine.
    return cast("Engine", make_engine(netlist)).run(stimulus, narrow=True)
