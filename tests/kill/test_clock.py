"""A clock that is wrong by a day, and is set right: runs keep the order in which they began."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.end_to_end.installation import star_of, warehouse_of
from tests.kill.chains import FIRST, FOLLOWING, Undisturbed
from tests.kill.conftest import Install
from tests.kill.runs import Place, Preloaded
from tests.kill.state import left_over

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = timedelta(days=1).total_seconds()


@pytest.mark.parametrize("ahead", [DAY, -DAY])
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
