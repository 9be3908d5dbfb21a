"""A database as an earlier version of the schema left it."""

from __future__ import annotations

from pathlib import Path

from retail.config.settings import home
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import migrations

MIGRATIONS = sorted((home() / "sql" / "migrations").glob("*.sql"))
RECORD = "SELECT number, name, applied_by FROM ops.migration ORDER BY number"
_RECORDED_SINCE = 5


def apply(warehouse: Warehouse, *files: Path) -> None:
    with warehouse.connect("test") as connection, connection, connection.cursor() as cursor:
        for file in files:
            cursor.execute(file.read_text(encoding="utf-8"))


def rows(warehouse: Warehouse, statement: str) -> list[tuple[object, ...]]:
    with warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def bring_to(warehouse: Warehouse, version: int) -> None:
    """Make of an empty database what an earlier version of the schema was."""
    apply(warehouse, *MIGRATIONS[:version])
    if version >= _RECORDED_SINCE:
        with warehouse.connect("test") as connection:
            known = migrations.known(home() / "sql" / "migrations")[:version]
            migrations.record(connection, known)
