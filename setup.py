"""Builds the native library, and fills in the project URLs. The rest stands in pyproject.toml.

The library is plain C behind a C interface, loaded by ctypes: an extension module only by name, so
that builds of several interpreters lie beside each other. It is optional: without a C compiler the
package installs as it is, and integer netlists run on slower paths.
"""

import hashlib
import importlib.util
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
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


# The hash that the loader compares.
SOURCE_HASH = run_alone(NATIVE / "sources.py").source_hash()


class BuildLibrary(build_ext):
    """Compiles side by side what it finds no object of, and always links.

    Objects lie under a digest of all sources and of the command that compiles them, not of the
    interpreter, which they know nothing of: the second environment of a checkout takes the first
    one's. Dates say nothing: a source that was removed makes no file newer.
    """

    def finalize_options(self) -> None:
        super().finalize_options()
        self.force = True

    def build_extension(self, ext: Extension) -> None:
        compile_alone = self.compiler.compile
        # Interpreters differ in their warnings, which make no other code.
        options = [part for part in getattr(self.compiler, "compiler_so", ()) if part[:2] != "-W"]
        command = f"{SOURCE_HASH} {FLAGS} {options}"
        kept = Path("build", f"kernels-{hashlib.sha256(command.encode()).hexdigest()[:16]}")
        own = kept / f"of-{os.getpid()}"

        def compiled(source: str, **options: object) -> str:
            made = self.compiler.object_filenames([source], output_dir=str(kept))[0]
            if not Path(made).exists():
                (fresh,) = compile_alone([source], **{**options, "output_dir": str(own)})
                Path(made).parent.mkdir(parents=True, exist_ok=True)
                os.replace(fresh, made)
            return made

        def compile_all(sources: list[str], **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                return list(threads.map(lambda source: compiled(source, **options), sources))

        self.compiler.compile = compile_all
        try:
            super().build_extension(ext)
        finally:
            shutil.rmtree(own, ignore_errors=True)


setup(
    **run_alone(Path("scripts/project_urls.py")).metadata(Path()),
    cmdclass={"build_ext": BuildLibrary},
    ext_modules=[
        Extension(
            "neurodeploy.execution.native._kernels",
            sources=[path.as_posix() for path in sorted((NATIVE / "kernels").glob("*.c"))],
            define_macros=[("ND_SOURCE_HASH", f'"{SOURCE_HASH}"')],
            extra_compile_args=FLAGS,
            optional=True,
        )
    ],
)
