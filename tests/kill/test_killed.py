"""Killed (SIGKILL to the whole process group) at every step, again in the resumed run, and on the day that follows.

After the next success everything is as if nobody had disturbed it; see state.py for what is compared and what is not.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.conftest import needs_java
from tests.end_to_end.installation import make_older, star_of, warehouse_of
from tests.kill.chains import (
    BY_CHECKPOINT,
    BY_DAYS,
    FIRST,
    FOLLOWING,
    Undisturbed,
    at_begin,
    at_random,
    done_but_not_recorded,
    play,
)
from tests.kill.conftest import Install
from tests.kill.runs import Place, Preloaded
from tests.kill.state import left_over

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

# The first run, and by night the day that follows it too.
RUNS = pytest.mark.parametrize("runs", [1, pytest.param(2, marks=pytest.mark.nightly)])

# One after the other: each is reached by the run that goes on after the one before it.
INSIDE = [
    Place("retail.lake.storage.local:LocalStorage.create", "1"),  # no lease, no run
    Place("retail.runs.ledger:Ledger.begin", "1"),  # a lease, no run
    Place("retail.landing.payloads:write", "2+"),
    Place("retail.landing.payloads:write", "1"),
    Place("retail.lake.storage.local:LocalStorage._write_beside", "5+"),  # a half-written payload
    Place("retail.landing.land:_require_tie_out", "2"),
    Place(
        "retail.lake.storage.local:LocalStorage._write_beside", "3+"
    ),  # a half-written raw file, or the lease's
    Place("retail.lake.delta:replace", "1+"),
    Place("retail.lake.delta:replace", "2"),
    Place("retail.quality.suites.validation:validate", "1+"),
    Place("retail.star.merge:into", "2"),
    Place("retail.star.merge:into", "2+"),
    Place("retail.star.merge:count_money", "1+"),  # the fact is planned, and the plan is not recorded
    Place("retail.star.merge:totals", "2"),  # the fact is committed, and the step is not recorded
    Place("retail.warehouse.publish.copy:_Csv.read", "4"),
    Place("retail.warehouse.publish.transaction:_note", "1"),
    Place("retail.warehouse.publish.transaction:_note", "1+"),
    Place("retail.pipeline.publish_step:publish", "1+"),
    Place("retail.quality.profile:write", "1"),
    Place("retail.quality.profile:write", "1+"),
    Place("retail.warehouse.views:_refresh", "3+"),
    Place("retail.warehouse.views:_tie_out", "1"),
    Place("retail.runs.ledger:Ledger.mark_done", "1"),
    Place("retail.runs.ledger:Ledger.end", "1"),
]

# A lake of the format before: columns are added to four tables, then all six are rewritten, then the number is written.
MIGRATING = [
    Place("retail.lake.delta:add_columns", "1"),
    Place("retail.lake.delta:add_columns", "2+"),
    Place("retail.star.migration:_update", "1"),
    Place("retail.star.migration:_update", "2+"),
    Place("retail.star.migration:_update", "6+"),
    Place("retail.star.migration:_write", "1"),
    Place("retail.star.migration:_write", "1+"),
]

# All steps have ended; what is left to be said is of which days they were, and that it is all.
LAST_WORDS = [
    Place("retail.runs.ledger:Ledger.mark_done", "1"),
    Place("retail.runs.ledger:Ledger.set_checkpoint", "1"),
    Place("retail.runs.ledger:Ledger.set_checkpoint", "2"),
    Place("retail.runs.ledger:Ledger.end", "1"),
]

ON_SPARK = [
    Place("retail.lake.delta:replace", "2"),
    Place("retail.quality.suites.validation:validate", "1+"),
    Place("retail.star.merge:into", "2+"),
    Place("retail.star.merge:totals", "2"),
    Place("retail.warehouse.publish.jdbc:Sending._forget_other_tries", "4"),  # rows lie in the staging tables
    Place("retail.quality.profile:write", "1"),
    Place("retail.warehouse.views:_refresh", "3+"),
]


@RUNS
def test_at_the_begin_of_each_step(
    runs: int, process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    play(process, install(f"at_begin_{runs}"), expected, *[at_begin()] * runs)


@RUNS
def test_at_the_end_of_each_step_before_it_is_recorded(
    runs: int, process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    strikes = [*done_but_not_recorded(), *LAST_WORDS]
    play(process, install(f"not_recorded_{runs}"), expected, *[strikes] * runs, asked=BY_CHECKPOINT)


def test_inside_each_step(process: Preloaded, install: Install, expected: Undisturbed) -> None:
    play(process, install("inside"), expected, INSIDE)


def test_a_killed_extract_asks_only_for_the_pages_that_are_missing(
    process: Preloaded, install: Install
) -> None:
    made = install("between_pages")
    process.retail(made, *FIRST, strike=Place("retail.landing.payloads:write", "3+"))
    kept = {path: path.stat().st_mtime_ns for path in (made.folder / "lake/payloads").rglob("*.json.gz")}
    assert kept
    process.retail(made, *FIRST, strike=Place("retail.pipeline.runner:_do_once", "1", "land"))
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_an_extract_killed_before_its_overlap_was_changed_is_gone_on_with(
    process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    made, right = install("other_overlap"), install("undisturbed")
    fetched = Place("retail.runs.ledger:Ledger.end_step", "1", "extract")
    assert process.retail(made, *FIRST, strike=fetched).returncode == -9

    ended = process.retail(made, *FIRST, RETAIL_EXTRACT__OVERLAP_MINUTES="90")

    assert ended.returncode == 0, ended.output
    assert ended.output.count("walk restarted") == 3, "the second day of each; the first has no overlap"
    assert len(list((made.folder / "lake/ops/runs").iterdir())) == 1, "the killed run itself went on"
    ended = process.retail(made, *FOLLOWING)
    assert ended.returncode == 0, ended.output
    assert made.delta_figures() == right.delta_figures()
    assert made.postgresql_figures() == right.postgresql_figures()


def test_inside_the_migration_of_a_lake_of_the_format_before(
    process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    made, right = install("migrated"), install("undisturbed")
    ended = process.retail(made, *FIRST)
    assert ended.returncode == 0, ended.output
    make_older(made)

    for strike in MIGRATING:
        killed = process.retail(made, *FOLLOWING, strike=strike)
        assert killed.returncode == -9, f"not killed {strike}: {killed.returncode}\n{killed.output}"
    ended = process.retail(made, *FOLLOWING)

    assert ended.returncode == 0, ended.output
    assert star_of(made) == star_of(right)
    assert warehouse_of(made) == warehouse_of(right)
    assert left_over(made) == []


@pytest.mark.nightly
def test_inside_each_step_of_a_day_that_changes_the_star(
    process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    play(process, install("inside_following"), expected, [], INSIDE)


@RUNS
def test_at_random_moments_of_each_step(
    runs: int, process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    chosen = random.Random(f"{os.environ['RETAIL_TEST_SEED']} {runs}")  # noqa: S311
    strikes = [at_random(seconds, chosen) for seconds in expected.seconds[:runs]]
    asked = BY_DAYS if runs == 1 else BY_CHECKPOINT
    play(process, install(f"random_{runs}"), expected, *strikes, asked=asked)


@pytest.mark.nightly
@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_inside_each_step_on_spark(process: Preloaded, install: Install, expected: Undisturbed) -> None:
    needs_java()
    on_spark = {"RETAIL_ENGINE": "spark", "RETAIL_SYNC__METHOD": "jdbc"}
    # The profile counts distinct values by estimates, in which the engines differ.
    play(process, install("on_spark"), expected, ON_SPARK, less=["quality/profile"], **on_spark)
