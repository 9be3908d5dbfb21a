"""Each question of docs/MATERIALIZED_VIEWS.md has the same answer, asked of its view and asked of the star."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.questions import Question, question_file, questions, questions_of
from retail.warehouse.schema.ddl import view_files
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import Row, line

QUESTIONS = list(questions())
JANUARY = [f"2017-01-{day:02}" for day in range(1, 32)]
DAYS = ["2016-12-31", *JANUARY, "2017-02-01", "2017-02-05", "2017-03-01", "2017-04-01"]


def sales() -> list[Row]:
    """Five orders a day of two lines each, products, customers and stores in turns, and what tells definitions apart.

    Products 1 to 3 and what is unknown, store 1 and customers 1 to 5 sell in January for the last time; a later sale of
    some was cancelled.
    """
    rows = [row for order in range(5 * len(DAYS)) for line_id in (0, 1) for row in order_line(order, line_id)]
    gone = {"product_key": 1, "store_key": 1, "customer_key": 2, "status": "cancelled", "quantity": 0}
    only_back = {"record_type": "return", "quantity": -1, "retailer_id": "retailer_2", "retailer_key": 2}
    return [
        *rows,
        line(9001, "2017-04-01", "0", **gone),
        line(9002, "2017-04-01", "0", **gone, currency="EUR"),
        line(9003, "2017-01-05", "-1", **only_back, customer_key=1),
    ]


def order_line(order: int, line_id: int) -> list[Row]:
    """A line, and what came back of it: some are cancelled, or are sold the day after the order's other line."""
    day, number = order // 5, 2 * order + line_id
    next_day = min(day + 1, len(DAYS) - 1)
    late = DAYS[day] > JANUARY[-1]
    product = 4 + number % 6 if late else 1 + number % 9 if number % 9 != 7 else -1
    customer = 6 + order % 5 if late else 1 + order % 10
    store = 2 + order % 2 if late else 1 + order % 3
    of_both = {
        "transaction_id": f"t{order}",
        "product_key": product,
        "customer_key": customer if order % 7 else -1,
        "store_key": store if order % 11 else -1,
        "currency": "EUR" if order % 4 == 3 else "USD",
    }
    if order % 5 == 4:
        of_both |= {"retailer_id": "retailer_2", "retailer_key": 2, "product_key": -1, "store_key": -1}
    money = {"quantity": 1 + number % 3, "discount_amount": f"{number % 4}.25", "tax_amount": "0.5"}
    total = f"{3 + number * number % 41}.{number % 100:02}"
    if order % 9 == 4 or number % 13 == 5:
        money, total = {"status": "cancelled", "quantity": 0}, "0"
    sold_on = DAYS[next_day if number % 17 == 3 else day]
    rows = [line(1000 + number, sold_on, total, line_id=str(line_id), **of_both, **money)]
    if number % 6 == 1:
        kind = (
            {"record_type": "return", "quantity": -1}
            if order % 2
            else {"record_type": "refund", "quantity": 0}
        )
        rows.append(line(5000 + number, DAYS[next_day], "-2.5", line_id=f"{line_id}r", **of_both, **kind))
    return rows


@pytest.mark.postgres
def test_every_question_has_the_same_answer_from_its_view_and_from_the_star(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    lines, answered = sales(), set()
    for day in ("2016-12-31", "2017-02-05"):
        query(
            "INSERT INTO star.dim_date (date_key, calendar_date, changed_run_id)"
            " VALUES (to_char(%s::date, 'YYYYMMDD')::int, %s, 'run_1')",
            day,
            day,
        )
    for month in (2, 4):  # before the gaps, and with them: a day has one a week before, a month one before
        sold(*(row for row in lines if row["business_date"] < date(2017, month + 1, 1)))  # type: ignore[operator]
        query(
            "UPDATE star.dim_product SET product_name = product_id || '!', category = 'c' || product_key % 3"
        )
        query("UPDATE star.dim_store SET store_name = store_id || '!', store_country = 'US'")
        query("UPDATE star.dim_store SET store_region = CASE WHEN store_key < 3 THEN 'OH' ELSE 'KY' END")
        refresh(warehouse)
        for each in QUESTIONS:
            answer = query(each.of_view)
            assert answer == query(each.of_star), each.name
            if answer and all(
                any(value is not None for value in column) for column in zip(*answer, strict=True)
            ):
                answered.add(each)
    assert [each.name for each in QUESTIONS if each not in answered] == []


# What two retailers sold in each month, and what the questions of the newest month that is over then answer, worked
# out by hand: net, that of the month before, growth in amount and percent; net, share and growth in percent.
SOLD = {"2016-11": ("100", "100"), "2016-12": ("200", "50"), "2017-01": ("300", "100")}
GROWTH = {
    "2016-12": [("200", "100", "100", "100.00"), ("50", "100", "-50", "-50.00")],
    "2017-01": [("300", "200", "100", "50.00"), ("100", "50", "50", "100.00")],
}
SHARES = {
    "2016-12": [("200", "80.00", "100.00"), ("50", "20.00", "-50.00")],
    "2017-01": [("300", "75.00", "50.00"), ("100", "25.00", "100.00")],
}


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("newest_day", "month_over"),
    [("2017-01-30", "2016-12"), ("2017-01-31", "2017-01"), ("2017-02-01", "2017-01")],
)
def test_a_month_is_over_with_its_last_day(
    newest_day: str, month_over: str, query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    query(
        "INSERT INTO star.dim_date (date_key, calendar_date, changed_run_id)"
        " VALUES (20161115, '2016-11-15', 'run_1'), (20161215, '2016-12-15', 'run_1')"
    )
    for number, (month, (of_first, of_second)) in enumerate(SOLD.items()):
        second = {"retailer_id": "retailer_2", "retailer_key": 2}
        day = f"{month}-15"
        sold(line(10 + number, day, of_first), line(20 + number, day, of_second, **second))
    sold(line(30, newest_day, "0"))
    refresh(warehouse)
    names = ["Retailer 1", "Retailer 2"]
    growth = [
        (name, "USD", date.fromisoformat(f"{month_over}-01"), *map(Decimal, figures))
        for name, figures in zip(names, GROWTH[month_over], strict=True)
    ]
    shares = [
        ("USD", name, *map(Decimal, figures)) for name, figures in zip(names, SHARES[month_over], strict=True)
    ]
    for each in QUESTIONS:
        if each.name in ("mv_monthly_sales/growth", "mv_retailer_comparison/shares"):
            expected = growth if each.view == "mv_monthly_sales" else shares
            assert query(each.of_view) == expected
            assert query(each.of_star) == expected


@pytest.mark.postgres
def test_a_store_that_sells_in_another_currency_is_not_silent(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    sold(
        line(1, "2017-01-05", "10", store_key=1),
        line(2, "2017-03-01", "10", store_key=1, currency="EUR"),
        line(3, "2017-01-05", "10", store_key=2),
    )
    refresh(warehouse)
    [silent] = [each for each in QUESTIONS if each.title == "silent_stores"]
    expected = [("retailer_1", "USD", "s2", None, date(2017, 1, 5), Decimal(10))]
    assert query(silent.of_view) == query(silent.of_star) == expected


def test_every_view_answers_three_questions_or_more() -> None:
    asked = Counter(each.view for each in QUESTIONS)
    assert [file.stem for file in view_files() if asked[file.stem] < 3] == []


def test_no_file_of_questions_lies_where_nobody_looks() -> None:
    known = {question_file(file.stem) for file in view_files()}
    assert set((home() / "sql" / "questions").iterdir()) == known


def test_a_file_of_another_form_is_refused_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = question_file("mv_daily_sales").read_text(encoding="utf-8")
    folder = tmp_path / "sql" / "questions"
    folder.mkdir(parents=True)
    (folder / "mv_daily_sales.sql").write_text(
        f"{good}\n-- Question half\n-- How many?\nSELECT 1;\n", encoding="utf-8"
    )
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match=f"line {good.count(chr(10)) + 2}:"):
        list(questions_of("mv_daily_sales"))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_one_form_reads_its_view_and_the_other_the_star_alone(question: Question) -> None:
    assert f"marts.{question.view}" in question.of_view
    assert "star." not in question.of_view
    assert "marts." not in question.of_star
