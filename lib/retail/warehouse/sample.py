"""A sample of the views for a person: the queries in `sql/demo/`, one per view."""

from __future__ import annotations

from collections.abc import Iterator

from retail.config.settings import sql_text
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema.ddl import view_files

Rows = tuple[str, list[str], list[tuple[object, ...]]]


def first_rows(warehouse: Warehouse, number: int) -> Iterator[Rows]:
    """Name, columns and the first rows of each view. Raises WarehouseError."""
    with warehouse.connect("read the views") as connection, connection.cursor() as cursor:
        for file in view_files():
            query = sql_text("demo", file.stem)
            cursor.execute(query.replace(":rows", "%(rows)s"), {"rows": number})
            yield file.stem, [column.name for column in cursor.description or ()], cursor.fetchall()
