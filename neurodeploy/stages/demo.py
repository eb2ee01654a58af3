"""``deploy`` on data and a network that come with neurodeploy."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from neurodeploy.datasets import as_samples
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.hardware.boards.loading import board_names
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.ir.record import Progress
from neurodeploy.stages.deploy import deploy
from neurodeploy.stages.deployed import Deployed
from neurodeploy.targets.registry import TARGETS

MODEL = "neurodeploy.stages.demo_network:digits_net"
DATA = "digits"
# And that of the target that has a board of its own name.
BOARDS = ("loihi1", "loihi2", *sorted(set(TARGETS.built_in) & set(board_names())))
WEIGHTS_FILE = "digits.pt"
DEPLOYED_FOLDER = "digits"


def demonstrate(
    folder: Path,
    *,
    tell: Callable[[str], None] = lambda _: None,
    stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Deployed:
    """Train a small network on scikit-learn's digits, and deploy it on three boards.

    Parameters
    ----------
    folder : Path
        Weights and the folder of ``deploy`` go there; what an earlier run left is kept.
    tell, stage, progress : callable, optional
        As of :func:`neurodeploy.deploy`.

    Raises
    ------
    TargetUnavailableError
        If PyTorch or scikit-learn is missing.
    """
    _expect_packages()
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    if not weights.exists():
        _train(weights, tell)
    return deploy(
        MODEL,
        DATA,
        BOARDS,
        folder / DEPLOYED_FOLDER,
        weights=weights,
        command=demo_command(folder),
        tell=tell,
        stage=stage,
        progress=progress,
    )


def demo_command(folder: Path) -> list[str]:
    """The command line that a demonstration stands for, after its training."""
    words = ["deploy", MODEL, str(folder / WEIGHTS_FILE), "--data", DATA]
    return [*words, "--board", ",".join(BOARDS), "-o", str(folder / DEPLOYED_FOLDER)]


def _train(path: Path, tell: Callable[[str], None]) -> None:
    import torch

    from neurodeploy.stages.demo_network import train

    training = as_samples(DATA, "train")
    tell(f"training a convolutional network on {len(training)} digits")
    content = io.BytesIO()
    torch.save(train(training).state_dict(), content)
    write_bytes_whole(path, content.getvalue())


def _expect_packages() -> None:
    missing = [name for name in ("torch", "sklearn") if find_spec(name) is None]
    if missing:
        raise TargetUnavailableError(
            f"demo needs {' and '.join(missing)}, not installed in this environment; "
            "pip install 'neurodeploy[torch,digits]', or run 'make demo' in the source tree"
        )
