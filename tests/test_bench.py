"""The benchmarks run to their end: on so few lines that they measure nothing, and see whether they still work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from retail.config.settings import home
from retail.warehouse.questions import questions
from retail.warehouse.schema.ddl import view_files

pytestmark = pytest.mark.slow


def printed(*command: str) -> str:
    """What a benchmark printed. It fails the test where it does not end well, with its words."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=home(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def rows_of_the_tables(text: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.nightly
def test_the_benchmark_measures_every_load_and_prints_them_as_a_table() -> None:
    rows = rows_of_the_tables(printed("bench", "--lines", "100", "--tools", "sail"))
    assert [row[:2] for row in rows if row[0] == "sail"] == [
        ["sail", "first"],
        ["sail", "next days"],
        ["sail", "corrections"],
    ]
    assert all(float(row[5]) > 0 for row in rows if row[0] == "sail")


@pytest.mark.nightly
def test_the_warehouse_benchmark_measures_every_step_and_the_server_alone() -> None:
    text = printed("bench.warehouse", "--rows", "2000")
    first, *later = (
        row for row in rows_of_the_tables(text) if row[0] in ("first", "next days", "corrections")
    )
    assert [row[0] for row in (first, *later)] == ["first", "next days", "corrections"]
    assert all(float(seconds) > 0 for seconds in first[1:])
    assert "times the server alone" in text


@pytest.mark.nightly
def test_the_large_benchmark_measures_every_step_at_both_sizes() -> None:
    rows = rows_of_the_tables(printed("bench.large", "--rows", "2000", "--times", "1"))
    assert ["", "2,000 facts", "20,000 facts", "ratio"] in rows
    measured = {row[0]: row[1:3] for row in rows}
    for step in ("stage", "gate", "merge", "check", "totals"):
        assert all(float(seconds) >= 0 for seconds in measured[f"{step}, s"])
    assert {"first load of 2,000", "the day, at 2,000", "the day, at 20,000"} <= measured.keys()


def test_the_views_benchmark_asks_every_question_both_ways_and_refreshes_every_view() -> None:
    text = printed("bench.views", "--rows", "2000", "--times", "1")
    views = [file.stem for file in view_files()]
    rows = [row for row in rows_of_the_tables(text) if row[0] in views]
    asked, refreshed = ([row for row in rows if len(row) == columns] for columns in (6, 3))
    assert [tuple(row[:2]) for row in asked] == [(each.view, each.title) for each in questions()]
    assert all(float(cell.replace(",", "")) > 0 for row in asked for cell in row[2:5])
    assert [row[0] for row in refreshed] == views
    assert all(int(row[1].replace(",", "")) > 0 for row in refreshed)
    assert f"of {len(asked)} at least 10 times as fast" in text
