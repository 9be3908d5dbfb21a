"""What a check has not passed never reaches a view, whichever command asks for the refresh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.end_to_end.installation import Figures, Installation, told
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

Install = Callable[[str], Installation]
FIRST, SECOND = ("--date", "2017-01-01"), ("--date", "2017-01-02")
ONLY = ("--only", "retailer_1")


def shown(installation: Installation) -> Figures:
    query = "SELECT retailer_id, business_date::text, fact_rows, net_amount FROM marts.mv_daily_sales"
    with installation.postgresql() as cursor:
        cursor.execute(query)
        return {(retailer, day): (rows, money) for retailer, day, rows, money in cursor.fetchall()}


@contextmanager
def a_cent_too_much(installation: Installation) -> Iterator[None]:
    """One fact of the first day is a cent off in PostgreSQL, which each check finds."""
    _add(installation, "0.01")
    yield
    _add(installation, "-0.01")


def _add(installation: Installation, money: str) -> None:
    with installation.postgresql() as cursor:
        cursor.execute(
            "UPDATE star.fact_sales SET total_amount = total_amount + %s WHERE sales_key ="
            " (SELECT min(sales_key) FROM star.fact_sales WHERE business_date = '2017-01-01')",
            [money],
        )
        cursor.connection.commit()


def test_a_plain_refresh_after_a_failed_check_is_refused_and_the_views_stay(install: Install) -> None:
    made = install("check_failed")
    told(made, "run", *FIRST, *ONLY)
    before = shown(made)
    with a_cent_too_much(made):
        told(made, "ingest", "--run-id", "night", *SECOND, *ONLY)
        told(made, "transform", "--run-id", "night")
        for command in (("check", "--run-id", "night"), ("check", *SECOND, *ONLY)):
            told(made, *command, code=4)
        for command in (("refresh", *SECOND, *ONLY), ("refresh", *FIRST, *ONLY, "--again")):  # type: ignore[assignment]
            said = told(made, *command, code=4)
            in_operations(
                "not refreshed: the views would show rows that passed no check, published by run …", said
            )
        assert shown(made) == before
    told(made, "check", *SECOND, *ONLY)
    told(made, "refresh", *SECOND, *ONLY)
    assert shown(made) == made.postgresql_figures()
    assert len(shown(made)) > len(before)


def test_a_refresh_cleared_in_an_older_run_is_refused_and_leaves_the_newer_run_to_be_judged(
    install: Install,
) -> None:
    made = install("cleared_older")
    told(made, "ingest", "--run-id", "night-1", *FIRST, *ONLY)
    for task in ("transform", "check", "refresh"):
        told(made, task, "--run-id", "night-1")
    before = shown(made)
    with a_cent_too_much(made):
        told(made, "run", *SECOND, *ONLY, code=4)
        told(made, "refresh", "--run-id", "night-1", "--redo", code=4)
        assert shown(made) == before
        told(made, "check", "--run-id", "night-1", "--redo", code=4)
    told(made, "check", "--run-id", "night-1", "--redo")
    told(made, "refresh", "--run-id", "night-1", "--redo")
    assert shown(made) == made.postgresql_figures()
    assert "does NOT hold" not in told(made, "status", "--tie-out")
