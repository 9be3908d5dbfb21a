"""From a row that BI sees back to what the retailer answered, by the command itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date

import pytest

from retail.lake.layout import raw_file
from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = date(2017, 1, 1)
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")


@pytest.fixture(scope="module")
def day(install: Callable[[str], Installation]) -> Installation:
    made = install("explained")
    ended = made.retail("run", "--date", str(DAY))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return made


def lines_of(made: Installation, retailer_id: str) -> list[dict[str, str]]:
    text = (made.folder / "lake" / raw_file(retailer_id, DAY)).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_a_transaction_leads_from_the_view_to_the_payload_page(day: Installation, retailer_id: str) -> None:
    line = lines_of(day, retailer_id)[0]
    told = day.retail("explain", line["transaction_id"])
    assert told.returncode == 0, told.stderr
    text = re.sub(r"\s+", " ", told.stdout)
    assert f"{retailer_id} / {line['transaction_id']} / {line['line_id']}" in text
    assert f"views marts.mv_daily_sales ({retailer_id}, {line['business_date']}, USD)" in text
    assert "Delta star/fact_sales version" in text
    assert "2017-01: the same" in text
    assert f"sales_data.json line 1: total_amount {line['total_amount']}" in text
    assert f"payload {line['source_ref']}" in text
    assert "missing" not in text


def test_a_sales_key_is_explained_by_itself_also_where_it_is_negative(day: Installation) -> None:
    fact = day.delta("star/fact_sales").to_pylist()
    for row in (min(fact, key=lambda each: each["sales_key"]), max(fact, key=lambda each: each["sales_key"])):
        told = day.retail("explain", str(row["sales_key"]))
        assert told.returncode == 0, told.stderr
        assert told.stdout.count("sales_key ") == 1
        assert f"/ {row['transaction_id']} / {row['line_id']}" in told.stdout


def test_what_is_nowhere_is_said_to_be_nowhere(day: Installation) -> None:
    told = day.retail("explain", "no-such-order")
    assert told.returncode == 1
    assert "no line with sales_key or transaction_id no-such-order" in told.stderr
    assert "next: " in told.stderr


def test_a_row_that_somebody_changed_in_postgresql_is_shown_beside_delta_s(day: Installation) -> None:
    line = lines_of(day, "retailer_2")[1]
    change = (
        "UPDATE star.fact_sales SET total_amount = total_amount + {} WHERE retailer_id = 'retailer_2'"
        " AND transaction_id = %s AND line_id = %s"
    )
    with day.postgresql() as cursor:
        cursor.execute(change.format(1), (line["transaction_id"], line["line_id"]))
        cursor.connection.commit()
        told = day.retail("explain", line["transaction_id"])
        cursor.execute(change.format(-1), (line["transaction_id"], line["line_id"]))
        cursor.connection.commit()
    assert re.search(r"total_amount: [0-9.]+ .*PostgreSQL.* [0-9.]+ .*Delta", told.stdout)


def test_a_page_that_is_gone_is_said_to_be_missing_and_the_rest_is_shown(day: Installation) -> None:
    line = lines_of(day, "retailer_3")[0]
    page = day.folder / "lake" / line["source_ref"].partition("#")[0]
    hidden = page.rename(page.with_suffix(".hidden"))
    try:
        told = day.retail("explain", line["transaction_id"])
    finally:
        hidden.rename(page)
    assert told.returncode == 0
    assert re.search(r"missing\s+payloads/retailer_3/", told.stdout)
    assert "Delta       star/fact_sales" in told.stdout


def test_a_refused_line_is_found_in_quarantine(install: Callable[[str], Installation]) -> None:
    made = install("explained_refused")
    for retailer_id in RETAILERS:
        path = made.folder / "lake" / raw_file(retailer_id, DAY)
        path.parent.mkdir(parents=True)
        path.write_text(
            json.dumps(
                {"retailer_id": retailer_id, "transaction_id": "T7", "quantity": "x", "source_ref": "p#/1"}
            )
            + "\n",
            encoding="utf-8",
        )
    made.retail("transform", "--date", str(DAY))
    told = made.retail("explain", "T7")
    assert told.returncode == 0, told.stderr
    assert "retailer_1 2017-01-01: missing line_id" in told.stdout
    assert "bad quantity; p#/1" in told.stdout


def test_restated_figures_and_gaps_are_told_by_status(day: Installation) -> None:
    assert "No published figure has been restated" in day.retail("status", "--restated").stdout
    assert day.retail("status", "--gaps").returncode == 0
    (checked,) = day.folder.glob("lake/ops/runs/*/steps/check.json")
    assert json.loads(checked.read_text())["gaps"] == []
    tie_out = day.retail("status", "--tie-out")
    assert tie_out.returncode == 0
    assert tie_out.stdout.count("  holds ") == 8
    unknown = day.retail("status", "--tie-out", "--run", "nonsense")
    assert unknown.returncode == 2
    assert re.search(r"\[configuration\].*\n.*nonsense", unknown.stderr)
