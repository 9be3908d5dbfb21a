"""The limits of docs/DATA_MODEL.md: what lies within them comes to the views, what lies beyond is rejected alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from pyspark.sql import SparkSession

from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.config.secrets import Secrets
from retail.lake import delta, layout
from retail.lake.layout import raw_file
from retail.pipeline import runner
from retail.pipeline.workspace import Workspace
from retail.runs.days import RetailerDay
from tests.end_to_end.installation import Installation
from tests.star.conftest import record
from tests.star.test_merge import ON_SAIL

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

UNIT: RetailerDay = ("retailer_1", date(2017, 1, 5))
KEYS = ("transaction_id", "line_id", "product_id", "store_id")
CUSTOMER = "c" * 64
Line = dict[str, str]

WITHIN: list[Line] = [
    {},
    {name: "k" * 1_000 for name in KEYS},
    {name: "\u00e9" * 500 for name in KEYS},
    {name: "\x01\t\n\r\u2028\ufffd\uffff\U0010ffff" for name in KEYS},
    # The same as the last but two in another normal form: another product, as the retailer wrote it.
    {"product_id": "e\u0301" * 300},
    {"product_name": "x" * 1_000_000, "product_id": "long"},
    {"store_name": "a\x00b", "store_city": "\x7f", "store_id": "nul"},
    {"product_name": "\\N", "brand": "\\.", "category": '"', "gtin": "9" * 5_000, "product_id": "copy"},
    {"quantity": "999999999999.999", "unit_price": "0", "total_amount": "0"},
    {"quantity": "999999999999.999", "unit_price": "99999999999.9999", "discount_amount": "99999999999.9999"},
    {"quantity": "1", "unit_price": "99999999999.9999", "total_amount": "99999999999.9999"},
    {"quantity": "-0.000", "unit_price": "-0", "tax_amount": "-0", "total_amount": "-0"},
    {"updated_at": "0001-01-01T00:00:00.000000Z"},
    {"updated_at": "9999-12-31T23:59:59.999999Z"},
    {"business_date": "1990-01-01", "sold_at": "1990-01-01T00:00:00Z"},
    {"business_date": "2099-12-31", "sold_at": "2099-12-31T23:59:59.999999Z"},
]

BEYOND: list[tuple[Line, str]] = [
    *(({name: "k" * 1_001}, f"{name} is longer than 1,000 bytes") for name in KEYS),
    *(({name: "a\x00b"}, f"{name} has a NUL character") for name in KEYS),
    ({"total_amount": "100000000000"}, "bad total_amount"),
    ({"total_amount": "0.00001"}, "bad total_amount"),
    ({"total_amount": "10.00\n"}, "bad total_amount"),
    ({"quantity": "1000000000000"}, "bad quantity"),
    ({"updated_at": "0000-12-31T23:59:59.999999Z"}, "bad updated_at"),
    ({"updated_at": "2017-01-05T23:59:60Z"}, "bad updated_at"),
    ({"updated_at": "10000-01-01T00:00:00Z"}, "bad updated_at"),
    ({"updated_at": "2017-01-05T20:00:00.0000001Z"}, "bad updated_at"),
    ({"business_date": "1989-12-31", "sold_at": "1989-12-31T00:00:00Z"}, "business_date is implausible"),
    ({"business_date": "2100-01-01", "sold_at": "2100-01-01T00:00:00Z"}, "business_date is implausible"),
    ({"currency": "USD\n"}, "currency is not an ISO 4217 code"),
    ({"currency": "\u0421\u0410\u0414"}, "currency is not an ISO 4217 code"),
]


def lines() -> list[str]:
    made = [{"transaction_id": f"good-{n}", **line} for n, line in enumerate(WITHIN)]
    made += [{"transaction_id": f"bad-{n}", **line} for n, (line, _) in enumerate(BEYOND)]
    return [record(**{"customer_id": CUSTOMER, **line}).to_line() for line in made]


@ON_SAIL
def test_values_within_the_limits_are_shown_and_those_beyond_are_rejected_alone(
    install: Callable[[str], Installation], session: SparkSession
) -> None:
    settings = install("limits").settings
    lenient = settings.quality.model_copy(update={"quarantine_share": 1.0})
    with Workspace(settings.model_copy(update={"quality": lenient}), Secrets({})) as workspace:
        workspace.__dict__["session"] = session
        # As the spec of JSON has it, a lone surrogate: Sail cannot read that line, and stops for no other.
        alone = record(transaction_id="alone").to_line().replace("Mug", "\\ud800")
        workspace.storage.write(raw_file(*UNIT), "\n".join([*lines(), alone]).encode())
        runner.run(workspace, [UNIT], PlainReport(console()), tasks=("transform", "check", "refresh"))

        quarantined = delta.read(session, workspace.storage, layout.QUARANTINE).select("reasons").collect()
        assert sorted(row.reasons for row in quarantined) == sorted(
            ["unreadable JSON", *(reason for _, reason in BEYOND)]
        )
        with workspace.warehouse.connect("test") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sum(fact_rows) FROM marts.mv_daily_sales")
            assert cursor.fetchone() == (len(WITHIN),)
            cursor.execute("SELECT store_name FROM star.dim_store WHERE store_id = 'nul'")
            assert cursor.fetchone() == ("a\ufffdb",)
