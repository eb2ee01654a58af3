"""Registries: names to things that are imported only when asked for, open to plug-ins."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from neurodeploy.errors import UnknownNameError, UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered thing: where it is, and a line about it that needs no import."""

    location: str
    summary: str


class Registry(Generic[T]):
    """Named things of one kind.

    Parameters
    ----------
    kind : str
        For messages, for example ``"target"``.
    entries : mapping of name to Entry
        ``location`` is ``module:attribute``.
    group : str
        Entry point group through which other distributions add theirs.
    needs : sequence of str
        Attributes that a plug-in must have.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, Entry], group: str, needs: Sequence[str] = ()
    ) -> None:
        self.kind = kind
        self.group = group
        self.needs = tuple(needs)
        self._entries = dict(entries)
        self._found: tuple[object, dict[str, Entry]] | None = None

    def entries(self) -> dict[str, Entry]:
        """All entries by name: the built-in ones, which cannot be replaced, then plug-ins."""
        from importlib.metadata import entry_points

        # All installed distributions are read for it: once, until one comes or goes.
        state = entry_points, tuple((folder, _changed(folder)) for folder in sys.path)
        if self._found is None or self._found[0] != state:
            plug_ins = {
                point.name: Entry(point.value, f"plug-in {point.value}")
                for point in entry_points(group=self.group)
            }
            self._found = state, plug_ins
        return self._entries | self._found[1] | self._entries

    @property
    def built_in(self) -> tuple[str, ...]:
        """Names of the entries that come with neurodeploy."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entries()))

    def get(self, name: str) -> T:
        """Import and return the thing called ``name``.

        Raises
        ------
        UnknownNameError
            Listing the names that exist.
        UsageError
            For a plug-in that cannot be imported, or lacks what its kind needs.
        """
        entry = self._entries.get(name) or self.entries().get(name)
        if entry is None:
            raise UnknownNameError(self.kind, name, self.entries())
        module, _, attribute = entry.location.partition(":")
        try:
            thing: T = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            if name in self._entries:
                raise
            raise UsageError(
                f"{self.kind} {name!r}: the plug-in {entry.location} cannot be imported "
                f"({type(error).__name__}: {error}); reinstall or remove it"
            ) from error
        lacking = [need for need in self.needs if not hasattr(thing, need)]
        if lacking:
            raise UsageError(
                f"{self.kind} {name!r}: the plug-in {entry.location} has no {lacking[0]!r}, which "
                f"every {self.kind} has; reinstall or remove it"
            )
        return thing


def _changed(folder: str) -> int | None:
    """When something came to a folder of the search path, or went."""
    try:
        return os.stat(folder or os.curdir).st_mtime_ns
    except OSError:
        return None
