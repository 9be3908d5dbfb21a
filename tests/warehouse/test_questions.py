"""Each question of docs/MATERIALIZED_VIEWS.md has the same answer, asked of its view and asked of the star."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from retail.settings import home
from retail.warehouse.connection import Warehouse
from retail.warehouse.questions import Question, questions, statement
from retail.warehouse.schema import view_files
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import Row, line

QUESTIONS = list(questions())
DAYS = [*(f"2017-01-{day:02}" for day in range(1, 32)), "2017-02-01", "2017-03-01", "2017-04-01"]


def sales() -> list[Row]:
    """Two lines a transaction, five transactions a day: products, customers and stores in turns, some unknown, with a
    customer in two currencies, a cancelled line, returns a day later, refunds, and orders that go on the next day.
    What product 1 to 3, store 1 and customer 1 to 5 have, they have in January alone.
    """
    rows: list[Row] = []
    for number in range(2 * 5 * len(DAYS)):
        order = number // 2
        day, late = DAYS[order // 5], order // 5 > 30
        many: Row = {
            "transaction_id": f"t{order}",
            "line_id": str(number % 2),
            "product_key": (4 + number % 6 if late else 1 + number % 9),
            "customer_key": -1 if order % 7 == 0 else 6 + order % 5 if late else 1 + order % 10,
            "store_key": -1 if order % 11 == 0 else 2 + order % 2 if late else 1 + order % 3,
            "quantity": 1 + number % 3,
            "discount_amount": f"{number % 4}.25",
            "tax_amount": "0.5",
            "currency": "EUR" if order % 4 == 3 else "USD",
        }
        if order % 5 == 4:
            many |= {"retailer_id": "retailer_2", "retailer_key": 2, "product_key": -1, "store_key": -1}
        total = f"{3 + number * number % 41}.{number % 100:02}"
        if number % 13 == 5:
            many |= {"status": "cancelled", "quantity": 0, "discount_amount": 0, "tax_amount": 0}
            total = "0"
        if number % 17 == 3 and order // 5 + 1 < len(DAYS):
            day = DAYS[order // 5 + 1]
        rows.append(line(1000 + number, day, total, **many))
        back = {"line_id": f"{number % 2}r", "discount_amount": 0, "tax_amount": 0}
        if number % 6 == 1:
            later = DAYS[min(order // 5 + 1, len(DAYS) - 1)]
            goods = {"record_type": "return", "quantity": -1}
            money = {"record_type": "refund", "quantity": 0}
            rows.append(line(5000 + number, later, "-2.5", **many | back | (goods if order % 2 else money)))
    return rows


@pytest.mark.postgres
def test_every_question_has_the_same_answer_from_its_view_and_from_the_star(
    query: Query, sold: Sold, warehouse: Warehouse
) -> None:
    lines, answered = sales(), set()
    for month in (1, 4):  # days without a gap first: only there a day has one a week before
        sold(*(row for row in lines if row["business_date"] < date(2017, month + 1, 1)))  # type: ignore[operator]
        query(
            "UPDATE star.dim_product SET product_name = product_id || '!', category = 'c' || product_key % 3"
        )
        query("UPDATE star.dim_store SET store_name = store_id || '!', store_country = 'US'")
        query("UPDATE star.dim_store SET store_region = CASE WHEN store_key < 3 THEN 'OH' ELSE 'KY' END")
        refresh(warehouse)
        for each in QUESTIONS:
            answer = query(statement(each.of_view))
            assert answer == query(statement(each.of_star)), each.name
            if answer and all(
                any(value is not None for value in column) for column in zip(*answer, strict=True)
            ):
                answered.add(each)
    assert [each.name for each in QUESTIONS if each not in answered] == []


def test_every_view_answers_three_questions_or_more() -> None:
    asked = Counter(each.view for each in QUESTIONS)
    assert [file.stem for file in view_files() if asked[file.stem] < 3] == []


def test_no_file_of_a_question_lies_where_nobody_looks() -> None:
    known = {file for each in QUESTIONS for file in (each.of_view, each.of_star)}
    assert set((home() / "sql" / "questions").rglob("*.*")) == known


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_one_form_reads_its_view_and_the_other_the_star_alone(question: Question) -> None:
    of_view, of_star = statement(question.of_view), statement(question.of_star)
    assert f"marts.{question.view}" in of_view
    assert "star." not in of_view
    assert "marts." not in of_star
    assert question.words.endswith("?")
