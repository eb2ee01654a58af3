"""What reads NIR files: by which dynamics, which nodes, and what has to be the same everywhere.

From the sources of the versions named, and held to them by the tests of written files.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.exchange.dynamics import DYNAMICS, Dynamics


@dataclass(frozen=True, slots=True)
class Reader:
    """A framework that reads NIR.

    Parameters
    ----------
    title : str
        Name and version.
    dynamics : Dynamics
    nodes : frozenset of str
        Types of nodes that it has a reading of, beside Input and Output.
    uniform : tuple of str
        Parameters of which all neurons of a node must have the same.
    slower : bool
        Whether a membrane that keeps nothing from step to step is refused.
    """

    title: str
    dynamics: Dynamics
    nodes: frozenset[str]
    uniform: tuple[str, ...] = ()
    slower: bool = False


def _nodes(text: str) -> frozenset[str]:
    return frozenset(text.split())


READERS: tuple[Reader, ...] = (
    Reader(
        "snnTorch 1.0.0",
        DYNAMICS["snntorch-zero"],
        _nodes("Affine Linear Conv2d Flatten AvgPool2d LIF CubaLIF"),
        ("v_threshold",),
    ),
    Reader(
        "sinabs 3.1.3",
        DYNAMICS["sinabs"],
        _nodes("Affine Conv2d LI IF LIF SumPool2d Flatten"),
    ),
    Reader(
        "Norse 1.1.0",
        DYNAMICS["norse"],
        _nodes("Affine Linear Conv2d Flatten IF LIF CubaLIF SumPool2d"),
    ),
    Reader(
        "SpikingJelly 2.0.0",
        DYNAMICS["spikingjelly"],
        _nodes("Affine Linear Conv1d Conv2d AvgPool2d Flatten IF LIF CubaLIF"),
        ("r", "tau", "tau_syn", "tau_mem", "v_threshold", "v_reset", "v_leak", "w_in"),
        slower=True,
    ),
)


def uniform_of(dynamics: Dynamics) -> tuple[str, ...]:
    """Parameters that the reader of a dynamics wants to be the same for all neurons of a node."""
    return next((r.uniform for r in READERS if r.dynamics == dynamics), ())
