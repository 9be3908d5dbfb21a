from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from retail.warehouse.connection import Warehouse
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

D = Decimal
JANUARY, FEBRUARY, MARCH, APRIL = (date(2017, month, 1) for month in (1, 2, 3, 4))


@pytest.fixture
def shop(sold: Sold, warehouse: Warehouse) -> None:
    """A winter of two retailers in two currencies: each view's figures below can be added up by hand."""
    t1 = {"transaction_id": "t1", "customer_key": 1, "store_key": 1}
    t2 = {"transaction_id": "t2", "store_key": 2, "product_key": 1}
    cancelled = {"status": "cancelled", "quantity": 0, "customer_key": 2, "product_key": 2, "store_key": 3}
    sold(
        line(1, "2017-01-05", "19", **t1, product_key=1, quantity=2, discount_amount=1, tax_amount="0.5"),
        line(2, "2017-01-05", "5", **t1, product_key=2, line_id="2"),
        line(3, "2017-01-05", "7", **t2),
        line(4, "2017-01-05", "0", **cancelled),
        line(5, "2017-01-06", "-9.5", **t1, product_key=1, line_id="1r", record_type="return", quantity=-1),
        line(6, "2017-01-06", "-2", **t2, line_id="1r", record_type="refund", quantity=0, tax_amount="0.2"),
        line(7, "2017-01-05", "100", currency="EUR", product_key=1, customer_key=1, store_key=1),
        line(8, "2017-03-01", "50", customer_key=2, product_key=2),
        line(9, "2017-04-01", "75", customer_key=2),
        line(10, "2017-01-05", "39.5", transaction_id="t1", retailer_id="retailer_2", retailer_key=2),
    )
    refresh(warehouse)


@pytest.mark.usefixtures("shop")
def test_daily_sales_count_completed_sales_and_book_returns_on_their_own_day(query: Query) -> None:
    columns = (
        "fact_rows, transactions, lines, units, gross_amount, discount_amount, sales_amount,"
        " returned_units, returns_amount, net_amount, tax_amount, average_basket"
    )
    figures = {
        row[:3]: row[3:]
        for row in query(
            f"SELECT retailer_name, business_date::text, currency, {columns} FROM marts.mv_daily_sales"
            " WHERE business_date < '2017-02-01'"
        )
    }
    assert figures == {
        ("Retailer 1", "2017-01-05", "USD"): (4, 2, 3, 4, 32, 1, 31, 0, 0, 31, D("0.5"), D("15.5")),
        ("Retailer 1", "2017-01-06", "USD"): (2, 0, 0, 0, 0, 0, 0, -1, D("-11.5"), D("-11.5"), 0, None),
        ("Retailer 1", "2017-01-05", "EUR"): (1, 1, 1, 1, 100, 0, 100, 0, 0, 100, 0, 100),
        ("Retailer 2", "2017-01-05", "USD"): (
            1,
            1,
            1,
            1,
            D("39.5"),
            0,
            D("39.5"),
            0,
            0,
            D("39.5"),
            0,
            D("39.5"),
        ),
    }


@pytest.mark.usefixtures("shop")
def test_monthly_growth_is_over_the_calendar_month_before_and_unknown_where_that_is_missing(
    query: Query,
) -> None:
    assert query(
        "SELECT month_start, transactions, units, sales_amount, returns_amount, net_amount, previous_net_amount,"
        " growth_amount, growth_percent FROM marts.mv_monthly_sales"
        " WHERE retailer_id = 'retailer_1' AND currency = 'USD' ORDER BY 1"
    ) == [
        (JANUARY, 2, 4, 31, D("-11.5"), D("19.5"), None, None, None),
        (MARCH, 1, 1, 50, 0, 50, None, None, None),  # nothing is known of February
        (APRIL, 1, 1, 75, 0, 75, 50, 25, 50),
    ]


def test_growth_over_nothing_or_over_a_loss_has_no_percentage(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(
        line(1, "2017-01-05", "8"),
        line(2, "2017-01-06", "-8", record_type="return", quantity=-1),
        line(3, "2017-02-01", "-3", record_type="refund", quantity=0),
        line(4, "2017-03-01", "6"),
    )
    refresh(warehouse)
    expected = [(JANUARY, 0, None, None), (FEBRUARY, -3, -3, None), (MARCH, 6, 9, None)]
    for view in ("mv_monthly_sales", "mv_retailer_comparison"):
        figures = query(
            f"SELECT month_start, net_amount, growth_amount, growth_percent FROM marts.{view} ORDER BY 1"
        )
        assert figures == expected, view
    assert query("SELECT share_percent FROM marts.mv_retailer_comparison ORDER BY month_start") == [
        (None,), (None,), (100,)
    ]  # fmt: skip


@pytest.mark.usefixtures("shop")
def test_products_are_ranked_by_net_within_retailer_and_currency(query: Query) -> None:
    assert query(
        "SELECT currency, product_key, product_id, transactions, units, sales_amount, returns, returned_units,"
        " returns_amount, net_amount, net_rank, first_sold::text, last_sold::text"
        " FROM marts.mv_product_performance WHERE retailer_id = 'retailer_1' ORDER BY 1, net_rank"
    ) == [
        ("EUR", 1, "sku1", 1, 1, 100, 0, 0, 0, 100, 1, "2017-01-05", "2017-01-05"),
        ("USD", 2, "sku2", 2, 2, 55, 0, 0, 0, 55, 1, "2017-01-05", "2017-03-01"),
        ("USD", 1, "sku1", 2, 3, 26, 2, -1, D("-11.5"), D("14.5"), 2, "2017-01-05", "2017-01-05"),
        ("USD", -1, None, 1, 1, 75, 0, 0, 0, 75, None, "2017-04-01", "2017-04-01"),
    ]


@pytest.mark.usefixtures("shop")
def test_retailers_share_the_month_of_their_currency(query: Query) -> None:
    assert query(
        "SELECT month_start, currency, retailer_id, transactions, net_amount, share_percent, growth_percent,"
        " average_basket, active_customers, active_stores FROM marts.mv_retailer_comparison ORDER BY 1, 2, 3"
    ) == [
        (JANUARY, "EUR", "retailer_1", 1, 100, 100, None, 100, 1, 1),
        (JANUARY, "USD", "retailer_1", 2, D("19.5"), D("33.05"), None, D("15.5"), 1, 2),
        (JANUARY, "USD", "retailer_2", 1, D("39.5"), D("66.95"), None, D("39.5"), 0, 0),
        (MARCH, "USD", "retailer_1", 1, 50, 100, None, 50, 1, 0),
        (APRIL, "USD", "retailer_1", 1, 75, 100, 50, 75, 1, 0),
    ]


@pytest.mark.usefixtures("shop")
def test_stores_are_ranked_and_a_sale_without_a_store_has_no_rank(query: Query) -> None:
    assert query(
        "SELECT store_key, store_id, transactions, units, sales_amount, returns_amount, net_amount, average_basket,"
        " customers, net_rank, last_sale::text FROM marts.mv_store_performance"
        " WHERE retailer_id = 'retailer_1' AND currency = 'USD' ORDER BY net_rank, store_key"
    ) == [
        (1, "s1", 1, 3, 24, D("-9.5"), D("14.5"), 24, 1, 1, "2017-01-05"),
        (2, "s2", 1, 1, 7, -2, 5, 7, 0, 2, "2017-01-05"),
        (3, "s3", 0, 0, 0, 0, 0, None, 0, 3, None),  # a cancelled sale only
        (-1, None, 2, 2, 125, 0, 125, D("62.5"), 1, None, "2017-04-01"),
    ]


@pytest.mark.usefixtures("shop")
def test_a_customers_recency_is_counted_from_the_newest_business_day_of_the_star(query: Query) -> None:
    assert query(
        "SELECT currency, customer_id, as_of::text, recency_days, frequency, monetary, average_basket,"
        " first_purchase::text, last_purchase::text, rfm FROM marts.mv_customer_value ORDER BY 1, 2"
    ) == [
        ("EUR", "c1", "2017-04-01", 86, 1, 100, 100, "2017-01-05", "2017-01-05", "555"),
        ("USD", "c1", "2017-04-01", 86, 1, D("14.5"), 24, "2017-01-05", "2017-01-05", "333"),
        ("USD", "c2", "2017-04-01", 0, 2, 125, D("62.5"), "2017-03-01", "2017-04-01", "555"),
    ]


def test_scores_are_fifths_and_equal_customers_all_get_the_best_of_their_places(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(*(line(n, f"2017-01-{n:02}", "5" if n <= 4 else str(n), customer_key=n) for n in range(1, 11)))
    refresh(warehouse)
    scores = query(
        "SELECT recency_score, frequency_score, monetary_score FROM marts.mv_customer_value ORDER BY customer_key"
    )
    assert [recency for recency, _, _ in scores] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [frequency for _, frequency, _ in scores] == [5] * 10
    assert [monetary for _, _, monetary in scores] == [3, 3, 3, 3, 3, 3, 4, 4, 5, 5]


def test_a_cancelled_line_moves_no_customer_s_score_and_no_day(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(*(line(n, f"2017-01-{n:02}", str(n), customer_key=n) for n in range(1, 6)))
    refresh(warehouse)
    shown = "SELECT customer_id, as_of, rfm FROM marts.mv_customer_value ORDER BY customer_key"
    before = query(shown)
    cancelled = {"status": "cancelled", "quantity": 0}
    sold(*(line(20 + n, "2017-02-01", "0", customer_key=n, **cancelled) for n in range(1, 11)))
    refresh(warehouse)
    assert query(shown) == before
    assert [rfm for *_, rfm in before] == ["151", "252", "353", "454", "555"]


def test_a_line_that_is_dated_ahead_makes_no_other_customer_look_silent(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    changed = datetime(2017, 1, 5, 23, tzinfo=UTC)
    sold(
        line(1, "2017-01-05", "10", customer_key=1),
        line(2, "2017-01-06", "10", customer_key=2, updated_at=changed),  # a day ahead of UTC is a zone's
        line(3, "2017-03-01", "10", customer_key=3, updated_at=changed),
    )
    refresh(warehouse)
    assert query(
        "SELECT customer_id, as_of::text, recency_days FROM marts.mv_customer_value ORDER BY customer_key"
    ) == [("c1", "2017-01-06", 1), ("c2", "2017-01-06", 0), ("c3", "2017-01-06", 0)]


def test_a_return_that_was_called_off_is_not_counted(query: Query, sold: Sold, warehouse: Warehouse) -> None:
    nothing = {"status": "cancelled", "quantity": 0, "product_key": 1}
    sold(
        line(1, "2017-01-05", "10", product_key=1),
        line(2, "2017-01-06", "-5", record_type="return", quantity=-1, product_key=1),
        line(3, "2017-01-06", "0", record_type="return", **nothing),
        line(4, "2017-01-06", "0", record_type="refund", **nothing),
    )
    refresh(warehouse)
    found = query("SELECT returns, returned_units, returns_amount FROM marts.mv_product_performance")
    assert found == [(1, -1, -5)]


def test_a_customer_who_only_brought_back_is_worth_less_than_nothing_and_has_no_recency(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(
        line(1, "2017-01-05", "-4", customer_key=1, record_type="return", quantity=-1),
        line(2, "2017-01-05", "4", customer_key=2),
    )
    refresh(warehouse)
    assert query(
        "SELECT customer_id, recency_days, frequency, monetary, average_basket, first_purchase, rfm"
        " FROM marts.mv_customer_value ORDER BY 1"
    ) == [("c1", None, 0, -4, None, None, "333"), ("c2", 0, 1, 4, 4, date(2017, 1, 5), "555")]


def test_a_transaction_over_two_days_is_one_in_its_month(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(
        line(1, "2017-01-05", "1", transaction_id="t"),
        line(2, "2017-01-06", "1", transaction_id="t", line_id="2"),
    )
    refresh(warehouse)
    assert query("SELECT transactions FROM marts.mv_daily_sales") == [(1,), (1,)]
    assert query("SELECT transactions FROM marts.mv_monthly_sales") == [(1,)]
