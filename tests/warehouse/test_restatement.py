"""What a publish changes on days that were published before is told, from what to what and by whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extras import execute_values
from pyspark.sql import SparkSession

from retail.config.secrets import Secret
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish import upsert
from retail.warehouse.publish.restatement import Restatement, note, restatements
from retail.warehouse.publish.staging_table import temporary
from retail.warehouse.schema.ddl import star_tables
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import Lake, line
from tests.warehouse.test_publish import Publisher

pytestmark = pytest.mark.postgres
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session")

DAY, NEXT_MONTH = "2017-01-05", "2017-02-01"


@pytest.fixture
def publishing(session: SparkSession, lake: Lake, warehouse: Warehouse) -> Publisher:
    return Publisher(session, lake, warehouse)


def told(warehouse: Warehouse, run_id: str) -> dict[tuple[str, str], tuple[Decimal, Decimal, int]]:
    """(business date, figure) → before, after, transactions."""
    return {
        (str(each.business_date), each.figure): (each.before, each.after, each.transactions)
        for each in restatements(warehouse, run_id)
    }


@ON_SAIL
def test_the_first_publish_of_a_day_restates_nothing(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"))
    assert publishing("run_1").restated_days == 0
    lake.write("fact_sales", line(1, DAY, "10"), line(2, "2017-01-06", "5", changed_run_id="run_2"))
    assert publishing("run_2").restated_days == 0
    assert restatements(warehouse) == []


@ON_SAIL
def test_a_late_sale_and_a_correction_restate_their_day_and_are_named(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"), line(2, DAY, "20"), line(3, "2017-01-06", "7"))
    publishing("run_1")
    lake.write(
        "fact_sales",
        line(1, DAY, "4", changed_run_id="run_2"),
        line(4, DAY, "100", changed_run_id="run_2"),
    )
    assert publishing("run_2").restated_days == 1
    assert told(warehouse, "run_2") == {
        (DAY, "rows"): (2, 3, 1),
        (DAY, "units"): (2, 3, 1),
        (DAY, "net_amount"): (Decimal(30), Decimal(124), 2),
    }
    (net,) = (each for each in restatements(warehouse, "run_2") if each.figure == "net_amount")
    assert net == Restatement(
        "run_2",
        "retailer_1",
        date(2017, 1, 5),
        "USD",
        "net_amount",
        Decimal(30),
        Decimal(124),
        2,
        ["t4", "t1"],
    )
    assert query(
        "SELECT transaction_id, rows, units, net_amount FROM marts.restated_transaction ORDER BY 1"
    ) == [("t1", 0, 0, -6), ("t4", 1, 1, 100)]


@ON_SAIL
def test_a_row_that_moves_to_another_month_restates_the_day_it_leaves_and_not_the_new_one(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"), line(2, DAY, "20"))
    publishing("run_1")
    lake.write(
        "fact_sales",
        line(1, NEXT_MONTH, "10", changed_run_id="run_2"),
    )
    publishing("run_2")
    assert told(warehouse, "run_2") == {
        (DAY, "rows"): (2, 1, 1),
        (DAY, "units"): (2, 1, 1),
        (DAY, "net_amount"): (30, 20, 1),
    }


@ON_SAIL
def test_the_last_row_of_a_day_leaves_it_at_nothing(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"))
    publishing("run_1")
    lake.write("fact_sales", line(1, "2017-01-06", "10", changed_run_id="run_2"))
    publishing("run_2")
    assert told(warehouse, "run_2")[(DAY, "net_amount")] == (10, 0, 1)


@ON_SAIL
def test_changes_that_leave_a_figure_as_it_was_are_no_restatement_of_it(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"), line(2, DAY, "20"))
    publishing("run_1")
    lake.write(
        "fact_sales",
        line(1, DAY, "12", changed_run_id="run_2"),
        line(2, DAY, "18", changed_run_id="run_2", tax_amount=Decimal(1)),
    )
    publishing("run_2")
    assert told(warehouse, "run_2") == {(DAY, "tax_amount"): (0, 1, 1)}


@ON_SAIL
def test_publishing_the_same_run_again_tells_nothing_twice(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"))
    publishing("run_1")
    lake.write("fact_sales", line(1, DAY, "11", changed_run_id="run_2"))
    publishing("run_2")
    before = restatements(warehouse)
    assert publishing("run_2").restated_days == 0
    assert restatements(warehouse) == before


def test_a_run_that_puts_back_what_it_published_first_has_restated_nothing(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold()
    for run_id, amount in (("run_1", 1), ("run_2", 2), ("run_2", 1)):
        _publish(warehouse, run_id, {1: (DAY, amount, "USD", "ta")})
    assert restatements(warehouse, "run_2") == []
    assert query("SELECT * FROM marts.restated_transaction") == []


def test_the_newest_run_that_restated_anything_is_told_whole(warehouse: Warehouse, query: Query) -> None:
    query(
        "INSERT INTO marts.restatement SELECT run, 'retailer_1', date '2017-01-01' + day, 'USD', 'rows', 1, 2, 1, at"
        " FROM (VALUES ('run_1', now() - interval '1 day'), ('run_2', now())) AS of_run (run, at),"
        " generate_series(1, 150) AS day"
    )
    assert [each.run_id for each in restatements(warehouse)] == ["run_2"] * 150
    assert [each.run_id for each in restatements(warehouse, "run_1")] == ["run_1"] * 150


def test_a_transaction_s_restatements_are_found_by_an_index(query: Query) -> None:
    assert query(
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'restated_transaction'"
        " AND indexdef LIKE '%(transaction_id, retailer_id)'"
    ) == [(1,)]


@ON_SAIL
def test_two_currencies_of_a_day_are_told_apart(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales", line(1, DAY, "10"), line(2, DAY, "20", currency="CAD"))
    publishing("run_1")
    lake.write("fact_sales", line(1, DAY, "10"), line(2, DAY, "25", currency="CAD", changed_run_id="run_2"))
    publishing("run_2")
    assert [(each.currency, each.before, each.after) for each in restatements(warehouse, "run_2")] == [
        ("CAD", 20, 25)
    ]


Lines = dict[int, tuple[str, int, str, str]]

_lines = st.dictionaries(
    st.integers(1, 8),
    st.tuples(
        st.sampled_from([DAY, "2017-01-06", NEXT_MONTH]),
        st.integers(-3, 3),
        st.sampled_from(["USD", "CAD"]),
        st.sampled_from(["ta", "tb", "tc"]),
    ),
    min_size=1,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_lines, _lines)
def test_before_and_after_are_the_star_s_own_sums_whatever_changes(
    warehouse: Warehouse, query: Query, sold: Sold, first: Lines, second: Lines
) -> None:
    query("TRUNCATE star.fact_sales, ops.published_day, marts.restatement, marts.restated_transaction")
    sold()
    _publish(warehouse, "run_1", first)
    before = _sums(query)
    if 1 in second:  # as in a database of before the sums were kept
        day, _, currency, _ = second[1]
        query("DELETE FROM ops.published_day WHERE business_date = %s AND currency = %s", day, currency)
    _publish(warehouse, "run_2", second)
    after = _sums(query)
    nothing = dict.fromkeys(("rows", "units", "net_amount"), Decimal(0))
    expected = {
        (*day, figure): (was, after.get(day, nothing)[figure])
        for day, figures in before.items()
        for figure, was in figures.items()
        if was != after.get(day, nothing)[figure]
    }
    told = restatements(warehouse, "run_2")
    assert {(r.business_date, r.currency, r.figure): (r.before, r.after) for r in told} == expected
    assert restatements(warehouse, "run_1") == []
    kept = "SELECT business_date, currency, rows, units, net_amount FROM ops.published_day"
    assert {
        (day, currency): {"rows": rows, "units": units, "net_amount": money}
        for day, currency, rows, units, money in query(kept)
    } == dict.fromkeys(before, nothing) | after
    changes = query(
        "SELECT business_date, currency, sum(rows), sum(units), sum(net_amount)"
        " FROM marts.restated_transaction GROUP BY 1, 2"
    )
    for day, currency, *change in changes:
        was, now = before[day, currency], after.get((day, currency), nothing)
        assert change == [now[figure] - was[figure] for figure in nothing]


def _publish(warehouse: Warehouse, run_id: str, lines: Lines) -> None:
    """Note and write the lines as `publish` does, without the way there."""
    rows = [
        line(
            key, day, str(amount), currency=currency, transaction_id=transaction, line_id=str(key),
            changed_run_id=run_id,
        )
        for key, (day, amount, currency, transaction) in lines.items()
    ]  # fmt: skip
    months = ["2017-01", "2017-02"]
    with warehouse.connect("test") as connection, connection, connection.cursor() as cursor:
        (fact,) = (table for table in star_tables(connection) if table.name == "fact_sales")
        staged = temporary(connection, fact)
        execute_values(
            cursor,
            f"INSERT INTO pg_temp.staged_fact_sales ({', '.join(fact.columns)}) VALUES %s",
            [tuple(row[column] for column in fact.columns) for row in rows],
        )
        upsert.find_replaced(connection, staged, months=months)
        note(connection, run_id, staged)
        upsert.upsert_fact(connection, staged, months=months)


def _sums(query: Query) -> dict[tuple[date, str], dict[str, Decimal]]:
    rows = query(
        "SELECT business_date, currency, count(*), sum(quantity), sum(total_amount) FROM star.fact_sales GROUP BY 1, 2"
    )
    return {
        (day, currency): {"rows": Decimal(number), "units": units, "net_amount": money}
        for day, currency, number, units, money in rows
    }


def test_a_login_that_only_loads_may_note_what_it_restates(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    query("CREATE ROLE margaret LOGIN PASSWORD 'x' IN ROLE retail_loader")
    loader = replace(warehouse, user="margaret", password=Secret("x"))
    sold(line(1, DAY, "10"), line(2, NEXT_MONTH, "1"))
    try:
        _publish(loader, "run_2", {1: (DAY, 12, "USD", "t1")})
    finally:
        query("DROP OWNED BY margaret; DROP ROLE margaret")
    assert [(each.figure, each.before, each.after) for each in restatements(warehouse, "run_2")] == [
        ("net_amount", 10, 12)
    ]
