"""Step 6: the rows of the Delta star that runs have changed, into PostgreSQL, with the ledger in one transaction.

Rows are staged in temporary tables first, which a killed run takes with it; the transaction is short, and
doing it again changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from psycopg2.extras import execute_values

from retail import delta
from retail.errors import ConfigurationError, EngineError, WarehouseError
from retail.settings import SyncSettings
from retail.storage import Storage
from retail.warehouse import restatement, upsert
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.copy import copy
from retail.warehouse.schema import FACT, StarTable, star_tables

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class TableCounts:
    """Rows of one table: sent to PostgreSQL, new there, changed there; the rest was there already."""

    table: str
    sent: int
    inserted: int
    updated: int


@dataclass(frozen=True)
class Published:
    """What one publish did. `restated_days`: retailers' days, published before, whose figures it changed."""

    run_id: str
    pending_run_ids: tuple[str, ...]
    tables: tuple[TableCounts, ...]
    restated_days: int
    seconds: float


def require_copy(sync: SyncSettings) -> None:
    """Raise ConfigurationError where `sync.method` asks for a way that is not built."""
    if sync.method != "copy":
        raise ConfigurationError(
            [f'sync.method: "{sync.method}" is not built yet'],
            hint='set sync.method = "copy", the faster one',
        )


def published_runs(warehouse: Warehouse) -> set[str]:
    """Ids of the runs whose changes PostgreSQL holds. Raises WarehouseError."""
    with warehouse.connect("read the publish ledger") as connection, connection.cursor() as cursor:
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
) -> Published:
    """Bring every star row that one of `pending_run_ids` changed last, and the ledger's word that they are there.

    The fact is read month by month, in `months` (`YYYY-MM`) only; each table as of its `delta_versions`. What this
    changes on days that were published before is told in `marts.restatement`.
    All or nothing. Raises WarehouseError; EngineError where a Delta table cannot be read.
    """
    started = time.monotonic()
    source = _Source(session, storage, tuple(dict.fromkeys(pending_run_ids)), dict(delta_versions))
    with warehouse.connect(f"publish run {run_id}") as connection, taking_turns(connection):
        tables = star_tables(connection)
        source.check(tables)
        sent = _stage_all(connection, source, tables, months=months)
        with connection:
            restated_days = restatement.note(connection, run_id, months=months)
            counts = [_write(connection, table, sent=sent[table.name], months=months) for table in tables]
            _note(connection, source, run_id=run_id, counts=counts)
    seconds = round(time.monotonic() - started, 3)
    return Published(run_id, source.pending_run_ids, tuple(counts), restated_days, seconds)


@dataclass(frozen=True)
class _Source:
    """The Delta star, at fixed versions, reduced to what the pending runs changed."""

    session: SparkSession
    storage: Storage
    pending_run_ids: tuple[str, ...]
    versions: dict[str, int]

    def check(self, tables: Sequence[StarTable]) -> None:
        unknown = [table.name for table in tables if table.name not in self.versions]
        if unknown:
            raise WarehouseError(
                f"no Delta version is given for {', '.join(unknown)}",
                hint="every table of the star needs one",
            )

    def changed(self, table: StarTable) -> DataFrame:
        from pyspark.sql.functions import col

        version = self.versions[table.name]
        rows = delta.read(self.session, self.storage, f"star/{table.name}", at=version)
        lacking = [column for column in table.columns if column not in rows.columns]
        if lacking:
            raise WarehouseError(
                f"star.{table.name} has columns that its Delta table lacks: {', '.join(lacking)}",
                hint=f"make sql/star and lib/retail/star/{table.name}.py agree",
            )
        return rows.where(col("changed_run_id").isin(*self.pending_run_ids))

    def read(self, table: StarTable, *, month: str | None = None) -> pa.Table:
        from pyspark.errors import PySparkException
        from pyspark.sql.functions import col

        try:
            rows = self.changed(table)
            if month is not None:
                rows = rows.where(col("business_month") == month)
            return rows.select(*table.columns).toArrow()
        except PySparkException as error:
            raise EngineError(
                f"Delta table star/{table.name}, version {self.versions[table.name]}, cannot be read: {error}",
                hint="see that the lake is there; nothing was published, so run the same command again",
            ) from error


def _stage_all(
    connection: Connection, source: _Source, tables: Sequence[StarTable], *, months: Sequence[str]
) -> dict[str, int]:
    """Rows sent to the staging table of each table."""
    sent: dict[str, int] = {}
    for table in tables:
        staged = upsert.create_staging(connection, table)
        sent[table.name] = 0
        parts: Sequence[str | None] = sorted(set(months)) if table.name == FACT else [None]
        for month in parts if source.pending_run_ids else ():
            sent[table.name] += copy(connection, source.read(table, month=month), staged)
        upsert.index_staging(connection, table)
    return sent


def _write(connection: Connection, table: StarTable, *, sent: int, months: Sequence[str]) -> TableCounts:
    upsert.refuse_duplicates(connection, table)
    if table.name == FACT:
        written = upsert.upsert_fact(connection, table, months=months)
    else:
        written = upsert.upsert(connection, table)
    return TableCounts(table.name, sent, written.inserted, written.updated)


def _note(connection: Connection, source: _Source, *, run_id: str, counts: Sequence[TableCounts]) -> None:
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
