"""What becomes of each field of the retailers' answers: `fields.toml` beside each vendor's code, and what reads it.

    [ReturnOrder]                                   one table for each kind of object
    api = "Returns v3, GET /v3/returns"
    at = ["returnOrders[]"]                         its places in the answers, the specification's own first
    used = { returnOrderDate = "sold_at" }          what each field serves
    watched = { … = "…" }                           what a value there would mean
    [[ReturnOrder.ignored]]
    because = "…"
    fields = ["refundMode", "returnLineGroups[].**"]

A path is relative to the object. One that ends in `**` stands for everything below it that has no entry of its own. A
watched field that carries a value is reported by the run that fetched it; docs/FIELDS.md shows all tables.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

FILE: Final = "fields.toml"
_BELOW: Final = ".**"


class Ignored(BaseModel):
    """Unused fields that share one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: str
    fields: list[str]


class FieldTable(BaseModel):
    """The fields of one kind of object. `api` names the specification and the call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: str
    at: list[str] = Field(min_length=1)
    used: dict[str, str] = Field(default_factory=dict)
    watched: dict[str, str] = Field(default_factory=dict)
    ignored: list[Ignored] = Field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Every path that has an entry; one that has two is in it twice."""
        return [*self.used, *self.watched, *(path for each in self.ignored for path in each.fields)]

    def entry(self, path: str) -> str | None:
        """The path of the entry that decides about a field: its own, else the nearest above it that ends in `**`."""
        known = set(self.paths)
        above = [path[:end] + _BELOW for end, letter in enumerate(path) if letter == "."]
        return next((each for each in [path, path + _BELOW, *reversed(above), "**"] if each in known), None)


def tables(package: str) -> dict[str, FieldTable]:
    """The tables beside a vendor's code, by the name of their object; none where there is no file."""
    file = files(package) / FILE if package else None
    if file is None or not file.is_file():
        return {}
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: FieldTable.model_validate(table) for name, table in found.items()}


def watched(package: str) -> Mapping[str, str]:
    """What a value would mean, by the path in the whole answer of each watched field."""
    return {
        below(place, path): meaning
        for table in tables(package).values()
        for place in table.at
        for path, meaning in table.watched.items()
    }


def below(place: str, path: str) -> str:
    """The path in the whole answer of a field of the object at `place`, which is empty for the answer itself."""
    return f"{place}.{path}" if place else path
