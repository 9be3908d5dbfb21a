"""Customers in PostgreSQL: where they are searched for, and earlier versions of their rows. `sql/customers`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from psycopg2 import sql

from retail.config.settings import sql_text
from retail.warehouse.connection import Warehouse

_BY_ID: Final = "customer_id"


def columns(warehouse: Warehouse) -> list[tuple[str, str, str]]:
    """Schema, table and name of each column that holds customers. Raises WarehouseError."""
    with warehouse.connect("look for columns of customers") as connection, connection.cursor() as cursor:
        cursor.execute(sql_text("customers", "columns"))
        return [(str(schema), str(table), str(column)) for schema, table, column in cursor]


def found(warehouse: Warehouse, names: Collection[str], keys: Collection[int]) -> Iterator[str]:
    """The columns, as schema.table.column, that hold one of these pseudonyms or keys. Raises WarehouseError."""
    there = columns(warehouse)
    with warehouse.connect("look for customers") as connection, connection.cursor() as cursor:
        for schema, table, column in there:
            values: list[str] | list[int] = list(names) if column == _BY_ID else list(keys)
            query = sql.SQL(sql_text("customers", "found")).format(
                table=sql.Identifier(schema, table), column=sql.Identifier(column), values=sql.Literal(values)
            )
            cursor.execute(query)
            if cursor.fetchone() == (True,):
                yield f"{schema}.{table}.{column}"
        cursor.execute(sql_text("customers", "in_statistics"), {"values": [*names, *map(str, keys)]})
        yield from (f"pg_stats of {schema}.{table}.{column}" for schema, table, column in cursor)


def vacuum(warehouse: Warehouse) -> None:
    """Remove what PostgreSQL keeps until then: earlier versions of rows, and values of them in its statistics.

    Raises WarehouseError.
    """
    tables = sorted({(schema, table) for schema, table, _ in columns(warehouse)})
    with warehouse.connect("remove earlier versions of rows") as connection, connection.cursor() as cursor:
        for each in tables:
            cursor.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(*each)))
