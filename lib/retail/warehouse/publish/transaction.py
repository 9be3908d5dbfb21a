"""Step 6: the rows of the Delta star that runs have changed, into PostgreSQL, with the ledger in one transaction.

Rows are staged first, so that the transaction is short, and repeating it changes nothing. They are staged by COPY into
temporary tables, which disappear with a killed run, or by Spark's tasks (`jdbc`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from psycopg2.extras import execute_values

from retail.config.settings import sql_text
from retail.lake.engine import to_arrow
from retail.lake.storage import Storage
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.publish import jdbc, restatement, statistics, upsert
from retail.warehouse.publish.copy import copy
from retail.warehouse.publish.delta_changes import ROWS_AT_ONCE, Source, Whole, reading
from retail.warehouse.publish.staging_table import Staged, prepare, temporary
from retail.warehouse.schema import partitions
from retail.warehouse.schema.ddl import FACT, StarTable, star_tables

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from pyspark.sql import DataFrame, SparkSession

Method = Literal["copy", "jdbc"]


@dataclass(frozen=True)
class TableCounts:
    """Rows of one table: sent to PostgreSQL, new there, changed there; the rest was there already."""

    table: str
    sent: int
    inserted: int
    updated: int


@dataclass(frozen=True)
class Published:
    """The result of one publish. `restated_days`: retailer-days, published before, whose figures it changed."""

    run_id: str
    pending_run_ids: tuple[str, ...]
    tables: tuple[TableCounts, ...]
    restated_days: int
    seconds: float


def published_runs(warehouse: Warehouse) -> set[str]:
    """Ids of the runs whose changes PostgreSQL holds; none if it has no such table yet. Raises WarehouseError."""
    with warehouse.connect("read the publish ledger") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('ops.publish') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return set()
        cursor.execute("SELECT run_id FROM ops.publish")
        return {run_id for (run_id,) in cursor}


def publish(
    session: SparkSession,
    storage: Storage,
    warehouse: Warehouse,
    *,
    run_id: str,
    pending_run_ids: Sequence[str],
    months: Sequence[str],
    delta_versions: Mapping[str, int],
    method: Method = "copy",
    whole: bool = False,
) -> Published:
    """Publish every star row that one of `pending_run_ids` changed last, together with the ledger entry for it.

    The fact is read month by month, only in `months` (`YYYY-MM`); each table as of its `delta_versions`. With `whole`,
    the whole star is sent instead, `months` being all of it, and rows that Delta does not have are removed: whatever
    PostgreSQL held, it then holds what Delta has. Changes to days that were published before are recorded in
    `marts.restatement`. All or nothing. Raises WarehouseError; EngineError if a Delta table cannot be read.
    """
    started = time.monotonic()
    kind = Whole if whole else Source
    source = kind(session, storage, tuple(dict.fromkeys(pending_run_ids)), dict(delta_versions))
    with warehouse.connect(f"publish run {run_id}") as connection, taking_turns(connection):
        tables = star_tables(connection)
        source.check(tables)
        with _way(method, connection, warehouse, run_id) as way:
            sent = [_stage(connection, way, source, table, months=months) for table in tables]
            with connection:
                (facts,) = (staged for staged, _ in sent if staged.table.name == FACT)
                gone = _find_replaced(connection, facts, months=months, whole=whole)
                restated_days = restatement.note(connection, run_id, facts, whole=whole)
                counts = [
                    _write(connection, staged, sent=rows, months=months, gone=gone) for staged, rows in sent
                ]
                if whole:
                    _remove_others(connection, [staged for staged, _ in sent if staged is not facts])
                _note(connection, source, run_id=run_id, counts=counts)
                storage.require_writer()
        statistics.renew(connection, {each.table: each.inserted + each.updated for each in counts})
    seconds = round(time.monotonic() - started, 3)
    return Published(run_id, source.pending_run_ids, tuple(counts), restated_days, seconds)


class _Way(Protocol):
    """How rows get into a staging table; returns it, and their number. `rows_at_once`: approximate size of a part."""

    @property
    def rows_at_once(self) -> int | None: ...

    def stage(self, table: StarTable, parts: Sequence[DataFrame]) -> tuple[Staged, int]: ...


@contextmanager
def _way(method: Method, connection: Connection, warehouse: Warehouse, run_id: str) -> Iterator[_Way]:
    if method == "copy":
        yield _Copying(connection)
        return
    with jdbc.sending(connection, warehouse, run_id) as sending:
        yield sending


@dataclass(frozen=True)
class _Copying:
    connection: Connection
    rows_at_once: int | None = ROWS_AT_ONCE

    def stage(self, table: StarTable, parts: Sequence[DataFrame]) -> tuple[Staged, int]:
        staged = temporary(self.connection, table)
        return staged, sum(copy(self.connection, to_arrow(rows), staged.place) for rows in parts)


def _stage(
    connection: Connection, way: _Way, source: Source, table: StarTable, *, months: Sequence[str]
) -> tuple[Staged, int]:
    """The table's staging table with the rows to send, and their number."""
    with reading(source, table):
        parts = source.parts(table, months, rows=way.rows_at_once) if source.sends else []
        staged, rows = way.stage(table, parts)
    prepare(connection, staged)
    return staged, rows


def _find_replaced(connection: Connection, facts: Staged, *, months: Sequence[str], whole: bool) -> int:
    """Find the facts that the staged ones replace; returns how many leave for good, which is only so of the whole."""
    if not whole:
        upsert.find_replaced(connection, facts, months=months)
        return 0
    upsert.find_replaced(connection, facts, months=sorted({*months, *partitions.months_there(connection)}))
    return facts.run(connection, sql_text("publish", "withdrawn"))


def _remove_others(connection: Connection, dimensions: Sequence[Staged]) -> None:
    """Remove the dimensions' rows that Delta does not have; no fact refers to them any more."""
    for staged in dimensions:
        staged.run(
            connection,
            "DELETE FROM {star} AS there"
            " WHERE NOT EXISTS (SELECT FROM {staged} AS sent WHERE sent.{first_key} = there.{first_key})",
        )


def _write(
    connection: Connection, staged: Staged, *, sent: int, months: Sequence[str], gone: int = 0
) -> TableCounts:
    staged.refuse_duplicates(connection)
    if staged.table.name == FACT:
        written = upsert.upsert_fact(connection, staged, months=months)
        # Rows that leave for good were counted as moved.
        written = upsert.Written(written.inserted + gone, written.updated - gone)
    else:
        written = upsert.upsert(connection, staged)
    return TableCounts(staged.table.name, sent, written.inserted, written.updated)


def _note(connection: Connection, source: Source, *, run_id: str, counts: Sequence[TableCounts]) -> None:
    tables = {count.table: asdict(count) for count in counts}
    rows = [
        (pending, run_id, json.dumps(tables), json.dumps(source.versions, sort_keys=True))
        for pending in source.pending_run_ids
    ]
    if rows:
        with connection.cursor() as cursor:
            execute_values(
                cursor,
                "INSERT INTO ops.publish (run_id, published_by, tables, delta_versions) VALUES %s"
                " ON CONFLICT (run_id) DO NOTHING",
                rows,
            )
