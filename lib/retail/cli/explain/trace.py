"""`retail explain`: from a row in PostgreSQL back through Delta and the raw file to the retailer's response.

No engine is started: Delta is read by the deltalake package, a different implementation and so a second witness.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from psycopg2.extras import RealDictCursor

from retail.config.settings import sql_text
from retail.errors import ObjectNotFoundError, RetailError
from retail.lake import delta
from retail.lake.layout import raw_file
from retail.lake.storage import Storage
from retail.landing import payloads
from retail.pipeline.workspace import Workspace
from retail.sources.values.json_path import JSON, at
from retail.star.quarantine import table
from retail.star.quarantine.listing import Refused
from retail.star.tables import fact_sales

Row = dict[str, Any]

SHOWN_LINES: Final = 20

_SOURCE: Final = re.compile(
    r"(?P<key>payloads/(?P<retailer>[^/]+)/date=(?P<day>[0-9-]{10})/[^#]+)#(?P<pointer>.*)", re.DOTALL
)
_NATURAL_KEY: Final = fact_sales.TABLE.natural_key


@dataclass(frozen=True)
class Answered:
    """The retailer's response: the page, when it was fetched, and the part of it from which the line is made."""

    key: str
    pointer: str
    fetched_at: str
    part: JSON


@dataclass(frozen=True)
class RawLine:
    """The line in the raw file, counted from 1."""

    key: str
    number: int
    record: Row


@dataclass(frozen=True)
class Explained:
    """One line at each place where it was found; `differences` are columns in which Delta and PostgreSQL differ.

    `shown` is the view's row of its day, once it includes the line as PostgreSQL has it. `missing` says what could not
    be traced, and why.
    """

    postgresql: Row | None
    shown: Row | None
    restated: Sequence[Row]
    delta: Row | None
    delta_version: int | None
    differences: Sequence[str]
    raw: RawLine | None
    answered: Answered | None
    missing: Sequence[str]

    @property
    def line(self) -> Row:
        """The row as BI sees it, or else as it is in Delta or quarantine."""
        return self.postgresql or self.delta or {}


@dataclass(frozen=True)
class Found:
    """The first lines found, the number of further ones, and the lines in quarantine."""

    lines: Sequence[Explained]
    more: int
    refused: Sequence[Refused]


def explain(workspace: Workspace, name: str) -> Found:
    """Every line of the sales_key or transaction `name`, and its lines in quarantine.

    Raises RetailError if it is found nowhere.
    """
    storage, key = workspace.storage, _sales_key(name)
    with (
        workspace.warehouse.connect("explain a line") as connection,
        connection.cursor(cursor_factory=RealDictCursor) as cursor,
    ):
        search = _Search(storage, cursor, delta.version(storage, fact_sales.TABLE.path))
        in_postgresql = search.query("lines", {"sales_key": key, "transaction_id": name})
        in_delta = _in_delta(search, name, key, in_postgresql)
        found: list[tuple[Row | None, Row | None]] = [
            (row, in_delta.pop(row["sales_key"], None)) for row in in_postgresql
        ]
        found += [(None, row) for row in sorted(in_delta.values(), key=_place)]
        quarantined = table.each_line(storage, transaction_id=name)
        refused = sorted(quarantined, key=lambda each: (each.retailer_id, each.logical_date, each.row))
        if not found and not refused:
            raise RetailError(
                f"no line with sales_key or transaction_id {name} is in PostgreSQL, in Delta or in quarantine",
                hint="check with `retail status --gaps` whether its day was loaded; give ids exactly as the "
                "retailer writes them",
            )
        lines = [_explained(search, *pair) for pair in found[:SHOWN_LINES]]
    return Found(lines, len(found) - len(lines), refused)


@dataclass(frozen=True)
class _Search:
    """The resources of one search: one connection, one version of Delta, each raw file read once."""

    storage: Storage
    cursor: RealDictCursor
    delta_version: int | None
    raw_files: dict[str, list[str]] = field(default_factory=dict)

    def query(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        """The rows of `sql/explain/<name>.sql`; none if PostgreSQL does not have our tables yet."""
        self.cursor.execute("SELECT to_regclass('marts.restated_transaction') IS NOT NULL AS is_there")
        if not (self.cursor.fetchone() or {"is_there": False})["is_there"]:
            return []
        statement = sql_text("explain", name)
        self.cursor.execute(statement, values)
        return [dict(row) for row in self.cursor]

    def raw_lines(self, key: str) -> list[str]:
        """Raises ObjectNotFoundError. Only a line feed ends a line: other separators may be part of a text."""
        if key not in self.raw_files:
            self.raw_files[key] = self.storage.read(key).decode(errors="replace").split("\n")
        return self.raw_files[key]


def _sales_key(name: str) -> int | None:
    """The name as a sales_key if it can be one: a number of 64 bits."""
    if not re.fullmatch(r"-?[0-9]{1,19}", name, re.ASCII):
        return None
    return int(name) if -(2**63) <= int(name) < 2**63 else None


def _in_delta(search: _Search, name: str, key: int | None, in_postgresql: Sequence[Row]) -> dict[int, Row]:
    """Rows by sales_key, including those not published yet.

    PostgreSQL gives a row's month, but a row that a run has moved since is in another month, and so may be a new line
    of a transaction: all months are searched, unless the name is the key of a single row that is still where it was.
    """
    if search.delta_version is None:
        return {}
    keys = {row["sales_key"] for row in in_postgresql}
    if keys == {key}:
        months = sorted({f"{row['business_date']:%Y-%m}" for row in in_postgresql})
        found = _by_key(search, "sales_key IN :keys AND business_month IN :months", keys=keys, months=months)
        if found:
            return found
    if key is not None:
        keys.add(key)
    return _by_key(search, "transaction_id = :name OR sales_key IN :keys", name=name, keys=keys)


def _by_key(search: _Search, where: str, **values: str | Iterable[str] | Iterable[int]) -> dict[int, Row]:
    path, at = fact_sales.TABLE.path, search.delta_version
    return {
        row["sales_key"]: row for row in delta.rows(search.storage, path, where=where, values=values, at=at)
    }


def _place(row: Row) -> tuple[object, ...]:
    """The same order as PostgreSQL's lines."""
    return row["retailer_id"], row["transaction_id"], row["business_date"], row["line_id"]


def _explained(search: _Search, in_postgresql: Row | None, in_delta: Row | None) -> Explained:
    line = in_postgresql or in_delta or {}
    missing: list[str] = []
    raw, answered = None, None
    source = _SOURCE.fullmatch(line["source_ref"] or "")
    day = _day(source["day"]) if source else None
    if source is None or day is None:
        missing.append(f"source_ref {line['source_ref']} does not name a payload page")
    else:
        raw = _raw_line(search, line, raw_file(source["retailer"], day), missing)
        answered = _answered(search.storage, source, missing)
    return Explained(
        postgresql=in_postgresql,
        shown=next(iter(search.query("shown", in_postgresql)), None) if in_postgresql else None,
        restated=search.query("restated", line),
        delta=in_delta,
        delta_version=search.delta_version,
        differences=_differences(in_postgresql, in_delta),
        raw=raw,
        answered=answered,
        missing=missing,
    )


def _differences(in_postgresql: Row | None, in_delta: Row | None) -> list[str]:
    if in_postgresql is None or in_delta is None:
        return []
    columns = [name for name in fact_sales.TABLE.columns if name in in_postgresql]
    return [
        f"{name}: {in_postgresql[name]} in PostgreSQL, {in_delta[name]} in Delta"
        for name in columns
        if in_postgresql[name] != in_delta[name]
    ]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _raw_line(search: _Search, line: Row, key: str, missing: list[str]) -> RawLine | None:
    try:
        lines = search.raw_lines(key)
    except ObjectNotFoundError:
        missing.append(f"{key} does not exist")
        return None
    for number, text in enumerate(lines, start=1):
        if line["transaction_id"] not in text and "\\" not in text:
            continue
        record = _object(text)
        if all(record.get(name) == line[name] for name in _NATURAL_KEY):
            return RawLine(key, number, record)
    missing.append(f"{key} does not contain the line: its day was landed again since")
    return None


def _object(text: str) -> Row:
    """The JSON object; an empty one if the text is not JSON: another program may have written it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _answered(storage: Storage, source: re.Match[str], missing: list[str]) -> Answered | None:
    try:
        page = payloads.read(storage, source["key"])
    except ObjectNotFoundError:
        missing.append(f"{source['key']} does not exist")
        return None
    steps = [step.replace("~1", "/").replace("~0", "~") for step in source["pointer"].split("/")[1:]]
    path = (int(step) if step.isascii() and step.isdigit() and len(step) < 10 else step for step in steps)
    part = at({"answer": page.answer}, *path)
    if part is None:
        missing.append(f"{source['key']} has no value at {source['pointer']}")
        return None
    return Answered(source["key"], source["pointer"], page.fetched_at, part)
