"""One server for all tests of this folder; each test gets a database of its own."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from psycopg2.extras import execute_values

from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from tests.warehouse import servers
from tests.warehouse.literals import DIMENSIONS, Lake, Row, make_partitions

_numbers = itertools.count()

# What starts and stops the embedded server is tried with that one only.
collect_ignore = [] if servers.major() == servers.EMBEDDED else ["test_embedded.py"]

Query = Callable[..., list[tuple[Any, ...]]]
Sold = Callable[..., None]
Edit = Callable[[str, str, str], None]
Write = Callable[[str, str], None]

VIEW = "mv_daily_sales"
MORE = "round(day.sales_amount / nullif(day.transactions, 0), 4) AS average_basket"


def refused_as(sqlstate: str) -> pytest.RaisesExc[WarehouseError]:
    """Expects a WarehouseError with PostgreSQL's own code."""
    return pytest.raises(WarehouseError, check=lambda error: error.sqlstate == sqlstate)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Not pytest's own, which is closed to the user `nobody`, who runs the server for root; with a space in it."""
    with tempfile.TemporaryDirectory(prefix="retail postgres ") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def server() -> Iterator[Warehouse]:
    """The prepared database `template` of the chosen server, to which nobody stays connected."""
    with temporary_folder() as folder, servers.running(folder) as warehouse:
        ddl.prepare(warehouse)
        yield warehouse


@pytest.fixture
def warehouse(server: Warehouse) -> Warehouse:
    """An empty, prepared database. It goes with the server's folder: dropping it would wait for the disk."""
    return database(server, template="template")


def database(server: Warehouse, *, template: str) -> Warehouse:
    """A new database like `template`."""
    fresh = replace(server, database=f"test_{next(_numbers)}")
    with replace(server, database="postgres").connect("make a database") as connection:
        connection.cursor().execute(f"CREATE DATABASE {fresh.database} TEMPLATE {template}")
    return fresh


@pytest.fixture
def empty(server: Warehouse) -> Warehouse:
    """A database without anything."""
    return database(server, template="template1")


@pytest.fixture
def query(warehouse: Warehouse) -> Query:
    """Run a statement in the test's database, and commit it; its rows."""

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with warehouse.connect("test") as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def sold(warehouse: Warehouse) -> Sold:
    """Put lines and all dimensions into PostgreSQL by plain INSERTs."""

    def put(*lines: Row) -> None:
        make_partitions(warehouse, {str(row["business_date"])[:7] for row in lines})
        with warehouse.connect("test") as connection, connection.cursor() as cursor:
            for table, rows in {**DIMENSIONS, "fact_sales": list(lines)}.items():
                names = sorted({name for row in rows for name in row} | {"changed_run_id"})
                values = [
                    [row.get(name, "run_1" if name == "changed_run_id" else None) for name in names]
                    for row in rows
                ]
                execute_values(
                    cursor,
                    f"INSERT INTO star.{table} ({', '.join(names)}) VALUES %s ON CONFLICT DO NOTHING",
                    values,
                )

    return put


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A star of dimensions without a sale."""
    lake = Lake(tmp_path)
    for table, rows in DIMENSIONS.items():
        lake.write(table, *rows)
    return lake


@pytest.fixture
def sql_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `sql/`, which is the one that is applied."""
    copytree(home() / "sql", tmp_path / "sql")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    return tmp_path / "sql"


@pytest.fixture
def write(sql_folder: Path) -> Write:
    """Writes a file of the copy of `sql/`."""

    def change(path: str, text: str) -> None:
        (sql_folder / path).write_text(text, encoding="utf-8")

    return change


@pytest.fixture
def edit(sql_folder: Path) -> Edit:
    """Replaces a piece of a file of the copy of `sql/`."""

    def change(path: str, old: str, new: str) -> None:
        text = (sql_folder / path).read_text(encoding="utf-8")
        assert old in text
        (sql_folder / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


@pytest.fixture
def more(edit: Edit) -> None:
    """The view of days gets a column in its middle, with a comment."""
    edit(f"views/{VIEW}.sql", MORE, f"42 AS answer,\n    {MORE}")
    edit(
        f"views/{VIEW}.sql",
        "COMMENT ON COLUMN",
        f"COMMENT ON COLUMN marts.{VIEW}.answer IS 'To all';\nCOMMENT ON COLUMN",
    )
