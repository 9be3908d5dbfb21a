"""Our tables, views and roles in PostgreSQL, from `sql/`. Made where they are missing, never dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from psycopg2 import sql

from retail.errors import WarehouseError
from retail.settings import home
from retail.warehouse.connection import Warehouse, taking_turns

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

FACT: Final = "fact_sales"

# Our own DDL: a table's columns stand one a line, names in small letters, constraints in capitals.
_TABLE: Final = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)\.(\w+) \(\n(.*?)^\)", re.DOTALL | re.MULTILINE)
_COLUMN: Final = re.compile(r"^    (([a-z_][a-z0-9_]*) [^\n]*?),?[ ]*(?:--[^\n]*)?$", re.MULTILINE)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StarTable:
    """One table of schema `star` as PostgreSQL has it; `key` is its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


def prepare(warehouse: Warehouse) -> None:
    """Apply `sql/star`, `sql/views` and `sql/roles.sql`; a table that is there gets the columns that it lacks.

    A column that is added must allow null or have a default: there are rows. One transaction; doing it again changes
    nothing. Raises WarehouseError.
    """
    files = [*star_files(), *view_files(), _folder() / "roles.sql"]
    with warehouse.connect("prepare the schema") as connection, taking_turns(connection):
        with connection:
            for file in files:
                _add_columns(connection, file)
                _apply(connection, file)
        for notice in connection.notices:
            _log.warning("PostgreSQL warns", notice=notice.strip(), warehouse=warehouse.dsn())


def star_files() -> list[Path]:
    """The DDL of schemas, star and ledger, in the order in which it is applied. Raises WarehouseError."""
    return _files("star", "*.sql")


def view_files() -> list[Path]:
    """One file a materialized view, named as the view. Raises WarehouseError."""
    return _files("views", "mv_*.sql")


def star_tables(connection: Connection) -> list[StarTable]:
    """The tables of the star: dimensions by name, then the fact that refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum),
                (SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey::int2[], k.attnum))
                 FROM pg_index AS i JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary)
            FROM pg_class AS c
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = to_regnamespace('star') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            GROUP BY c.oid, c.relname
            ORDER BY c.relname = %s, c.relname
            """,
            (FACT,),
        )
        tables = [StarTable(name, tuple(columns), tuple(key)) for name, columns, key in cursor]
    if not tables:
        raise WarehouseError("the star's tables are not in PostgreSQL yet", hint="prepare the schema first")
    return tables


def _add_columns(connection: Connection, file: Path) -> None:
    """Add what the file declares and a table that an older file made lacks, before the file comments on it."""
    for schema, table, body in _TABLE.findall(file.read_text(encoding="utf-8")):
        there = _columns(connection, schema, table)
        lacking = {name: declared for declared, name in _COLUMN.findall(body) if name not in there}
        for name, declared in lacking.items() if there else ():
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(
                        sql.Identifier(schema, table), sql.SQL(declared)
                    )
                )
            _log.info("column added", table=f"{schema}.{table}", column=name)


def _columns(connection: Connection, schema: str, table: str) -> set[str]:
    """The columns of a table; none where it is not there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname::text FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (f"{schema}.{table}",),
        )
        return {name for (name,) in cursor}


def _apply(connection: Connection, file: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(file.read_text(encoding="utf-8"))


def _files(folder: str, pattern: str) -> list[Path]:
    files = sorted((_folder() / folder).glob(pattern))
    if not files:
        raise WarehouseError(
            f"{_folder() / folder} holds no {pattern}",
            hint="set RETAIL_HOME to the folder that holds conf/ and sql/",
        )
    return files


def _folder() -> Path:
    return home() / "sql"
