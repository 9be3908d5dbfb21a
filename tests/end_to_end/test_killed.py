"""Killed (SIGKILL) once in each of the eight steps and run again: the tables of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.installation import Installation, star_of, warehouse_of

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

Install = Callable[[str], Installation]
DAY = ("--date", "2017-01-01")
KILLED_RUN = str(Path(__file__).with_name("killed_run.py"))

# step: where, and at which call of it ("+": just behind it)
PLACES = {
    "extract": ("retail.extract.payloads:write", "2+"),
    "land": ("retail.storage:LocalStorage.write", "12"),
    "stage": ("retail.delta:replace", "2"),
    "gate": ("retail.quality.suites:validate", "1+"),
    "merge, before the commit": ("retail.star.merge:into", "2"),
    "merge, behind the fact's commit": ("retail.star.merge:into", "6+"),
    "publish, before the commit": ("retail.warehouse.publish:_note", "1+"),
    "publish, behind the commit": ("retail.steps:publish", "1+"),
    "check": ("retail.quality.suites:validate", "4"),
    "refresh": ("retail.warehouse.views:_tie_out", "1"),
}


@pytest.fixture(scope="module")
def undisturbed(install: Install) -> Installation:
    made = install("undisturbed")
    ended = made.retail("run", *DAY)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return made


@pytest.mark.parametrize("step", PLACES)
def test_a_run_killed_in_mid_step_goes_on_to_the_same_tables(
    step: str, install: Install, undisturbed: Installation
) -> None:
    made = install("killed_" + "".join(c for c in step if c.isalnum()))
    place, call = PLACES[step]
    killed = made.python(KILLED_RUN, place, call, "run", *DAY)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    again = made.retail("run", *DAY)
    assert again.returncode == 0, again.stdout + again.stderr
    assert star_of(made) == star_of(undisturbed)
    assert warehouse_of(made) == warehouse_of(undisturbed)
    assert len(list((made.folder / "lake/ops/runs").iterdir())) == 1, "the killed run itself went on"


def test_a_killed_extract_asks_only_for_the_pages_that_are_missing(install: Install) -> None:
    made = install("killed_between_pages")
    made.python(KILLED_RUN, "retail.extract.payloads:write", "3+", "run", *DAY)
    kept = {path: path.stat().st_mtime_ns for path in (made.folder / "lake/payloads").rglob("*.json.gz")}
    assert kept
    assert made.retail("run", *DAY).returncode == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
