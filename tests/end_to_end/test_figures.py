"""The whole pipeline on each engine gives the figures that plain SQL takes from the source, to the cent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache

import pytest

from retail.lake.layout import raw_file
from tests.conftest import needs_java
from tests.end_to_end.conftest import START
from tests.end_to_end.installation import Figures, Installation, star_of, warehouse_of

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAYS = [date(2017, 1, day) for day in (1, 2, 3)]
SPARK = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

Run = Callable[..., Installation]


@pytest.fixture(scope="session")
def after_run(install: Callable[[str], Installation]) -> Run:
    """An installation in which the engine has run the three days, or fewer; on Spark by spark-submit.sh."""

    @cache
    def run(engine: str, days: int) -> Installation:
        made = install(f"{engine}_{days}")
        dates = ("--from", str(DAYS[0]), "--to", str(DAYS[days - 1]))
        if engine == "spark":
            needs_java()
            ended = made.spark_submit(str(_job("run_pipeline.py")), *dates)
        else:
            ended = made.retail("run", *dates)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ": success" in ended.stdout
        return made

    return lambda engine, days=None: run(engine, days or len(DAYS))


@pytest.mark.parametrize("engine", ["sail", pytest.param("spark", marks=[*SPARK, pytest.mark.nightly])])
def test_raw_files_delta_and_postgresql_hold_the_source_s_rows_and_money(
    engine: str, after_run: Run, truth: Callable[[list[date]], Figures]
) -> None:
    installation = after_run(engine)
    expected = truth(DAYS)
    assert len(expected) == 9
    assert _raw_figures(installation) == expected
    assert installation.delta_figures() == expected
    assert installation.postgresql_figures() == expected
    with installation.postgresql() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date::text, fact_rows, net_amount FROM marts.mv_daily_sales"
        )
        assert {(r, day): (rows, money) for r, day, rows, money in cursor.fetchall()} == expected


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("days", [1, pytest.param(3, marks=pytest.mark.nightly)])
def test_both_engines_write_the_same_tables_row_by_row_keys_included(days: int, after_run: Run) -> None:
    sail, spark = after_run("sail", days), after_run("spark", days)
    assert star_of(sail) == star_of(spark)
    assert warehouse_of(sail) == warehouse_of(spark)


@pytest.mark.nightly
@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_each_engine_reads_and_merges_into_what_the_other_wrote(
    install: Callable[[str], Installation], truth: Callable[[list[date]], Figures]
) -> None:
    needs_java()
    mixed = install("mixed")
    for engine, day in (("sail", DAYS[0]), ("spark", DAYS[1]), ("sail", DAYS[2])):
        ended = mixed.retail("run", "--date", str(day), RETAIL_ENGINE=engine)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert mixed.delta_figures() == truth(DAYS)
    assert mixed.postgresql_figures() == truth(DAYS)


def test_no_customer_of_the_source_can_be_read_in_the_lake(after_run: Run) -> None:
    lake = after_run("sail").folder / "lake"
    words = (b"@relay.walmart.com", b"@marketplace.amazon.com", b"Example Street", b"gid://shopify/Customer/")
    raw = [path.read_bytes() for path in lake.rglob("sales_data.json")]
    assert len(raw) == 9
    assert not [word for word in words for data in raw if word in data]


def _raw_figures(installation: Installation) -> Figures:
    """From the raw files themselves; a file's overlap of the day before belongs to that day's file."""
    figures: Figures = {}
    for day in DAYS:
        for retailer in installation.settings.retailers:
            for line in (installation.folder / "lake" / raw_file(retailer, day)).read_text().splitlines():
                record = json.loads(line)
                if record["business_date"] == str(day):
                    rows, money = figures.get((retailer, str(day)), (0, Decimal(0)))
                    figures[retailer, str(day)] = (rows + 1, money + Decimal(record["total_amount"]))
    return figures


def _job(name: str) -> str:
    from retail.config.settings import home

    return str(home() / "jobs" / name)


def test_the_run_begins_at_the_start_date(after_run: Run) -> None:
    assert {day for _, day in after_run("sail").delta_figures()} == {str(day) for day in DAYS}
    assert DAYS[0] == START
