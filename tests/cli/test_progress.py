"""What a log says of a step that lasts."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from retail.cli.output.progress import PlainReport


class Log:
    """A report whose clock stands where a test puts it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._written = StringIO()
        out = Console(file=self._written, width=120)
        self.report = PlainReport(out, monotonic=lambda: self.now)

    def told_at(self, seconds: float) -> str:
        self.now = seconds
        self._written.truncate(0)
        self._written.seek(0)
        self.report.print_progress()
        return " ".join(self._written.getvalue().split())


def test_what_is_done_how_fast_and_what_is_left() -> None:
    log = Log()
    log.report.started("extract")
    log.report.expects("extract", 90, "retailer-days")
    for day in (1, 2, 3):
        log.report.progress("extract", 1, f"retailer_1 2017-01-0{day}")
    assert log.told_at(30) == (
        "extract 30 s … 3 of 90 retailer-days, 6.0 a minute, about 14 min left; retailer_1 2017-01-03"
    )
    log.report.progress("extract", 57, "retailer_2 page 7")
    assert "60 of 90 retailer-days, 2.0 a second, about 15 s left; retailer_2 page 7" in log.told_at(30)


def test_a_step_that_cannot_count_says_how_long_it_took_before() -> None:
    log = Log()
    log.report.started("merge", last_time=95.4)
    assert log.told_at(20) == "merge 20 s … the previous run took 95 s"


def test_a_step_of_another_name_and_one_that_ended_say_nothing() -> None:
    log = Log()
    log.report.started("land")
    log.report.expects("extract", 90, "retailer-days")
    log.report.progress("extract", 1, "late")
    assert log.told_at(20) == "land 20 s …"
    log.report.ended("land", 20, "3 lines landed", resumed=False)
    assert log.told_at(40) == ""


def test_a_step_that_has_hardly_begun_is_not_worth_a_line() -> None:
    log = Log()
    log.report.started("gate")
    assert log.told_at(1) == ""
