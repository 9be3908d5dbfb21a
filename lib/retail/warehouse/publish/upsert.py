"""Staged rows into the star: inserted, updated if they differ, and counted. All within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from retail.config.settings import sql_text
from retail.warehouse.schema import partitions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from retail.warehouse.publish.staging_table import Staged


@dataclass(frozen=True)
class Written:
    """Numbers of new rows, and of existing rows whose content changed."""

    inserted: int
    updated: int


def upsert(connection: Connection, staged: Staged) -> Written:
    """Write the staged rows; existing equal rows are left alone."""
    there = staged.number(connection, "SELECT count(*) FROM {staged} JOIN {star} USING ({key})")
    return _bring_in(connection, staged, there=there)


def find_replaced(connection: Connection, staged: Staged, *, months: Sequence[str]) -> None:
    """Find, once, the facts in `months` (`YYYY-MM`) that the staged ones replace: `pg_temp.replaced`."""
    there = set(months) - {month.month for month in partitions.missing(connection, months)}
    statement = sql_text("publish", "replaced")
    staged.run(connection, statement, within_months=partitions.within(there))


def upsert_fact(connection: Connection, staged: Staged, *, months: Sequence[str]) -> Written:
    """Like `upsert` for the fact, after `find_replaced`.

    A row whose business date has moved leaves its old day and counts as updated; missing months become partitions.
    """
    moved = staged.number(connection, "SELECT count(*) FROM pg_temp.replaced WHERE moved")
    there = staged.number(connection, "SELECT count(*) FROM pg_temp.replaced WHERE NOT moved")
    if moved:
        staged.run(
            connection,
            "DELETE FROM {star} AS t USING pg_temp.replaced AS r"
            " WHERE r.moved AND t.sales_key = r.sales_key AND t.business_date = r.business_date",
        )
    filled = sum(_fill(connection, staged, month) for month in partitions.missing(connection, months))
    written = _bring_in(connection, staged, there=there)
    staged.run(connection, "DROP TABLE pg_temp.replaced")
    return Written(filled + written.inserted - moved, written.updated + moved)


def _bring_in(connection: Connection, staged: Staged, *, there: int) -> Written:
    rows = staged.number(connection, "SELECT count(*) FROM {staged}")
    written = staged.run(
        connection,
        """
        INSERT INTO {star} AS t ({columns}) SELECT {columns} FROM {staged}
        ON CONFLICT ({key}) DO UPDATE SET ({rest}) = ROW({new})
        WHERE ROW({old}) IS DISTINCT FROM ROW({new})
        """,
    )
    inserted = rows - there
    return Written(inserted, written - inserted)


def _fill(connection: Connection, staged: Staged, month: partitions.Partition) -> int:
    """Create a new partition from the staged rows of its month, and remove them from staging; returns their number.

    Rows that are queried together are stored together: a day of a retailer, and in it the lines of a transaction.
    """
    partitions.create(connection, month)
    rows = staged.run(
        connection,
        "WITH new AS (DELETE FROM {staged} WHERE business_date >= {first} AND business_date < {end} RETURNING *)"
        " INSERT INTO {partition} ({columns}) SELECT {columns} FROM new"
        " ORDER BY business_date, retailer_id, transaction_id",
        partition=sql.Identifier("star", month.name),
        first=sql.Literal(month.first),
        end=sql.Literal(month.end),
    )
    partitions.attach(connection, month)
    return rows
