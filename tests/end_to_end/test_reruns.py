"""Run again, in another order, by single tasks, with a retailer down: the same star in the end."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from retail.config.settings import home
from retail.star import migration
from tests.end_to_end.installation import Figures, Installation, make_older, star_of, warehouse_of

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
    runs = _runs(two_days)
    assert two_days.retail("run", "--date", str(DAYS[0])).returncode == 0
    assert _runs(two_days) == runs
    anew = two_days.retail("run", "--date", str(DAYS[0]), "--again")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert (star_of(two_days), warehouse_of(two_days), _versions(two_days)) == before


@pytest.mark.nightly
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
    runs = _runs(other)
    assert other.retail("run", "--from", str(DAYS[0]), "--to", str(DAYS[1])).returncode == 0
    assert _runs(other) == runs


def test_a_run_that_paused_after_the_merge_is_resumed_by_the_same_command(
    install: Install, two_days: Installation
) -> None:
    made = install("paused")
    days = ("--from", str(DAYS[0]), "--to", str(DAYS[1]))
    paused = made.retail("run", *days, "--until", "merge")
    assert paused.returncode == 0, paused.stdout + paused.stderr
    (run,) = (made.folder / "lake/ops/runs").iterdir()
    assert json.loads((run / "ended.json").read_text(encoding="utf-8"))["outcome"] == "paused"
    assert {step.stem for step in (run / "steps").glob("[!m]*.json")} == {"extract", "land", "stage", "gate"}
    assert star_of(made) == star_of(two_days)
    assert f"next: retail run {' '.join(days)}" in " ".join(made.retail("status").stdout.split())

    resumed = made.retail("run", *days)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert [each.name for each in run.parent.iterdir()] == [run.name]
    assert json.loads((run / "ended.json").read_text(encoding="utf-8"))["outcome"] == "success"
    assert warehouse_of(made) == warehouse_of(two_days)


def test_a_lake_of_the_form_before_is_migrated_by_the_next_run_and_nothing_is_sent_or_restated(
    install: Install, two_days: Installation
) -> None:
    made = install("older")
    ended = made.retail("run", "--from", str(DAYS[0]), "--to", str(DAYS[1]))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = warehouse_of(made)
    make_older(made)
    assert star_of(made) != star_of(two_days)

    again = made.retail("--verbose", "run", "--date", str(DAYS[0]), "--again")

    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((made.folder / "lake/ops/format.json").read_text())["format"] == migration.FORMAT
    assert '"event": "lake migrated"' in again.stderr
    assert re.search(r"merge .* [0-9,]+ unchanged\n", again.stdout), again.stdout
    assert " 0 changed rows sent\n" in again.stdout
    assert star_of(made) == star_of(two_days)
    assert warehouse_of(made) == shown
    with made.postgresql() as cursor:
        cursor.execute("SELECT count(*) FROM marts.restatement")
        assert cursor.fetchone() == (0,)


def test_a_publish_is_taken_back_and_comes_again(install: Install, two_days: Installation) -> None:
    made = install("taken_back")
    tasks = ("ingest", "transform", "check", "refresh")
    ended = made.retail("run", "--date", str(DAYS[0]))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    before = warehouse_of(made)

    def play() -> None:
        for task in tasks:
            ended = made.retail(task, "--date", str(DAYS[1]), "--run-id", "second")
            assert ended.returncode == 0, ended.stdout + ended.stderr
        assert warehouse_of(made) == warehouse_of(two_days)

    def take_back() -> None:
        told = made.retail("publish", "--rollback")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "-second, published 2" in told.stdout
        assert warehouse_of(made) == before
        status = made.retail("status").stdout
        assert re.search(rf"retailer_1 .* {DAYS[0]} +1 +{DAYS[1]}", status), status
        assert re.search(
            r"was rolled back on \S+ \S+Z by \S+-rollback, from run \S+-second to run \S+\n", status
        ), status

    play()
    take_back()
    ahead = made.retail("check", "--date", str(DAYS[1]))
    assert ahead.returncode == 4, "Delta holds what PostgreSQL does not show any more"
    play()  # the same tasks of the same run, as a scheduler clears them
    assert "rolled back on" not in made.retail("status").stdout

    take_back()
    ended = made.retail("run", "--date", str(DAYS[1]))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert warehouse_of(made) == warehouse_of(two_days)
    assert "rolled back on" not in made.retail("status").stdout
    assert made.retail("publish").returncode == 2


def test_one_retailer_down_stops_no_other_and_the_next_run_catches_it_up(
    install: Install, two_days: Installation, truth: Callable[[list[date]], Figures]
) -> None:
    partial = install("partial")
    dates = ("--from", str(DAYS[0]), "--to", str(DAYS[1]))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        down = {"RETAIL_RETAILERS__RETAILER_2__BASE_URL": address, "RETAIL_EXTRACT__TRIES": "1"}
        first = partial.retail("run", *dates, **down)
    assert first.returncode == 3, first.stdout + first.stderr
    (extracted,) = partial.folder.glob("lake/ops/runs/*/steps/extract.json")
    assert json.loads(extracted.read_text())["failed"].keys() == {"retailer_2"}
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
    assert re.search(r"\[gate\] .*quality\.quarantine_share\b.* 1\.00%", stopped.stderr)
    assert star_of(made) == before


def test_a_critical_expectation_stops_the_run_with_exit_4_before_anything_is_merged(
    install: Install, tmp_path: Path
) -> None:
    made = install("gate")
    for folder in ("conf", "sql"):
        shutil.copytree(home() / folder, tmp_path / folder)
    path = tmp_path / "conf/expectations/staged_sales.json"
    suite = json.loads(path.read_text())
    ceiling = {"column": "total_amount", "max_value": 1}
    suite["expectations"].append(
        {"type": "expect_column_values_to_be_between", "kwargs": ceiling, "severity": "critical"}
    )
    path.write_text(json.dumps(suite))

    stopped = made.retail("run", "--date", str(DAYS[0]), RETAIL_HOME=str(tmp_path))
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert "expect_column_values_to_be_between(column=total_amount, max_value=1" in stopped.stderr
    assert not (made.folder / "lake/star").exists()

    mended = made.retail("run", "--date", str(DAYS[0]))
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert len(made.delta_figures()) == 3


def _runs(installation: Installation) -> set[str]:
    return {run.name for run in (installation.folder / "lake/ops/runs").iterdir()}


def _versions(installation: Installation) -> dict[str, int]:
    star = installation.folder / "lake" / "star"
    return {table.name: len(list((table / "_delta_log").glob("*.json"))) for table in star.iterdir()}
