"""A column that `sql/star` gains by a migration comes into the tables that are there, their rows and views kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from shutil import copytree

import pytest
from pyspark.sql import SparkSession

from retail import star
from retail.config.settings import home
from retail.errors import WarehouseError
from retail.pipeline.publish_step import publish_step
from retail.pipeline.step_context import StepContext
from retail.star.tables import fact_sales
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from tests.oracle.histories import Run
from tests.oracle.playing import Lake, settings_of
from tests.star.conftest import record
from tests.steps import step_context
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

# file, the column's line, and before which line it is put; a migration that adds it, where the line is a column
Gain = Callable[[str, str, str], None]


@pytest.fixture
def gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gain:
    """Adds a line to a copy of our DDL, with its migration, and lets the copy be applied."""
    copytree(home() / "sql", tmp_path / "sql")
    monkeypatch.setattr(ddl, "_folder", lambda: tmp_path / "sql")

    def add(file: str, line: str, before: str) -> None:
        path = tmp_path / "sql" / "star" / file
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, f"{line}\n{before}", 1), encoding="utf-8")
        if not line.startswith("COMMENT"):
            migrations = tmp_path / "sql" / "migrations"
            column = line.rsplit(",", 1)[0].strip()
            table = file[3:].removesuffix(".sql")
            new = migrations / f"{len(list(migrations.iterdir())) + 1:04}_column.sql"
            new.write_text(f"ALTER TABLE star.{table} ADD COLUMN {column};")

    return add


def test_it_is_added_with_its_comment_to_every_partition_and_old_rows_are_null_or_the_default(
    warehouse: Warehouse, query: Query, sold: Sold, gain: Gain
) -> None:
    sold(line(1, "2017-01-05", "9.99"), line(2, "2017-02-01", "5"))
    before = query("SELECT sales_key, total_amount FROM star.fact_sales ORDER BY sales_key")
    gain(
        "20_fact_sales.sql",
        "    sales_channel text, -- where it was sold",
        "    changed_run_id text NOT NULL,",
    )
    gain(
        "20_fact_sales.sql",
        "COMMENT ON COLUMN star.fact_sales.sales_channel IS 'web or store';",
        "COMMENT ON COLUMN star.fact_sales.changed_run_id",
    )
    gain(
        "13_dim_store.sql", "    area numeric(18, 3) NOT NULL DEFAULT 0,", "    changed_run_id text NOT NULL,"
    )

    ddl.prepare(warehouse)
    ddl.prepare(warehouse)

    assert query("SELECT sales_key, total_amount FROM star.fact_sales ORDER BY sales_key") == before
    assert query("SELECT DISTINCT sales_channel FROM star.fact_sales_2017_02") == [(None,)]
    assert query("SELECT DISTINCT area::text FROM star.dim_store") == [("0.000",)]
    ((comment,),) = query(
        "SELECT col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'star.fact_sales'::regclass AND attname = 'sales_channel'"
    )
    assert comment == "web or store"


def test_one_that_old_rows_could_not_have_is_refused_and_nothing_is_changed(
    warehouse: Warehouse, query: Query, sold: Sold, gain: Gain
) -> None:
    sold(line(1, "2017-01-05", "9.99"))
    gain("13_dim_store.sql", "    area integer,", "    changed_run_id text NOT NULL,")
    gain("20_fact_sales.sql", "    sales_channel text NOT NULL,", "    changed_run_id text NOT NULL,")
    with pytest.raises(WarehouseError, match="sales_channel"):
        ddl.prepare(warehouse)
    columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'star.dim_store'::regclass"
    assert ("area",) not in query(columns)


@pytest.fixture
def merged(session: SparkSession, engine: str, tmp_path: Path, warehouse: Warehouse) -> StepContext:
    """A run that has merged one sale, and has published nothing yet."""
    lake = Lake(session, settings_of(engine, tmp_path / "lake"))
    lake.workspace.__dict__["warehouse"] = warehouse
    unit = ("retailer_1", date(2017, 1, 5))
    lake.land(unit, [record().to_line()])
    lake.play(Run(landed=(), units=(unit,)), "run-1")
    return step_context(lake.workspace, lake.workspace.ledger.run("run-1"))


@pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session")
def test_a_star_that_was_merged_before_it_gained_a_column_is_published_after(
    merged: StepContext, query: Query, gain: Gain, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(fact_sales.TABLE, schema=fact_sales.TABLE.schema + ", sales_channel string")
    monkeypatch.setattr(fact_sales, "TABLE", newer)
    monkeypatch.setattr(star, "TABLES", (*star.DIMENSIONS, newer))
    gain("20_fact_sales.sql", "    sales_channel text,", "    changed_run_id text NOT NULL,")

    assert publish_step(merged).sent["fact_sales"] == 1
    assert query("SELECT transaction_id, sales_channel FROM star.fact_sales") == [("t1", None)]
