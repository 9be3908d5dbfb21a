"""Run again, in another order, by single tasks, with a retailer down: the same star in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import pytest

from tests.end_to_end.installation import Figures, Installation, star_of, warehouse_of

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAYS = [date(2017, 1, day) for day in (1, 2)]
Install = Callable[[str], Installation]


@pytest.fixture(scope="module")
def two_days(install: Install) -> Installation:
    made = install("two_days")
    ended = made.retail("run", "--from", str(DAYS[0]), "--to", str(DAYS[1]))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return made


def test_running_a_date_again_changes_nothing(two_days: Installation) -> None:
    before = (star_of(two_days), warehouse_of(two_days), _versions(two_days))
    told = two_days.retail("run", "--date", str(DAYS[0]))
    assert told.returncode == 0
    assert "Nothing new to do: all 3 retailer-days" in told.stdout
    anew = two_days.retail("run", "--date", str(DAYS[0]), "--again")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert (star_of(two_days), warehouse_of(two_days), _versions(two_days)) == before


def test_days_in_another_order_and_task_by_task_give_the_same_star(
    install: Install, two_days: Installation
) -> None:
    other = install("backwards")
    for day in reversed(DAYS):
        for task in ("ingest", "transform", "check", "refresh"):
            ended = other.retail(task, "--date", str(day), "--run-id", f"by-task-{day}")
            assert ended.returncode == 0, ended.stdout + ended.stderr
    assert star_of(other) == star_of(two_days)
    assert warehouse_of(other) == warehouse_of(two_days)


def test_one_retailer_down_stops_no_other_and_the_next_run_catches_it_up(
    install: Install, two_days: Installation, truth: Callable[[list[date]], Figures]
) -> None:
    partial = install("partial")
    dates = ("--from", str(DAYS[0]), "--to", str(DAYS[1]))
    down = {
        "RETAIL_RETAILERS__RETAILER_2__BASE_URL": "http://127.0.0.1:9",  # the discard port: nobody listens
        "RETAIL_EXTRACT__TRIES": "1",
    }
    first = partial.retail("run", *dates, **down)
    assert first.returncode == 3, first.stdout + first.stderr
    assert "retailer_2 FAILED, the others went on" in first.stdout
    assert {retailer for retailer, _ in partial.delta_figures()} == {"retailer_1", "retailer_3"}

    second = partial.retail("run", *dates)
    assert second.returncode == 0, second.stdout + second.stderr
    assert partial.delta_figures() == truth(DAYS)
    assert star_of(partial) == star_of(two_days)
    assert warehouse_of(partial) == warehouse_of(two_days)


def test_bad_records_are_quarantined_and_too_many_of_them_stop_the_run_with_exit_4(install: Install) -> None:
    made = install("quarantine")
    day = ("--date", str(DAYS[0]))
    assert made.retail("ingest", *day).returncode == 0
    raw = made.folder / "lake/raw/retailer_1/year=2017/month=01/day=01/sales_data.json"
    lines = raw.read_text().splitlines()
    bad = json.dumps({**json.loads(lines[0]), "total_amount": "NaN"})
    raw.write_text("\n".join([bad, lines[1][:100], *lines[2:]]) + "\n")
    transformed = made.retail("transform", *day)
    assert transformed.returncode == 0, transformed.stdout + transformed.stderr
    reasons = sorted(made.delta("quarantine")["reasons"].to_pylist())
    assert reasons == ["bad total_amount", "unreadable JSON"]

    raw.write_text("\n".join(line[:100] for line in lines) + "\n")
    before = star_of(made)
    stopped = made.retail("transform", *day)
    assert stopped.returncode == 4
    assert "quality.quarantine_share allows 1.00%" in stopped.stderr
    assert star_of(made) == before


def _versions(installation: Installation) -> dict[str, int]:
    star = installation.folder / "lake" / "star"
    return {table.name: len(list((table / "_delta_log").glob("*.json"))) for table in star.iterdir()}
