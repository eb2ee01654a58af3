"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurodeploy.execution.native.library import available, load

# Of the flags that Linux lists, those that decide which kernels run.
VECTOR_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx_vnni", "asimd", "asimddp", "sve")
VECTOR_FAMILIES = ("avx512", "amx")
PACKAGES = ("spikingjelly", "sinabs", "snntorch", "norse", "brian2")


def machine() -> dict[str, Any]:
    """Processor, its vector instructions, versions."""
    return {
        "processor": _processor(),
        "features": vector_features(),
        "torch": torch.__version__,
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernels": kernels(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: v for name in PACKAGES if (v := _version(name)) is not None},
    }


def kernels() -> str:
    """The instruction set of our library, and which it has for this processor."""
    if not available():
        return "not built: integer products in PyTorch or NumPy"
    library = load()
    return f"{library.isa_name} of {', '.join(library.isas)}"


def vector_features() -> list[str]:
    """Vector instructions of this processor; none where the system does not tell."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        flags = next((x for x in lines if x.startswith(("flags", "Features"))), "").split()
    else:
        flags = _sysctl("machdep.cpu.features").lower().split()
    return [f for f in flags if f in VECTOR_FLAGS or f.startswith(VECTOR_FAMILIES)]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def _sysctl(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    asked = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
