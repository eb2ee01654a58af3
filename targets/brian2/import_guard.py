"""Keeps Brian2 from executing a file of the working directory when it is imported.

On import Brian2 reads ``~/.brian/user_preferences``, which is the user's own, and then
``brian_preferences`` of the working directory, and evaluates every value in them as Python. Whoever
looks at a stranger's folder would execute the stranger's code. The working directory belongs to
all threads of a process, so it is not changed: Brian2 finds no such file instead.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

MODULE = "brian2.core.preferences"


@contextlib.contextmanager
def none_of_the_working_directory() -> Iterator[None]:
    """While brian2 is imported within, preference files with a relative path do not exist for it.

    Afterwards Brian2 reads whatever file its user names.

    Raises
    ------
    ImportError
        If Brian2's preferences are not where they are expected: then nothing keeps the file out.
    """
    changed: list[tuple[Any, Any]] = []

    def change(module: ModuleType) -> None:
        preferences: Any = module.BrianGlobalPreferences
        read = preferences.read_preference_file

        def read_absolute(self: Any, file: Any) -> None:
            if isinstance(file, str) and not os.path.isabs(file):
                raise FileNotFoundError(file)  # as if it was missing, which Brian2 expects
            read(self, file)

        preferences.read_preference_file = read_absolute
        changed.append((preferences, read))

    finder = _Finder(change)
    # An import that failed before leaves the modules that it had reached.
    reached = sys.modules.get(MODULE)
    if reached is not None:
        change(reached)
    sys.meta_path.insert(0, finder)
    try:
        yield
        if not changed:
            raise ImportError(f"this version of brian2 has no {MODULE}")
    finally:
        sys.meta_path.remove(finder)
        for preferences, read in changed:
            preferences.read_preference_file = read


class _Finder(importlib.abc.MetaPathFinder):
    """Finds Brian2's preferences where the other finders do, with a step after their execution."""

    def __init__(self, after: Callable[[ModuleType], None]) -> None:
        self._after = after

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != MODULE:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._after)
                found: importlib.machinery.ModuleSpec = spec
                return found
        return None


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, after: Callable[[ModuleType], None]) -> None:
        self._loader, self._after = loader, after

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._after(module)
