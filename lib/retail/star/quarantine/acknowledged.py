"""Refused lines that were accepted for good: their retailer will never fix them, so they are no longer open.

    quality/accepted/00001.json     all that was accepted by then; the last one counts, the others are its history

A line is identified by its `row`, made of retailer, date and text, so it stays accepted when its date is staged again.
It is accepted only for its reasons at the time: if refused for anything else, or as more severe, it is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Final

from retail.errors import StorageError
from retail.lake import layout
from retail.lake.storage import Storage

_TRIES: Final = 5

RetailerDay = tuple[str, date]


@dataclass(frozen=True)
class Acceptance:
    """Lines accepted by one command, by retailer-day: when (UTC), why, and their totals.

    `rows` and `money` (by currency, decimal text) are as they were then; `lines` are those still accepted, each `row`
    with its severity and reasons.
    """

    at: str
    because: str
    rows: int
    money: Mapping[str, str]
    lines: Mapping[RetailerDay, Mapping[str, str]] = field(repr=False)


@dataclass(frozen=True)
class Accepted:
    """All that is accepted. `version` is the number of the object that records it, 0 if nothing ever was."""

    version: int = 0
    acceptances: tuple[Acceptance, ...] = ()

    def units(self) -> set[RetailerDay]:
        """The retailers' logical dates with accepted lines."""
        return {unit for each in self.acceptances for unit in each.lines}

    def named(self) -> dict[tuple[str, date, str, str], Acceptance]:
        """Each accepted line with its acceptance, by retailer, logical date, `row` and what it was accepted for."""
        return {
            (*unit, row, accepted_for): each
            for each in self.acceptances
            for unit, rows in each.lines.items()
            for row, accepted_for in rows.items()
        }


def what_for(severity: str, reasons: str) -> str:
    """The text that a line is accepted for, such as `error: bad total_amount`."""
    return f"{severity}: {reasons}"


def load(storage: Storage) -> Accepted:
    """What is accepted now. Raises StorageError if the newest object is damaged."""
    newest = max(storage.list(layout.ACKNOWLEDGED), default=None)
    if newest is None:
        return Accepted()
    try:
        version = int(newest.removeprefix(layout.ACKNOWLEDGED).removesuffix(".json"))
        values = json.loads(storage.read(newest))
        return Accepted(version, tuple(_acceptance(each) for each in values["acceptances"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{newest} is damaged: {error}",
            hint="delete this one object: the previous one then applies; accept again what was accepted since",
        ) from None


def accept(storage: Storage, acceptance: Acceptance) -> None:
    """Add an acceptance. Raises StorageError."""
    _change(storage, lambda now: (*now, acceptance))


def reopen(storage: Storage, lines: Mapping[RetailerDay, Collection[str]]) -> None:
    """Remove these lines from what is accepted. Raises StorageError."""
    _change(storage, lambda now: tuple(_without(now, lines)))


def rename(storage: Storage, lines: Mapping[RetailerDay, Mapping[str, str]]) -> None:
    """Give accepted lines, whose text is about to change, their new `row`. Raises StorageError."""

    def renamed(now: tuple[Acceptance, ...]) -> tuple[Acceptance, ...]:
        return tuple(
            replace(
                each,
                lines={
                    unit: {
                        lines.get(unit, {}).get(row, row): accepted_for for row, accepted_for in rows.items()
                    }
                    for unit, rows in each.lines.items()
                },
            )
            for each in now
        )

    now = load(storage).acceptances
    if renamed(now) != now:
        _change(storage, renamed)


def _without(
    acceptances: tuple[Acceptance, ...], lines: Mapping[RetailerDay, Collection[str]]
) -> Iterator[Acceptance]:
    for each in acceptances:
        left = {
            unit: {row: accepted_for for row, accepted_for in rows.items() if row not in lines.get(unit, ())}
            for unit, rows in each.lines.items()
        }
        left = {unit: rows for unit, rows in left.items() if rows}
        if left:
            yield replace(each, lines=left)


def _change(storage: Storage, change: Callable[[tuple[Acceptance, ...]], tuple[Acceptance, ...]]) -> None:
    for _ in range(_TRIES):  # another command may write the same number first
        now = load(storage)
        values = {"acceptances": [_json(each) for each in change(now.acceptances)]}
        key = f"{layout.ACKNOWLEDGED}{now.version + 1:05d}.json"
        if storage.create(key, json.dumps(values, indent=1, ensure_ascii=False).encode()):
            return
    raise StorageError(
        f"{storage.url}/{layout.ACKNOWLEDGED}: other commands keep writing there",
        hint="run the same command again when they have ended",
    )


def _json(acceptance: Acceptance) -> dict[str, object]:
    lines: dict[str, dict[str, dict[str, str]]] = {}
    for (retailer_id, day), rows in sorted(acceptance.lines.items()):
        lines.setdefault(retailer_id, {})[day.isoformat()] = dict(sorted(rows.items()))
    return asdict(replace(acceptance, lines={})) | {"lines": lines}


def _acceptance(values: dict[str, Any]) -> Acceptance:
    lines = {
        (retailer_id, date.fromisoformat(day)): dict(rows)
        for retailer_id, days in values["lines"].items()
        for day, rows in days.items()
    }
    return Acceptance(values["at"], values["because"], values["rows"], values["money"], lines)
