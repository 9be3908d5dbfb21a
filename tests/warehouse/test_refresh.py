from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from retail.errors import TieOutError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema.ddl import view_files
from retail.warehouse.totals import star_totals
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import DIMENSIONS, line

pytestmark = pytest.mark.postgres

VIEWS = tuple(sorted(file.stem for file in view_files()))
EVERY_NET = " UNION ALL ".join(
    f"SELECT sum({'monetary' if view == 'mv_customer_value' else 'net_amount'}) FROM marts.{view}"
    for view in VIEWS
)


def test_a_refresh_tells_rows_time_and_the_run_it_shows(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1), line(2, "2017-01-06", "1"))
    for run_id in ("run_1", "run_2"):
        query("INSERT INTO ops.publish VALUES (DEFAULT, %s, 'run_2', now(), '{}', '{}')", run_id)
    refreshed = refresh(warehouse)
    assert refreshed.run_id == "run_2"
    rows = {view.view: view.rows for view in refreshed.views}
    assert tuple(rows) == VIEWS
    assert rows == dict.fromkeys(VIEWS, 1) | {"mv_daily_sales": 2}
    assert all(view.seconds for view in refreshed.views)
    assert query("SELECT view, refreshed_at, run_id, rows FROM marts.freshness ORDER BY view") == [
        (view.view, refreshed.refreshed_at, "run_2", view.rows) for view in refreshed.views
    ]


def test_star_and_daily_view_show_the_same_figures(warehouse: Warehouse, query: Query, sold: Sold) -> None:
    sold(
        line(1, "2017-01-05", "1.0001"),
        line(2, "2017-01-05", "2.0002"),
        line(3, "2017-01-05", "0", status="cancelled"),
        line(4, "2017-01-05", "-5", currency="EUR", record_type="refund"),
    )
    refreshed = refresh(warehouse, ledger=lambda shown: ("run_1", shown))
    expected = [("EUR", 1, Decimal(-5)), ("USD", 3, Decimal("3.0003"))]
    for counts in (star_totals(warehouse), refreshed.totals):
        assert {count.group[:2] for count in counts} == {("retailer_1", "2017-01-05")}
        assert [(count.currency, count.rows, count.money) for count in counts] == expected
    kept = query("SELECT currency, rows, money FROM marts.tie_out WHERE run_id = 'run_1' AND hop = 'views'")
    assert sorted(kept) == expected


def test_the_tie_out_of_a_run_that_refreshes_twice_stands_once_and_flips_with_the_views(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1"))
    refresh(warehouse, ledger=lambda shown: ("run_1", shown))
    refresh(warehouse, ledger=lambda shown: ("run_1", shown))
    assert query("SELECT hop, rows, money FROM marts.tie_out") == [("views", 1, 1)]


def test_readers_never_wait_and_see_all_six_views_change_at_once(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1))
    refresh(warehouse)
    query("UPDATE star.fact_sales SET total_amount = 2")
    seen: list[set[Decimal]] = []
    with warehouse.connect("hold up") as holder, warehouse.connect("read") as reader:
        reader.cursor().execute("SET statement_timeout = '2s'")

        def look() -> None:
            cursor = reader.cursor()
            cursor.execute(EVERY_NET)
            seen.append({net for (net,) in cursor})

        with holder:  # the refresh has done four views and waits for the fifth
            holder.cursor().execute("LOCK TABLE star.dim_store IN ACCESS EXCLUSIVE MODE")
            refreshing = in_background(lambda: refresh(warehouse))
            wait_until(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)])
            look()
        refreshing.join()
        look()
    assert seen == [{Decimal(1)}, {Decimal(2)}]


def test_a_reader_in_the_middle_of_a_report_does_not_hold_up_the_refresh(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1))
    with warehouse.connect("read") as reader, reader:
        reader.cursor().execute(EVERY_NET)
        refresh(warehouse)
    assert {net for (net,) in query(EVERY_NET)} == {Decimal(1)}


def test_what_is_published_during_a_refresh_is_in_none_of_the_views(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1))
    with warehouse.connect("hold up") as holder:
        with holder:
            holder.cursor().execute("LOCK TABLE star.dim_store IN ACCESS EXCLUSIVE MODE")
            refreshing = in_background(lambda: refresh(warehouse))
            wait_until(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)])
            query("UPDATE star.fact_sales SET total_amount = 2")
        refreshing.join()
    assert {net for (net,) in query(EVERY_NET)} == {Decimal(1)}


def test_only_views_whose_tables_a_publish_changed_are_refreshed(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1))
    note_publish(query, "run_1", fact_sales=1)
    assert renewed(warehouse) == set(VIEWS), "views that were never refreshed show nothing yet"
    assert renewed(warehouse) == set(), "nothing was published since"

    note_publish(query, "run_2")
    assert renewed(warehouse) == set(), "that publish changed nothing"
    assert query("SELECT DISTINCT run_id FROM marts.freshness") == [("run_2",)]

    query("UPDATE star.dim_store SET store_name = 'Renamed'")
    note_publish(query, "run_3", dim_store=1)
    note_publish(query, "run_4")
    assert renewed(warehouse) == {"mv_store_performance"}
    assert query("SELECT DISTINCT store_name FROM marts.mv_store_performance") == [("Renamed",)]

    query("INSERT INTO ops.publish VALUES (DEFAULT, 'run_5', 'run_5', now(), '{}', '{}')")
    assert renewed(warehouse) == set(VIEWS), "what is not counted may have changed"
    refreshed = refresh(warehouse, every_view=True)
    assert all(view.seconds is not None for view in refreshed.views)


def test_a_star_that_was_changed_beside_the_ledger_comes_into_the_views_all_the_same(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "1", customer_key=1))
    note_publish(query, "run_1", fact_sales=1)
    refresh(warehouse)
    query("UPDATE star.fact_sales SET total_amount = 2")
    kept = "SELECT net_amount FROM ops.published_day ORDER BY 1"
    day = "('retailer_1', '2017-01-05', 'USD', 1, 1, 0"
    query(f"INSERT INTO ops.published_day VALUES {day}, 1, 0)")
    assert renewed(warehouse) == set(VIEWS)
    assert query(kept) == [], "that sum is of before"
    query(f"INSERT INTO ops.published_day VALUES {day}, 2, 0)")
    refresh(warehouse)
    assert query(kept) == [(2,)]
    assert {net for (net,) in query(EVERY_NET)} == {Decimal(2)}


def renewed(warehouse: Warehouse) -> set[str]:
    """The views that a refresh refreshes now."""
    return {view.view for view in refresh(warehouse).views if view.seconds is not None}


def note_publish(query: Query, run_id: str, **updated: int) -> None:
    """The ledger's word that a publish changed so many rows of each table."""
    counts = {name: {"inserted": 0, "updated": updated.get(name, 0)} for name in (*DIMENSIONS, "fact_sales")}
    query(
        "INSERT INTO ops.publish VALUES (DEFAULT, %s, %s, now(), %s, '{}')",
        run_id,
        run_id,
        json.dumps(counts),
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_whose_money_is_not_the_stars_keeps_all_views_as_they_were(
    warehouse: Warehouse, query: Query, sold: Sold, view: str
) -> None:
    sold(line(1, "2017-01-05", "3", customer_key=1), line(2, "2017-01-05", "4", customer_key=1))
    refresh(warehouse)
    redefine(query, view, "sum(total_amount) AS", "sum(total_amount) + 1 AS")
    query("UPDATE star.fact_sales SET total_amount = 10")
    before = query("SELECT * FROM marts.freshness ORDER BY 1")
    with pytest.raises(TieOutError, match=rf"{view}, .*USD: .*money 21\.0000, star 20\.0000"):
        refresh(warehouse)
    assert {net for (net,) in query(EVERY_NET)} == {
        Decimal(7),
        Decimal(8),
    }  # 8 is the wrong view's own, from before
    assert query("SELECT * FROM marts.freshness ORDER BY 1") == before


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "count(*) AS fact_rows",
            "count(*) - 1 AS fact_rows",
            r"0 rows, star 1; money 0\.0000, star 0\.0000",
        ),
        (
            "USING (retailer_id);",
            "USING (retailer_id) WHERE lines > 0;",
            r"0 rows, star 1; money None, star 0\.0000",
        ),
    ],
    ids=["miscounted", "missing"],
)
def test_a_row_that_a_view_loses_is_noticed_even_if_it_is_worth_nothing(  # noqa: PLR0917
    warehouse: Warehouse, query: Query, sold: Sold, right: str, wrong: str, said: str
) -> None:
    sold(line(1, "2017-01-05", "0", status="cancelled"))
    redefine(query, "mv_daily_sales", right, wrong)
    with pytest.raises(TieOutError, match=said):
        refresh(warehouse)


def redefine(query: Query, view: str, right: str, wrong: str) -> None:
    """Make the view anew with a mistake in it."""
    (file,) = (file for file in view_files() if file.stem == view)
    definition = file.read_text()
    assert right in definition
    query(f"DROP MATERIALIZED VIEW marts.{view}")
    query(definition.replace(right, wrong))


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.01)
