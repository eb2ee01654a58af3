"""Numbers of the page, each taken from the JSON of the report, and told where it stands there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurodeploy.render.markup import Markup, element


@dataclass(frozen=True, slots=True)
class Values:
    """A part of the JSON, and the JSON pointer (RFC 6901) of its place."""

    json: Any
    place: str = ""

    def at(self, *keys: str | int) -> Values:
        """A part of it."""
        found, place = self.json, self.place
        for key in keys:
            found = found[key]
            place += "/" + str(key).replace("~", "~0").replace("/", "~1")
        return Values(found, place)

    def shown(self, show: Callable[[Any], str], *keys: str | int) -> Markup:
        """A number as text, with its exact value and its place as attributes."""
        one = self.at(*keys)
        if one.json is None:
            return Markup("-")
        return element("data", show(one.json), value=json.dumps(one.json), data_of=one.place)

    def __bool__(self) -> bool:
        return bool(self.json)


def resolve(told: Mapping[str, Any], pointer: str) -> Any:
    """What stands at a JSON pointer."""
    found: Any = told
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, Sequence) else found[key]
    return found
