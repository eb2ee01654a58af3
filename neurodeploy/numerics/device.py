"""Where PyTorch computes in floats: the source network, calibration, real-valued runs.

Integers are computed on the CPU whatever is chosen, so that they are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from neurodeploy.errors import UsageError

DEVICES = ("cpu", "cuda")
_chosen = ["cpu"]

P = ParamSpec("P")
T = TypeVar("T")


def current_device() -> str:
    """The device of the innermost :func:`on_device`, for the whole process."""
    return _chosen[-1]


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """Compute in floats on a device.

    Raises
    ------
    UsageError
        For another device, or one that PyTorch does not have here.
    """
    if name not in DEVICES:
        raise UsageError(f"device {name!r}: expected {' or '.join(DEVICES)}")
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError(
                f"device cuda: PyTorch {torch.__version__} finds none here; leave the device out, "
                "or install a build of PyTorch for this machine's GPU"
            )
    _chosen.append(name)
    try:
        yield
    finally:
        _chosen.pop()


def takes_device(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that takes ``device`` by name: what it calls computes there."""

    @wraps(function)
    def there(*args: P.args, **kwargs: P.kwargs) -> T:
        with on_device(str(kwargs.get("device", "cpu"))):
            return function(*args, **kwargs)

    return there
