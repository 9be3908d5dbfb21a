"""The fields of a retailer's responses, learned by path and type, so that a new field or type is reported once.

    ops/payload-fields/<retailer_id>.json
        {"fields": {path: {types, first_seen, run_id}}, "records": {run: …}, "learned_by": run,
         "to_tell": {run_id, fields}}

A path is, for example, `orders[].orderItems[].price.amount`; no value is kept. New fields stay in the payload as they
came. Runs learn and report nothing until the run by whose end `ENOUGH` records were seen has ended. The new fields that
a later run found are kept with that run until its step is recorded: only then have they been reported.

A watched field (`retail.sources.fields`) that carries a value is reported by every run that sees it, from the first on.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from retail.errors import DamagedError, ObjectNotFoundError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.outgoing_text import mask_values
from retail.sources.values import money
from retail.sources.values.json_path import JSON, everywhere

# Counts objects in lists, including order lines: days with hardly any sales teach hardly anything.
ENOUGH: Final = 200

# Ids used as field names would never end: a name that is not plain, or is one of too many, is folded into
# `*`.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}", re.ASCII)
_MOST_NAMES: Final = 100
_MOST_SHAPES: Final = 500
_MOST_PATHS: Final = 5_000
_DEEPEST: Final = 40

_TYPES: Final[dict[type, str]] = {
    str: "text", int: "number", Decimal: "number", bool: "boolean", dict: "object", list: "list",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class NewField:
    """A path that was never seen before, or, if `before` names types, a known path with a new type."""

    retailer_id: str
    path: str
    type: str
    before: str
    first_seen: str

    def __str__(self) -> str:
        if self.before:
            return (
                f"{self.retailer_id}: {self.path} is {self.type} since {self.first_seen}, was {self.before}"
            )
        return f"{self.retailer_id}: {self.path} ({self.type}) is new on {self.first_seen}"


@dataclass(frozen=True, order=True)
class WatchedField:
    """A watched path that carries a value, what that means, and the earliest date that was fetched with it."""

    retailer_id: str
    path: str
    meaning: str
    first_seen: str

    def __str__(self) -> str:
        return f"{self.retailer_id}: {self.path} has a value on {self.first_seen}: {self.meaning}"


@dataclass(slots=True)
class _Known:
    types: list[str]
    first_seen: str
    run_id: str


@dataclass(slots=True)
class _Place:
    """A position in the responses. `shapes` are the objects seen there, each with its nested values to be entered."""

    path: str
    depth: int = 0
    names: dict[str, _Place] = field(default_factory=dict)
    entries: _Place | None = None
    shapes: dict[tuple[object, ...], list[tuple[str, _Place]]] = field(default_factory=dict)


class PayloadFields:
    """The fields of one retailer's responses: the first runs learn them, later runs report new ones.

    `has_ended` says whether another run's extract step was recorded, which means that it has reported what it found.
    `watched` are the paths whose values are reported, each with what a value means.
    """

    def __init__(
        self,
        storage: Storage,
        retailer_id: str,
        run_id: str,
        *,
        has_ended: Callable[[str], bool],
        watched: Mapping[str, str],
    ) -> None:
        self._storage, self.retailer_id, self._run_id = storage, retailer_id, run_id
        self._has_ended = has_ended
        self._watched = watched
        self._with_value: dict[str, str] = {}
        self._known: dict[str, _Known] = {}
        self._records: dict[str, int] = {}
        self._seen, self._learned_by = 0, ""
        self._new: list[NewField] = []
        self._changed = False
        self._one_at_a_time = threading.Lock()  # days of a retailer may be fetched in parallel
        self._load()
        self._root = _Place("")
        for path in self._known:
            self._remember(path)

    def look(self, answer: JSON, logical_date: date) -> None:
        """Note the fields of a response that was fetched for that date."""
        with self._one_at_a_time:
            self._enter(answer, self._root, logical_date)
            for path in self._watched:
                if any(map(_is_value, everywhere(answer, path))):
                    day = logical_date.isoformat()
                    self._with_value[path] = min(day, self._with_value.get(path, day))

    def with_value(self) -> list[WatchedField]:
        """The watched fields that carried a value in what this run has seen."""
        return [
            WatchedField(self.retailer_id, path, self._watched[path], day)
            for path, day in sorted(self._with_value.items())
        ]

    def keep(self) -> list[NewField]:
        """Store what was seen; returns all that this run must report, including what it stored before it was killed."""
        if not self._learned_by:
            # A resumed run sees pages again that it saw before it was killed: they count once.
            self._records[self._run_id] = max(self._seen, self._records.get(self._run_id, 0))
            self._changed = self._changed or self._seen > 0
            self._learned_by = self._run_id if sum(self._records.values()) >= ENOUGH else ""
        new = [] if self._is_learning else sorted(self._new)
        if self._changed:
            values = {
                "learned_by": self._learned_by,
                "records": self._records,
                "to_tell": {"run_id": self._run_id, "fields": [asdict(each) for each in new]},
                "fields": {path: asdict(self._known[path]) for path in sorted(self._known)},
            }
            self._storage.write(self._key, json.dumps(mask_values(values), indent=1).encode())
            self._changed = False
        return new

    @property
    def _is_learning(self) -> bool:
        return self._learned_by in ("", self._run_id)

    @property
    def _key(self) -> str:
        return layout.payload_fields(self.retailer_id)

    def _load(self) -> None:
        try:
            values: dict[str, Any] = json.loads(self._storage.read(self._key))
            self._known = {path: _Known(**each) for path, each in values["fields"].items()}
            learned_by, self._records = str(values["learned_by"]), dict(values.get("records", {}))
            to_tell = values.get("to_tell", {"run_id": "", "fields": []})
            found_by, new = str(to_tell["run_id"]), [NewField(**each) for each in to_tell["fields"]]
        except ObjectNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(
                f"{self._storage.url}/{self._key} is damaged: {error}",
                hint="delete this one object; the fields are learned again",
            ) from None
        if learned_by and (learned_by == self._run_id or self._has_ended(learned_by)):
            self._learned_by = learned_by
        if new and (found_by == self._run_id or not self._has_ended(found_by)):
            self._new = new
            self._changed = found_by != self._run_id  # from now on it is this run's to report

    def _remember(self, path: str) -> None:
        """Create the places along a known path: what is folded stays folded."""
        place = self._root
        for part in path.split("."):
            name = part.removesuffix("[]" * part.count("[]"))
            place = self._below(place, name) if name else place
            for _ in range(part.count("[]")):
                place = _entries(place)

    def _enter(self, value: JSON, place: _Place, day: date) -> None:
        if isinstance(value, dict):
            # Nearly every object has the shape of an earlier one: comparing its names and types is then
            # enough.
            shape = (*value, *map(type, value.values()))
            inner = place.shapes.get(shape)
            if inner is None:
                inner = self._learn(value, place, day)
                if len(place.shapes) < _MOST_SHAPES and len(value) <= _MOST_NAMES:
                    place.shapes[shape] = inner
            for name, below in inner:
                self._enter(value[name], below, day)
        elif isinstance(value, list) and place.depth < _DEEPEST:
            below = _entries(place)
            for entry in value:
                if isinstance(entry, dict):
                    self._seen += 1
                if isinstance(entry, dict | list):
                    self._enter(entry, below, day)
                else:
                    self._see(below.path, entry, day)

    def _learn(self, value: dict[str, JSON], place: _Place, day: date) -> list[tuple[str, _Place]]:
        inner = []
        for name, held in value.items():
            below = self._below(place, name)
            self._see(below.path, held, day)
            if isinstance(held, dict | list) and below.depth < _DEEPEST:
                inner.append((name, below))
        return inner

    def _below(self, place: _Place, name: str) -> _Place:
        plain = name in place.names or (_NAME.fullmatch(name) and len(place.names) < _MOST_NAMES)
        shown = name if plain else "*"
        if shown not in place.names:
            path = f"{place.path}.{shown}" if place.path else shown
            place.names[shown] = _Place(path, place.depth + 1)
        return place.names[shown]

    def _see(self, path: str, value: JSON, day: date) -> None:
        kind = _TYPES.get(type(value))
        if kind is None:  # null matches every type
            return
        known = self._known.get(path)
        if known is None and len(self._known) >= _MOST_PATHS:
            return
        if known is None or kind not in known.types:
            before = " or ".join(known.types) if known else ""
            self._new.append(NewField(self.retailer_id, path, kind, before, day.isoformat()))
            self._changed = True
            if known is None:
                self._known[path] = _Known([kind], day.isoformat(), self._run_id)
            else:
                known.types.append(kind)


def _is_value(found: JSON) -> bool:
    """Whether something is there: neither null, nor empty, nor false, nor zero in any spelling."""
    if isinstance(found, str):
        return bool(found.strip()) and money.number(found) != 0
    return bool(found)


def _entries(place: _Place) -> _Place:
    if place.entries is None:
        place.entries = _Place(f"{place.path}[]", place.depth + 1)
    return place.entries
