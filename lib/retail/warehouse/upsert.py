"""Staged rows into the star: inserted, updated where they differ, counted. All within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from retail.errors import WarehouseError
from retail.warehouse import partitions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from retail.warehouse.schema import StarTable


@dataclass(frozen=True)
class Written:
    """Rows that were new, and rows that were there with other content."""

    inserted: int
    updated: int


def create_staging(connection: Connection, table: StarTable) -> sql.Identifier:
    """An empty table of the same columns, seen by this connection only and gone with it."""
    _run(connection, "CREATE TEMP TABLE {staged} AS TABLE {star} WITH NO DATA", table)
    return _staged(table)


def index_staging(connection: Connection, table: StarTable) -> None:
    """Statistics for the planner; for the fact, which was staged month by month, where each month lies."""
    if "business_date" in table.columns:
        _run(connection, "CREATE INDEX ON {staged} USING brin (business_date)", table)
    _run(connection, "ANALYZE {staged}", table)


def refuse_duplicates(connection: Connection, table: StarTable) -> None:
    """Raise WarehouseError where staged rows share a surrogate key: they would be counted twice, or lost."""
    statement = "SELECT {first_key} FROM {staged} GROUP BY {first_key} HAVING count(*) > 1 LIMIT 3"
    with connection.cursor() as cursor:
        cursor.execute(_sql(statement, table))
        doubled = [str(key) for (key,) in cursor]
    if doubled:
        raise WarehouseError(
            f"the Delta table star/{table.name} holds {table.key[0]} {', '.join(doubled)} more than once",
            hint="nothing was published; build the star of those dates anew",
        )


def upsert(connection: Connection, table: StarTable) -> Written:
    """Bring the staged rows in; rows that are there and equal are left alone."""
    staged = _count(connection, "SELECT count(*) FROM {staged}", table)
    there = _count(connection, "SELECT count(*) FROM {staged} JOIN {star} USING ({key})", table)
    written = _run(
        connection,
        """
        INSERT INTO {star} AS t ({columns}) SELECT {columns} FROM {staged}
        ON CONFLICT ({key}) DO UPDATE SET ({rest}) = ROW({new})
        WHERE ROW({old}) IS DISTINCT FROM ROW({new})
        """,
        table,
    )
    inserted = staged - there
    return Written(inserted, written - inserted)


def upsert_fact(connection: Connection, table: StarTable, *, months: Sequence[str]) -> Written:
    """The same for the fact. A row whose business date has moved leaves its old day and counts as updated;
    months that are not there yet become partitions."""
    moved = _run(
        connection,
        "DELETE FROM {star} AS t USING {staged} AS s"
        " WHERE t.sales_key = s.sales_key AND t.business_date <> s.business_date",
        table,
    )
    filled = sum(_fill(connection, table, month) for month in partitions.missing(connection, months))
    written = upsert(connection, table)
    return Written(filled + written.inserted - moved, written.updated + moved)


def _fill(connection: Connection, table: StarTable, month: partitions.Partition) -> int:
    """Make a new partition of the staged rows of its month, and take them out of staging; their number."""
    partitions.create(connection, month)
    rows = _run(
        connection,
        "WITH new AS (DELETE FROM {staged} WHERE business_date >= {first} AND business_date < {end} RETURNING *)"
        " INSERT INTO {partition} ({columns}) SELECT {columns} FROM new",
        table,
        partition=sql.Identifier("star", month.name),
        first=sql.Literal(month.first),
        end=sql.Literal(month.end),
    )
    partitions.attach(connection, month)
    return rows


def _run(connection: Connection, statement: str, table: StarTable, **names: sql.Composable) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_sql(statement, table, **names))
        return cursor.rowcount


def _count(connection: Connection, statement: str, table: StarTable) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_sql(statement, table))
        (number,) = cursor.fetchone() or (0,)
        return int(number)


def _sql(statement: str, table: StarTable, **names: sql.Composable) -> sql.Composed:
    rest = [column for column in table.columns if column not in table.key]
    return sql.SQL(statement).format(
        star=sql.Identifier("star", table.name),
        staged=_staged(table),
        key=_list(table.key),
        first_key=sql.Identifier(table.key[0]),
        columns=_list(table.columns),
        rest=_list(rest),
        old=_list(rest, of="t"),
        new=_list(rest, of="excluded"),
        **names,
    )


def _staged(table: StarTable) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"staged_{table.name}")


def _list(columns: Sequence[str], *, of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in columns)
