"""The newest version of every line of a date, kept on disk: a day may hold more lines than memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final, Self

from retail.records import SalesRecord
from retail.sources.values.timestamps import is_normal

_TABLE: Final = """
    CREATE TABLE line (
        natural_key TEXT PRIMARY KEY, walk TEXT,
        business_date TEXT, transaction_id TEXT, line_id TEXT, source_ref TEXT, line TEXT
    )
"""
_IN_ORDER: Final = "SELECT line FROM line ORDER BY business_date, transaction_id, line_id, source_ref"


class LatestVersions:
    """Takes records in the order in which they were fetched, and returns each one that another superseded.

    Its lines carry the version of the mapping that made the records.
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

    def add(self, record: SalesRecord, *, walk: str) -> SalesRecord | None:
        """Keep the newer of the record and the existing one with its key; returns the other one, if any."""
        key = record.natural_key
        if None in key:
            self._put(f"{walk} {record.source_ref}", record, walk=walk)
            return None
        name = json.dumps(key)
        found = next(self._select("natural_key = ?", name), None)
        other = None if found is None else _record(found[0])
        if other is not None and not _supersedes(record, other):
            return record
        self._put(name, record, walk=None)
        return other

    def keep_keyless_of(self, walks: Collection[str]) -> Iterator[SalesRecord]:
        """Keep lines without a complete key only from these walks; yields the others."""
        of_others = f"walk NOT IN ({', '.join('?' for _ in walks)})"
        yield from (_record(line) for (line,) in self._select(of_others, *walks))
        self._database.execute(f"DELETE FROM line WHERE {of_others}", [*walks])

    def lines(self) -> Iterator[str]:
        """Each line kept, in order of business date, transaction, line and place in the payloads."""
        for (line,) in self._database.execute(_IN_ORDER):
            yield str(line)

    def _select(self, where: str, *values: str) -> Iterator[tuple[str]]:
        return iter(self._database.execute(f"SELECT line FROM line WHERE {where}", values))

    def _put(self, name: str, record: SalesRecord, *, walk: str | None) -> None:
        parts = (record.business_date, record.transaction_id, record.line_id)
        values = (
            name,
            walk,
            *(part or "" for part in parts),
            record.source_ref,
            record.to_line(self._mapping_version),
        )
        self._database.execute("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _record(line: str) -> SalesRecord:
    return SalesRecord(**json.loads(line))


def _supersedes(record: SalesRecord, other: SalesRecord) -> bool:
    """Whether it is newer than `other`, which was fetched before it; if equally new, whether it differs."""
    if _version(record) != _version(other):
        return _version(record) > _version(other)
    # A record fetched again unchanged leaves the raw file as it is, to the byte.
    return replace(record, source_ref=other.source_ref, mapping_version=other.mapping_version) != other


def _version(record: SalesRecord) -> str:
    """Compares as time does; a value that is not a time is older than any."""
    return record.updated_at if record.updated_at is not None and is_normal(record.updated_at) else ""
