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

The tables are also the list of what is kept: a field without an entry, or in a group with `kept = false`, loses its
value before an answer is stored (`retail.sources.pii`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

FILE: Final = "fields.toml"
_BELOW: Final = ".**"


class Ignored(BaseModel):
    """Unused fields that share one reason; `kept` says whether a stored answer has them all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: str
    fields: list[str]
    kept: bool = True


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


class Content(Enum):
    """What a text may hold: an identifier of the business, a number, date or code, a title or name, or anything."""

    IDENTIFIER = "identifier"
    CODE = "code"
    TITLE = "title"
    FREE = "free"

    @classmethod
    def of(cls, meaning: str) -> Content:
        """By what `used` says that the field serves.

        >>> Content.of("product_id"), Content.of("tax_amount"), Content.of("product_name")
        (<Content.IDENTIFIER: 'identifier'>, <Content.CODE: 'code'>, <Content.TITLE: 'title'>)
        """
        if _IDENTIFIER.search(meaning):
            return cls.IDENTIFIER
        return cls.TITLE if _TITLE.search(meaning) else cls.CODE


_IDENTIFIER: Final = re.compile(r"\b(?:transaction_id|line_id|product_id|store_id|gtin|GTIN|page)\b")
_TITLE: Final = re.compile(r"\b(?:product_name|brand|category|store_name|store_city|store_region)\b")


@dataclass(slots=True)
class Place:
    """A position in a vendor's answers. `keeps` says that a value there is kept, `is_removed` that the field goes.

    Lists lead nowhere: their entries are at the place of the list. `is_named` says that an entry names the place, and
    that it is not just below one that ends in `**`.
    """

    name: str = ""
    is_named: bool = True
    keeps: bool = False
    is_removed: bool = False
    content: Content = Content.FREE
    _below: dict[str, Place] = field(default_factory=dict)
    _rest: Place | None = None

    def below(self, name: str) -> Place | None:
        """The place of that field; None if no entry knows it. What contains itself is entered once in the tables."""
        found = self._below.get(name)
        if name and name == self.name and (found is None or not found._below):
            return self
        return found or self._rest

    def enter(self, path: str, *, kept: bool, content: Content = Content.FREE) -> None:
        """Add an entry. Where two vendors' objects share a place, it is kept if either keeps it."""
        place = self
        for step in filter(None, path.replace("[]", "").split(".")):
            if step == "**":
                place.keeps = place.keeps or kept
                place._rest = place._rest or Place(is_named=False, keeps=kept, is_removed=not kept)
                place.is_removed = not kept and not place._below and not place.keeps
                return
            place = place._below.setdefault(step, Place(step))
        place.keeps = place.keeps or kept
        place.is_removed = not place.keeps and not kept
        place.content = content if content is not Content.FREE else place.content

    def settle(self, rest: Place | None = None) -> None:
        """Once all entries are there: what has none of its own belongs to the nearest one above that ends in `**`."""
        self._rest = self._rest or rest
        if self._rest is self:
            return
        if self._rest is not None and self._rest._rest is None:
            self._rest._rest = self._rest
        for place in self._below.values():
            place.settle(self._rest)


@lru_cache
def places(package: str, kept: tuple[str, ...] = ()) -> Place:
    """What is kept of a vendor's answers, by place; `kept` are whole paths that are in no table.

    A path that ends in `**` is free text, any other one an identifier.
    """
    root = Place()
    for table in tables(package).values():
        for at in table.at:
            _enter(root, at, table)
    for path in kept:
        root.enter(path, kept=True, content=Content.FREE if path.endswith("**") else Content.IDENTIFIER)
    root.settle()
    return root


def _enter(root: Place, at: str, table: FieldTable) -> None:
    for path, meaning in table.used.items():
        root.enter(below(at, path), kept=True, content=Content.of(meaning))
    kept: Iterable[str] = [
        *table.watched,
        *(path for each in table.ignored if each.kept for path in each.fields),
    ]
    for path in kept:
        root.enter(below(at, path), kept=True)
    for path in (path for each in table.ignored if not each.kept for path in each.fields):
        root.enter(below(at, path), kept=False)
