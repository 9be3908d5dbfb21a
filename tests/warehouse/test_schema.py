from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from retail.config.secrets import Secret
from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from retail.warehouse.views import refresh
from tests.warehouse import servers
from tests.warehouse.conftest import Query, Sold, refused_as
from tests.warehouse.literals import line, make_partitions

pytestmark = pytest.mark.postgres


@pytest.fixture
def reader(warehouse: Warehouse, query: Query) -> Iterator[Warehouse]:
    """A person with the role retail_reader."""
    query("CREATE ROLE ada LOGIN PASSWORD 'x' IN ROLE retail_reader")
    yield replace(warehouse, user="ada", password=Secret("x"))
    query("DROP ROLE ada")


def may(warehouse: Warehouse, statement: str) -> bool:
    try:
        with warehouse.connect("try") as connection:
            connection.cursor().execute(statement)
    except WarehouseError as error:
        assert "permission denied" in error.message or "must be owner" in error.message, error
        return False
    return True


def test_preparing_again_changes_nothing(warehouse: Warehouse, query: Query) -> None:
    everything = (
        "SELECT oid, relname, relowner, relacl FROM pg_class WHERE relnamespace >= 16384 ORDER BY oid"
    )
    make_partitions(warehouse, ["2017-01"])
    ddl.prepare(warehouse)
    before = query(everything)
    assert len(before) > 30
    ddl.prepare(warehouse)
    assert query(everything) == before


def test_each_month_gets_a_partition_of_its_own_when_it_is_needed(warehouse: Warehouse, query: Query) -> None:
    assert make_partitions(warehouse, ["2017-12", "2017-01"]) == ["fact_sales_2017_01", "fact_sales_2017_12"]
    assert make_partitions(warehouse, ["2017-12", "2018-01"]) == ["fact_sales_2018_01"]
    bounds = query(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    )
    assert bounds == [
        ("FOR VALUES FROM ('2017-01-01') TO ('2017-02-01')",),
        ("FOR VALUES FROM ('2017-12-01') TO ('2018-01-01')",),
        ("FOR VALUES FROM ('2018-01-01') TO ('2018-02-01')",),
    ]


@pytest.mark.parametrize(
    "month", ["2017-13", "2017-1", "2017-01-01", "'; DROP TABLE star.fact_sales; --", ""]
)
def test_what_is_not_a_month_is_refused(warehouse: Warehouse, month: str) -> None:
    with pytest.raises(WarehouseError, match="is not a month"):
        make_partitions(warehouse, [month])


def test_a_statement_that_fails_leaves_the_schema_as_it_was(
    warehouse: Warehouse, query: Query, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(home() / "sql", tmp_path / "sql")
    (tmp_path / "sql" / "star" / "99_more.sql").write_text("CREATE TABLE star.dim_more (more_key bigint);")
    (tmp_path / "sql" / "views" / "mv_wrong.sql").write_text("SELECT nonsense;")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match='cannot prepare the schema: column "nonsense"'):
        ddl.prepare(warehouse)
    assert query("SELECT to_regclass('star.dim_more')") == [(None,)]


def test_a_home_without_sql_is_named(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match="has no migrations") as refused:
        ddl.prepare(warehouse)
    assert "RETAIL_HOME" in refused.value.hint


def test_every_table_view_and_figure_of_bi_says_what_it_is(query: Query) -> None:
    assert (
        query(
            "SELECT relname FROM pg_class WHERE relnamespace IN ('star'::regnamespace, 'marts'::regnamespace)"
            " AND relkind IN ('r', 'p', 'm') AND obj_description(oid) IS NULL"
        )
        == []
    )


def test_a_sale_of_a_product_that_is_not_there_is_refused(sold: Sold) -> None:
    with refused_as("23503"):
        sold(line(1, "2017-01-05", "9.99", product_key=404))


def test_bi_reads_marts_and_star_and_writes_nothing(reader: Warehouse, sold: Sold) -> None:
    sold(line(1, "2017-01-05", "9.99"))
    assert may(reader, "SELECT * FROM marts.mv_daily_sales")
    assert may(reader, "SELECT * FROM marts.freshness")
    assert may(reader, "SELECT * FROM star.fact_sales JOIN star.dim_product USING (product_key)")
    assert not may(reader, "SELECT * FROM ops.publish")
    assert not may(reader, "DELETE FROM star.fact_sales")
    assert not may(reader, "UPDATE marts.freshness SET rows = 0")
    assert not may(reader, "REFRESH MATERIALIZED VIEW marts.mv_daily_sales")
    assert not may(reader, "CREATE TABLE star.mine (n integer)")
    assert not may(reader, "CREATE TABLE marts.mine (n integer)")


def test_bi_reads_months_that_arrive_later(reader: Warehouse, warehouse: Warehouse) -> None:
    make_partitions(warehouse, ["2018-01"])
    assert may(reader, "SELECT * FROM star.fact_sales WHERE business_date = '2018-01-05'")


def test_the_loader_writes_rows_and_refreshes_but_makes_no_tables(warehouse: Warehouse, query: Query) -> None:
    query("CREATE ROLE grace LOGIN PASSWORD 'x' IN ROLE retail_loader")
    loader = replace(warehouse, user="grace", password=Secret("x"))
    assert may(loader, "INSERT INTO star.dim_customer VALUES (1, 'retailer_1', 'c', 'run_1')")
    assert may(loader, "INSERT INTO ops.publish VALUES (DEFAULT, 'run_1', 'run_1', now(), '{}', '{}')")
    if int(servers.major()) >= 17:
        assert refresh(loader).run_id == "run_1"
    else:
        with refused_as("42501") as refused:
            refresh(loader)
        assert "retail_owner" in refused.value.hint
    assert not may(loader, "CREATE TABLE star.mine (n integer)")
    assert not may(loader, "DROP TABLE star.dim_customer")
    query("DROP ROLE grace")


def test_a_member_of_the_owners_who_is_no_superuser_prepares_and_refreshes(server: Warehouse) -> None:
    alan = owner_of_a_database(server, "alan", "IN ROLE retail_owner")
    ddl.prepare(alan)
    assert make_partitions(alan, ["2017-01"]) == ["fact_sales_2017_01"]
    ddl.prepare(alan)
    assert make_partitions(alan, ["2017-02"]) == ["fact_sales_2017_02"]
    assert len(refresh(alan).views) == 6


def test_a_login_that_is_no_member_of_the_owners_owns_the_tables_itself(server: Warehouse) -> None:
    edsger = owner_of_a_database(server, "edsger", "")
    ddl.prepare(edsger)
    make_partitions(edsger, ["2017-01"])
    assert len(refresh(edsger).views) == 6
    with edsger.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('retail_reader', 'marts.mv_daily_sales', 'SELECT')")
        assert cursor.fetchone() == (True,)


def test_an_administrator_who_runs_the_roles_later_leaves_the_login_able_to_go_on(server: Warehouse) -> None:
    barbara = owner_of_a_database(server, "barbara", "")
    ddl.prepare(barbara)
    make_partitions(barbara, ["2017-01"])
    ddl.prepare(replace(server, database="barbara"))
    ddl.prepare(barbara)
    assert make_partitions(barbara, ["2017-02"]) == ["fact_sales_2017_02"]
    assert len(refresh(barbara).views) == 6
    with barbara.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'star'")
        assert cursor.fetchall() == [("retail_owner",)]


def owner_of_a_database(server: Warehouse, name: str, roles: str) -> Warehouse:
    with replace(server, database="postgres").connect("test") as connection:
        connection.cursor().execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' {roles}")
        connection.cursor().execute(f"CREATE DATABASE {name} OWNER {name}")
    return replace(server, user=name, password=Secret("x"), database=name)


def test_every_table_view_and_column_says_what_it_is(query: Query) -> None:
    uncommented = query("""
        SELECT n.nspname || '.' || c.relname || coalesce('.' || a.attname, '')
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname IN ('star', 'marts', 'ops') AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
            AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
    """)
    assert uncommented == []
