"""Staging tables: rows for a table of the star wait in them for the publishing transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from retail.errors import WarehouseError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from retail.warehouse.schema.ddl import StarTable


@dataclass(frozen=True)
class Staged:
    """A staging table with the columns of a table of the star."""

    table: StarTable
    place: sql.Identifier

    def run(self, connection: Connection, statement: str, **names: sql.Composable) -> int:
        """Run `statement`, in which `{staged}`, `{star}`, `{columns}` … stand for names; returns the rows affected."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(statement, **names))
            return cursor.rowcount

    def number(self, connection: Connection, statement: str) -> int:
        """The single number that `statement` returns."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(statement))
            (number,) = cursor.fetchone() or (0,)
            return int(number)

    def refuse_duplicates(self, connection: Connection) -> None:
        """Raise WarehouseError if rows share a surrogate key: they would be counted twice, or lost."""
        statement = "SELECT {first_key} FROM {staged} GROUP BY {first_key} HAVING count(*) > 1 LIMIT 3"
        with connection.cursor() as cursor:
            cursor.execute(self._sql(statement))
            doubled = [str(key) for (key,) in cursor]
        if doubled:
            raise WarehouseError(
                f"the Delta table star/{self.table.name} holds {self.table.key[0]} {', '.join(doubled)} more than once",
                hint=f"nothing was published; `retail rebuild --table {self.table.name}` makes the table again",
            )

    def _sql(self, statement: str, **names: sql.Composable) -> sql.Composed:
        rest = [column for column in self.table.columns if column not in self.table.key]
        return sql.SQL(statement).format(
            star=sql.Identifier("star", self.table.name),
            staged=self.place,
            key=_list(self.table.key),
            first_key=sql.Identifier(self.table.key[0]),
            columns=_list(self.table.columns),
            rest=_list(rest),
            old=_list(rest, of="t"),
            new=_list(rest, of="excluded"),
            **names,
        )


def temporary(connection: Connection, table: StarTable) -> Staged:
    """An empty table with the same columns, visible to this connection only and dropped with it."""
    staged = Staged(table, sql.Identifier("pg_temp", f"staged_{table.name}"))
    staged.run(connection, "CREATE TEMP TABLE {staged} AS TABLE {star} WITH NO DATA")
    return staged


def prepare(connection: Connection, staged: Staged) -> None:
    """Collect statistics for the planner; for the fact, which arrives month by month, index the months too."""
    if "business_date" in staged.table.columns:
        staged.run(connection, "CREATE INDEX ON {staged} USING brin (business_date)")
    staged.run(connection, "ANALYZE {staged}")


def _list(columns: Sequence[str], *, of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in columns)
