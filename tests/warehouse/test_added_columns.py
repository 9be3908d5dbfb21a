"""A column that `sql/star` gains comes into the tables that an older file made, their rows and views kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from retail.errors import WarehouseError
from retail.settings import home
from retail.warehouse import schema
from retail.warehouse.connection import Warehouse
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

# file, the column's line, and before which line it is put
Gain = Callable[[str, str, str], None]


@pytest.fixture
def gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gain:
    """Adds a line to a copy of our DDL, and lets the copy be applied."""
    copytree(home() / "sql", tmp_path / "sql")
    monkeypatch.setattr(schema, "_folder", lambda: tmp_path / "sql")

    def add(file: str, line: str, before: str) -> None:
        path = tmp_path / "sql" / "star" / file
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, f"{line}\n{before}", 1), encoding="utf-8")

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

    schema.prepare(warehouse)
    schema.prepare(warehouse)

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
        schema.prepare(warehouse)
    columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'star.dim_store'::regclass"
    assert ("area",) not in query(columns)


def test_every_table_of_our_ddl_is_read_column_by_column(warehouse: Warehouse, query: Query) -> None:
    declared = {
        f"{schema_name}.{table}": [name for _, name in schema._COLUMN.findall(body)]
        for file in schema.star_files()
        for schema_name, table, body in schema._TABLE.findall(file.read_text(encoding="utf-8"))
    }
    there = dict(
        query(
            "SELECT a.attrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum)"
            " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
            " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace::regnamespace::text IN ('star', 'ops', 'marts') GROUP BY a.attrelid"
        )
    )
    assert declared == there
