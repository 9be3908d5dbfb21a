"""The newest version of every line of a date, kept on disk: a day may hold more lines than memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from retail.records import ONE_KEY, SalesRecord
from retail.sources.values.timestamps import is_normal

# `place` counts the lines that claim one key; nearly always there is one.
_TABLE: Final = """
    CREATE TABLE line (
        natural_key TEXT, place INTEGER, walk TEXT,
        business_date TEXT, transaction_id TEXT, line_id TEXT, source_ref TEXT, line TEXT,
        PRIMARY KEY (natural_key, place)
    )
"""
_IN_ORDER: Final = "SELECT line FROM line ORDER BY business_date, transaction_id, line_id, source_ref"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A line of an answer, the entry of the answer that holds it, and what staging is to report of it."""

    record: SalesRecord
    entry: str
    notes: tuple[str, ...] = ()


class LatestVersions:
    """Takes the records of each page in the order in which they were fetched, and returns those that others superseded.

    Its lines carry the version of the mapping that made the records. Of two different lines with one key in one answer,
    nothing says which counts: both are kept, and noted for staging to reject, until a later answer has only one.
    """

    def __init__(self, mapping_version: int) -> None:
        self._mapping_version = str(mapping_version)
        # SQLite gives a database without a name a temporary file of its own; what fits stays in memory.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, page: Iterable[Fetched], *, walk: str) -> Iterator[SalesRecord]:
        """Keep the newer of each line of a page and the existing one with its key; yields the other ones."""
        by_key: dict[tuple[str | None, str | None, str | None], list[Fetched]] = {}
        for found in page:
            key = found.record.natural_key
            if None in key:
                self._put(f"{walk} {found.record.source_ref}", [found], walk=walk)
            else:
                by_key.setdefault(key, []).append(found)
        for key, found_of_key in by_key.items():
            claims = found_of_key if len(found_of_key) == 1 else _claims(found_of_key)
            claimed = set(map(id, claims))
            yield from (each.record for each in found_of_key if id(each) not in claimed)
            yield from self._add(json.dumps(key), claims)

    def keep_keyless_of(self, walks: Collection[str]) -> Iterator[SalesRecord]:
        """Keep lines without a complete key only from these walks; yields the others."""
        of_others = f"walk NOT IN ({', '.join('?' for _ in walks)})"
        yield from self._select(of_others, *walks)
        self._database.execute(f"DELETE FROM line WHERE {of_others}", [*walks])

    def lines(self) -> Iterator[str]:
        """Each line kept, in order of business date, transaction, line and place in the payloads."""
        for (line,) in self._database.execute(_IN_ORDER):
            yield str(line)

    def _add(self, name: str, claims: Sequence[Fetched]) -> Iterable[SalesRecord]:
        others = list(self._select("natural_key = ?", name))
        records = [each.record for each in claims]
        if others and not _supersede(records, others):
            return records
        if len(others) > 1:
            self._database.execute("DELETE FROM line WHERE natural_key = ?", [name])
        self._put(name, claims, walk=None)
        return others

    def _select(self, where: str, *values: str) -> Iterator[SalesRecord]:
        for (line,) in self._database.execute(f"SELECT line FROM line WHERE {where}", values):
            yield SalesRecord.from_line(line)

    def _put(self, name: str, claims: Sequence[Fetched], *, walk: str | None) -> None:
        for place, found in enumerate(claims):
            record = found.record
            notes = [*[ONE_KEY] * (len(claims) > 1), *found.notes]
            values = (
                *(name, place, walk),
                *(part or "" for part in (record.business_date, record.transaction_id, record.line_id)),
                record.source_ref,
                record.to_line(self._mapping_version, noted="; ".join(notes)),
            )
            self._database.execute("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _claims(found: Sequence[Fetched]) -> list[Fetched]:
    """What one answer says of one line: the newest version, with all that differ from it and may be as new.

    Lines of one entry may: an order has one state. So may lines of one time.
    """
    newest = max(_version(each.record) for each in found)
    entries = {each.entry for each in found if _version(each.record) == newest}
    claims: list[Fetched] = []
    for each in found:
        may_count = _version(each.record) == newest or each.entry in entries
        if may_count and not any(_are_same(each.record, other.record) for other in claims):
            claims.append(each)
    return claims


def _supersede(records: Sequence[SalesRecord], others: Sequence[SalesRecord]) -> bool:
    """Whether they are newer than `others`, which were fetched before them; if equally new, whether they differ."""
    version, before = (max(map(_version, each)) for each in (records, others))
    if version != before:
        return version > before
    # A record fetched again unchanged leaves the raw file as it is, to the byte.
    return len(records) != len(others) or not all(map(_are_same, records, others))


def _are_same(record: SalesRecord, other: SalesRecord) -> bool:
    return replace(record, source_ref=other.source_ref, mapping_version=other.mapping_version) == other


def _version(record: SalesRecord) -> str:
    """Compares as time does; a value that is not a time is older than any."""
    return record.updated_at if record.updated_at is not None and is_normal(record.updated_at) else ""
