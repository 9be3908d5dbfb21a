"""Servers, pools and databases that others have set up: what works unchanged, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from retail.warehouse.totals import star_totals
from retail.warehouse.views import refresh
from tests.warehouse import pools
from tests.warehouse.conftest import Query, temporary_folder
from tests.warehouse.literals import Lake, line
from tests.warehouse.test_publish import Publisher

pytestmark = pytest.mark.postgres
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session")

_OF_OTHERS = """
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE TABLE star.a_note (text text);
CREATE TABLE star.fact_sales_adjusted (LIKE star.fact_sales);
CREATE VIEW star.dim_mine AS SELECT 1 AS one;
CREATE TABLE marts.my_targets (month text, target numeric);
CREATE VIEW marts.mv_mine AS SELECT * FROM marts.my_targets
"""
# Each would end or change a publish, if it counted.
_TIMEOUTS = (
    "statement_timeout = 5",
    "idle_in_transaction_session_timeout = 1",
    "datestyle = 'SQL, DMY'",
    "default_transaction_isolation = 'serializable'",
    "search_path = 'public'",
)


@ON_SAIL
def test_tables_of_others_a_publication_of_all_and_settings_of_the_login_disturb_nothing(
    session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    publish = Publisher(session, lake, warehouse)
    lake.write("fact_sales", line(1, "2017-01-05", "9.99"), line(2, "2017-02-01", "5"))
    publish("run_1")
    refresh(warehouse, ledger=lambda shown: ("run_1", shown))
    query(_OF_OTHERS)
    for setting in _TIMEOUTS:
        query(f"ALTER DATABASE {warehouse.database} SET {setting}")

    lake.write("fact_sales", line(1, "2017-01-05", "7.77", changed_run_id="run_2"))
    published = publish("run_2")
    refresh(warehouse, ledger=lambda shown: ("run_1", shown))

    changed = {count.table: (count.sent, count.updated) for count in published.tables}
    assert changed["fact_sales"] == (1, 1)
    shown = query("SELECT sum(net_amount) FROM marts.mv_daily_sales")
    assert [(sum(count.money for count in star_totals(warehouse)),)] == shown == [(Decimal("12.77"),)]
    assert query("SELECT text FROM star.a_note") == []


@ON_SAIL
def test_a_detached_month_is_named_before_anything_is_published(
    session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "9.99"))
    query("CREATE TABLE star.fact_sales_2017_01 (LIKE star.fact_sales)")
    with pytest.raises(WarehouseError, match=r"star\.fact_sales_2017_01"):
        Publisher(session, lake, warehouse)("run_1", months=("2017-01",))
    assert query("SELECT count(*) FROM ops.publish") == [(0,)]


@pytest.mark.parametrize(
    ("pool_mode", "refused"), [("session", None), ("transaction", "pool_mode = transaction")]
)
def test_a_pool_of_sessions_works_and_a_pool_of_transactions_is_refused(
    warehouse: Warehouse, pool_mode: str, refused: str | None
) -> None:
    with temporary_folder() as folder, pools.running(warehouse, folder, pool_mode=pool_mode) as pool:
        if refused is not None:
            with pytest.raises(WarehouseError, match=refused):
                pool.require_usable()
            return
        pool.require_usable()
        ddl.prepare(pool)
        with pool.connect("read what is set") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('timezone'), current_setting('search_path')")
            assert cursor.fetchone() == ("UTC", "pg_catalog")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_name_is_refused(warehouse: Warehouse, encoding: str) -> None:
    name = f"in_{encoding}".lower()
    with replace(warehouse, database="postgres").connect("make a database") as connection:
        connection.cursor().execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        )
    with pytest.raises(WarehouseError, match=encoding):
        replace(warehouse, database=name).require_usable()


def test_a_database_that_takes_no_change_is_named_as_that(warehouse: Warehouse, query: Query) -> None:
    query(f"ALTER DATABASE {warehouse.database} SET default_transaction_read_only = on")
    with pytest.raises(WarehouseError, match="read-only"):
        ddl.prepare(warehouse)
