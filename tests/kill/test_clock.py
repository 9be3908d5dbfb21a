"""A clock that is wrong, and is set right: runs keep the order in which they began, and days come whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import requests

from retail.cli.local import demo
from tests.end_to_end.installation import star_of, warehouse_of
from tests.kill.chains import FIRST, FOLLOWING, Undisturbed
from tests.kill.conftest import Install
from tests.kill.runs import Place, Preloaded
from tests.kill.state import left_over
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = timedelta(days=1).total_seconds()


@pytest.mark.parametrize("ahead", [pytest.param(DAY, marks=pytest.mark.nightly), -DAY])
def test_a_run_killed_under_a_wrong_clock_is_not_gone_on_with_behind_a_later_merge(
    ahead: float, process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    made, right = install(f"clock_{ahead > 0}"), install("undisturbed")  # where the days came in order
    committed = Place(
        "retail.star.merge:count_money", "1+"
    )  # planned for a version that the other run then changes
    assert process.retail(made, *FIRST, clock=ahead, strike=committed).returncode == -9
    for command in (FOLLOWING, FIRST):
        ended = process.retail(made, *command)
        assert ended.returncode == 0, ended.output
    assert star_of(made) == star_of(right)
    assert warehouse_of(made) == warehouse_of(right)
    assert left_over(made) == []
    begun = [path.name for path in sorted((made.folder / "lake/ops/runs").iterdir())]
    assert len(begun) == 3, begun


def test_a_clock_that_jumps_while_a_run_works_does_not_end_it(process: Preloaded, install: Install) -> None:
    """Each command has another clock than the one before: back, far ahead, and right again."""
    made = install("jumping_clock")
    for clock, place in ((0, "extract"), (-DAY, "stage"), (3650 * DAY, "merge"), (-DAY, "check")):
        killed = process.retail(
            made, *FIRST, clock=clock, strike=Place("retail.runs.ledger:Ledger.end_step", "1", place)
        )
        assert killed.returncode == -9, killed.output
    ended = process.retail(made, *FIRST)
    assert ended.returncode == 0, ended.output
    assert len(list((made.folder / "lake/ops/runs").iterdir())) == 1, "the killed run itself went on"


@contextmanager
def retailers_at(moment: datetime) -> Iterator[tuple[str, Callable[[timedelta], None]]]:
    """Their address, and what moves their clock, which else stands."""
    with demo.simulator(demo.demo_environment(), clock=moment, options=["--speed", "0"]) as address:

        def pass_by(time: timedelta) -> None:
            passed = {"advance_seconds": time.total_seconds()}
            requests.post(f"{address}/simulator/clock", json=passed, timeout=10).raise_for_status()

        yield address, pass_by


def clock_at(moment: datetime) -> float:
    """How far this machine's clock is off, where it is that moment to a command."""
    return (moment - datetime.now(UTC)).total_seconds()


def test_a_clock_that_runs_ahead_takes_no_part_of_a_day_for_the_whole(
    process: Preloaded, install: Install
) -> None:
    evening = datetime(
        2017, 1, 3, 1, tzinfo=UTC
    )  # of 2 January, which goes on for hours at all three retailers
    with retailers_at(evening) as (address, pass_by):
        made, right = (replace(install(name), address=address) for name in ("clock_ahead", "clock_right"))

        ahead = process.retail(made, "run", clock=clock_at(evening + timedelta(hours=7, minutes=30)))

        assert ahead.returncode == 3, ahead.output
        message = "the day that ends at … UTC is not over; the retailer's clock says …, this machine's …"
        in_operations(message, ahead.output)
        for retailer in ("retailer_1", "retailer_2", "retailer_3"):
            taken = [path.name for path in (made.folder / f"lake/payloads/{retailer}").iterdir()]
            assert taken == ["date=2017-01-01"], "and nothing of the day that is not over"

        in_time = process.retail(made, "run", clock=clock_at(evening))
        assert in_time.returncode == 0, in_time.output

        pass_by(timedelta(hours=12))
        for each in (made, right):
            ended = process.retail(each, "run", clock=clock_at(evening + timedelta(hours=12)))
            assert ended.returncode == 0, ended.output
    assert sorted({date for _, date in made.delta_figures()}) == ["2017-01-01", "2017-01-02"]
    assert star_of(made) == star_of(right)
    assert warehouse_of(made) == warehouse_of(right)
    assert left_over(made) == []
