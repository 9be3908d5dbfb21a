"""A run as its steps see it: its resources, the records of its steps, and where it reports progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Protocol

from retail.pipeline.resources import Resources
from retail.runs.context import Context
from retail.runs.counts import HopCount
from retail.runs.days import RetailerDay
from retail.runs.ledger import Ledger
from retail.runs.run import Run

Record = dict[str, Any]

_COUNTING: Final = ("land", "stage", "merge", "check", "refresh")


class Report(Protocol):
    """Where a run reports progress: a terminal, a log, or nowhere."""

    def started(self, step: str, *, last_time: float | None = None) -> None: ...

    def expects(self, step: str, total: int, what: str) -> None: ...

    def progress(self, step: str, done: int, text: str) -> None: ...

    def waits(self, step: str, text: str) -> None: ...

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None: ...


@dataclass(frozen=True)
class RunOptions:
    """How the steps of a run are done.

    With `force`, complete days are processed again, and fetched from the start even if another run left them
    unfinished. Without `patient`, a retailer whose quota is used up fails instead of being waited for. `parallel` is
    the number of days fetched at a time per retailer. A `replay` restages days for their rejected lines;
    `tolerated_rejects` is the number of lines per retailer that may be rejected again. After `last_step` the run
    pauses; the same command without it resumes.
    """

    force: bool = False
    patient: bool = True
    parallel: int = 1
    replay: bool = False
    tolerated_rejects: Mapping[str, int] = field(default_factory=dict)
    last_step: str | None = None


@dataclass(frozen=True)
class Job:
    """A run, its resources, and where it reports progress."""

    resources: Resources
    run: Run
    report: Report
    options: RunOptions = RunOptions()

    @property
    def context(self) -> Context:
        """The context for steps that use the engine."""
        return self.resources.context(self.run.run_id)

    def recorded(self, step: str) -> Record | None:
        """The record of the step, or None if it has not ended."""
        return self.resources.ledger.step(self.run.run_id, step)

    def counts(self, step: str) -> list[HopCount]:
        """Rows and money that the step counted; empty if it has not ended."""
        record = self.recorded(step)
        return [HopCount.from_json(count) for count in record["counts"]] if record else []

    def failed_retailers(self) -> dict[str, str]:
        """The retailers that this run, or the run whose merge it follows, could not read, and why."""
        return failed_retailers(self.resources.ledger, self.run)

    def failed_for_days(self) -> list[str]:
        """The failed retailers that answered, but could not deliver some days."""
        record = self.resources.ledger.step(self.run.behind or self.run.run_id, "extract")
        return list(record.get("failed_for_days", [])) if record else []

    def units_to_process(self) -> list[RetailerDay]:
        """The units this run extracted, or all of its units if it did not extract."""
        return units_to_process(self.resources.ledger, self.run)


def failed_retailers(ledger: Ledger, run: Run) -> dict[str, str]:
    """The retailers that the run, or the run whose merge it follows, could not read, and why."""
    record = ledger.step(run.behind or run.run_id, "extract")
    return dict(record["failed"]) if record else {}


def units_to_process(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units the run extracted, or all of its units if it did not extract."""
    record = ledger.step(run.run_id, "extract")
    if record is None:
        return list(run.units)
    return [(retailer, date.fromisoformat(day)) for retailer, day in record["extracted"]]


def out_of_reach(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units that the run requested and the retailer no longer shows."""
    record = ledger.step(run.run_id, "extract") or {}
    return [(retailer, date.fromisoformat(day)) for retailer, day in record.get("out_of_reach", [])]


def counts_of(ledger: Ledger, run_id: str) -> list[HopCount]:
    """Rows and money that the run counted at each hop it reached."""
    records = (ledger.step(run_id, step) or {} for step in _COUNTING)
    return [HopCount.from_json(count) for record in records for count in record.get("counts", [])]
