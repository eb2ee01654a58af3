"""Builds the native library, and fills in the project URLs. The rest stands in pyproject.toml.

The library is plain C behind a C interface, loaded by ctypes: an extension module only by name, so
that builds of several interpreters lie beside each other. It is optional: without a C compiler the
package installs as it is, and integer netlists run on slower paths.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("neurodeploy/execution/native")
# No -march=native: one binary holds a version for each instruction set and chooses when it runs.
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-g0",
    "-fwrapv",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]


def run_alone(path: Path) -> ModuleType:
    """Return the module of a file, run without its package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildLibrary(build_ext):
    """Always compiles: a source that was removed makes no file newer, but changes the hash."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.force = True


# The hash that the loader compares.
SOURCE_HASH = run_alone(NATIVE / "sources.py").source_hash(NATIVE)

setup(
    **run_alone(Path("scripts/project_urls.py")).metadata(Path()),
    cmdclass={"build_ext": BuildLibrary},
    ext_modules=[
        Extension(
            "neurodeploy.execution.native._kernels",
            sources=[path.as_posix() for path in sorted(NATIVE.glob("*.c"))],
            define_macros=[("ND_SOURCE_HASH", f'"{SOURCE_HASH}"')],
            extra_compile_args=FLAGS,
            optional=True,
        )
    ],
)
