"""`retail explain`: from a row in PostgreSQL back through Delta and the raw file to what the retailer answered.

No engine is started: Delta is read by the deltalake package, another implementation, which so is a second witness.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow.dataset as ds
from psycopg2.extras import RealDictCursor
from rich.console import Console

from retail import delta
from retail.errors import ObjectNotFoundError, RetailError
from retail.extract import payloads
from retail.extract.answers import JSON, at
from retail.records import raw_key
from retail.resources import Resources
from retail.settings import home
from retail.star import fact_sales, staging

Row = dict[str, Any]

SHOWN_LINES: Final = 20
SHOWN_JSON_LINES: Final = 60

_SOURCE: Final = re.compile(
    r"(?P<key>payloads/(?P<retailer>[^/]+)/date=(?P<day>[0-9-]{10})/[^#]+)#(?P<pointer>.*)", re.DOTALL
)
_NATURAL_KEY: Final = fact_sales.TABLE.natural_key


@dataclass(frozen=True)
class Answered:
    """What the retailer answered: the page, when it was fetched, and the part of it that the line is made of."""

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

    `missing` says what could not be followed, and why.
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
        """The row as it stands where BI looks, or else in Delta or quarantine."""
        return self.postgresql or self.delta or {}


def explain(resources: Resources, name: str) -> tuple[list[Explained], list[Row]]:
    """Every line of the sales_key or transaction `name`, and what of it is in quarantine.

    Raises RetailError where it is nowhere.
    """
    in_postgresql = _in_postgresql(resources, name)
    keys = {row["sales_key"] for row in in_postgresql}
    months = {f"{row['business_date']:%Y-%m}" for row in in_postgresql}
    version = delta.version(resources.storage, fact_sales.TABLE.path)
    in_delta = _in_delta(resources, name, keys, months) if version is not None else {}
    explained = [
        _explained(resources, row, in_delta.pop(row["sales_key"], None), version) for row in in_postgresql
    ]
    explained += [_explained(resources, None, row, version) for row in in_delta.values()]
    refused = _in_quarantine(resources, name)
    if not explained and not refused:
        raise RetailError(
            f"no line with sales_key or transaction_id {name} is in PostgreSQL, in Delta or in quarantine",
            hint="see with `retail status --gaps` whether its day came in; ids are written as the retailer writes them",
        )
    return explained, refused


def show(out: Console, explained: Sequence[Explained], refused: Sequence[Row]) -> None:
    """Print each line's way back, from the view to the retailer's answer."""
    for each in explained[:SHOWN_LINES]:
        for place, text in _places(each):
            out.print(f"  {place:<11} {text}" if place else text, markup=False, soft_wrap=True)
        if each.answered is not None:
            text = json.dumps(each.answered.part, indent=2, ensure_ascii=False, default=str)
            lines = text.splitlines()
            shown = lines if len(lines) <= SHOWN_JSON_LINES else [*lines[:SHOWN_JSON_LINES], "…"]
            out.print("\n".join(f"      {line}" for line in shown), markup=False, soft_wrap=True)
        out.print()
    if explained[SHOWN_LINES:]:
        out.print(f"… and {len(explained) - SHOWN_LINES} more lines of it; name one by its sales_key\n")
    for row in refused:
        out.print(
            f"in quarantine, {row['from_retailer']} {row['logical_date']}: {row['reasons']}; {row['source_ref']}",
            markup=False,
            soft_wrap=True,
        )


def _places(each: Explained) -> Iterator[tuple[str, str]]:
    line = each.line
    yield "", f"sales_key {line['sales_key']}  {' / '.join(str(line[name]) for name in _NATURAL_KEY)}"
    if each.shown is not None:
        of_day = f"{line['retailer_id']}, {line['business_date']}, {line['currency']}"
        yield (
            "views",
            f"marts.mv_daily_sales ({of_day}): one of {each.shown['fact_rows']:,} rows, "
            f"net {each.shown['net_amount']:,f}, as of {_instant(each.shown['refreshed_at'])}",
        )
    for row in each.restated:
        yield (
            "restated",
            f"run {row['run_id']} changed {row['business_date']} by {row['rows']:+d} rows, {row['net_amount']:+f} "
            f"{row['currency']} by this transaction",
        )
    if each.postgresql is None:
        yield "PostgreSQL", "not there: not published yet; `retail run` for its date publishes it"
    else:
        yield from _in_words(each.postgresql)
    if each.delta is None:
        yield "Delta", "not there; PostgreSQL holds what the lake does not: see docs/DATA_QUALITY.md"
    else:
        same = "the same" if each.postgresql is not None else _money(each.delta)
        yield (
            "Delta",
            f"star/fact_sales version {each.delta_version}, {each.delta['business_month']}: "
            + ("; ".join(each.differences) or same),
        )
    if each.raw is not None:
        amount = each.raw.record.get("total_amount")
        yield "raw", f"{each.raw.key} line {each.raw.number}: total_amount {amount}"
    for text in each.missing:
        yield "missing", text
    if each.answered is not None:
        yield "payload", f"{each.answered.key}#{each.answered.pointer}, answered {each.answered.fetched_at}"


def _in_words(row: Row) -> Iterator[tuple[str, str]]:
    yield "PostgreSQL", f"{row['record_type']}, {row['status']}: {_money(row)}"
    yield (
        " ",
        f"of {row['product_id']} ({row['product_name']}), store {row['store_id']} ({row['store_name']})",
    )
    yield " ", f"sold {_instant(row['sold_at'])}, changed there {_instant(row['updated_at'])}"
    published = f", published by {row['published_by']} at {_instant(row['published_at'])}"
    yield " ", f"changed by run {row['changed_run_id']}{published if row['published_by'] else ''}"


def _money(row: Row) -> str:
    return (
        f"quantity {row['quantity']:f}, total {row['total_amount']:f} {row['currency']} "
        f"(discount {_or_none(row['discount_amount'])}, tax {_or_none(row['tax_amount'])})"
    )


def _or_none(value: Decimal | None) -> str:
    return "none" if value is None else f"{value:f}"


def _instant(value: datetime | None) -> str:
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _in_postgresql(resources: Resources, name: str) -> list[Row]:
    key = int(name) if re.fullmatch(r"-?[0-9]{1,19}", name, re.ASCII) else None
    values = {"sales_key": key if key is not None and abs(key) < 2**63 else None, "transaction_id": name}
    return _query(resources, "lines", values)


def _in_delta(resources: Resources, name: str, keys: set[int], months: set[str]) -> dict[int, Row]:
    """Rows by sales_key; without a row in PostgreSQL to tell the months, all of them are searched."""
    if keys:
        chosen = ds.field("sales_key").isin(sorted(keys)) & ds.field("business_month").isin(sorted(months))
    else:
        chosen = ds.field("transaction_id") == name
        if re.fullmatch(r"-?[0-9]{1,18}", name, re.ASCII):
            chosen = chosen | (ds.field("sales_key") == int(name))
    found = delta.rows(resources.storage, fact_sales.TABLE.path, where=chosen)
    return {row["sales_key"]: row for row in found}


def _in_quarantine(resources: Resources, name: str) -> list[Row]:
    if delta.version(resources.storage, staging.QUARANTINE) is None:
        return []
    return [*delta.rows(resources.storage, staging.QUARANTINE, where=ds.field("transaction_id") == name)]


def _explained(
    resources: Resources, in_postgresql: Row | None, in_delta: Row | None, version: int | None
) -> Explained:
    line = in_postgresql or in_delta or {}
    missing: list[str] = []
    raw, answered = None, None
    source = _SOURCE.fullmatch(line["source_ref"])
    if source is None:
        missing.append(f"source_ref {line['source_ref']} names no payload page")
    else:
        raw = _raw_line(resources, line, source, missing)
        answered = _answered(resources, source, missing)
    return Explained(
        postgresql=in_postgresql,
        shown=next(iter(_query(resources, "shown", line)), None),
        restated=_query(resources, "restated", line),
        delta=in_delta,
        delta_version=version,
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


def _raw_line(resources: Resources, line: Row, source: re.Match[str], missing: list[str]) -> RawLine | None:
    key = raw_key(source["retailer"], date.fromisoformat(source["day"]))
    try:
        lines = resources.storage.read(key).decode().splitlines()
    except ObjectNotFoundError:
        missing.append(f"{key} is not there")
        return None
    for number, text in enumerate(lines, start=1):
        if line["transaction_id"] not in text:
            continue
        record = json.loads(text)
        if all(record.get(name) == line[name] for name in _NATURAL_KEY):
            return RawLine(key, number, record)
    missing.append(f"{key} does not hold the line: it was landed anew since")
    return None


def _answered(resources: Resources, source: re.Match[str], missing: list[str]) -> Answered | None:
    try:
        page = payloads.read(resources.storage, source["key"])
    except ObjectNotFoundError:
        missing.append(f"{source['key']} is not there")
        return None
    steps = [step.replace("~1", "/").replace("~0", "~") for step in source["pointer"].split("/")[1:]]
    part = at({"answer": page.answer}, *(int(step) if step.isdigit() else step for step in steps))
    if part is None:
        missing.append(f"{source['key']} has nothing at {source['pointer']}")
        return None
    return Answered(source["key"], source["pointer"], page.fetched_at, part)


def _query(resources: Resources, name: str, values: Mapping[str, Any]) -> list[Row]:
    statement = (home() / "sql" / "explain" / f"{name}.sql").read_text(encoding="utf-8")
    with (
        resources.warehouse.connect("explain a line") as connection,
        connection.cursor(cursor_factory=RealDictCursor) as cursor,
    ):
        cursor.execute("SELECT to_regclass('marts.restated_transaction') IS NOT NULL AS is_there")
        if not (cursor.fetchone() or {"is_there": False})["is_there"]:
            return []
        cursor.execute(statement, values)
        return [dict(row) for row in cursor]
