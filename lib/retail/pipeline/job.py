"""A run as its steps see it: what it works with, what its steps recorded, and where it tells how it goes."""

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
    """Where a run tells how it goes: a terminal, a log, or nowhere."""

    def started(self, step: str, *, last_time: float | None = None) -> None: ...

    def expects(self, step: str, total: int, what: str) -> None: ...

    def progress(self, step: str, done: int, text: str) -> None: ...

    def waits(self, step: str, text: str) -> None: ...

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None: ...


@dataclass(frozen=True)
class RunOptions:
    """How the steps of a run are done.

    With `force` complete days are done again, and fetched from their start even if another run left them unfinished.
    Without `patient` a retailer whose quota is used up fails instead of being waited for. `parallel` days of a retailer
    are fetched at a time. A `replay` stages days again for their rejected lines; `tolerated_rejects` are the lines of
    each retailer that may be rejected again. After `last_step` the run pauses; the same command without it resumes.
    """

    force: bool = False
    patient: bool = True
    parallel: int = 1
    replay: bool = False
    tolerated_rejects: Mapping[str, int] = field(default_factory=dict)
    last_step: str | None = None


@dataclass(frozen=True)
class Job:
    """A run, with what it works with and where it tells how it goes."""

    resources: Resources
    run: Run
    report: Report
    options: RunOptions = RunOptions()

    @property
    def context(self) -> Context:
        """What the steps in the engine need."""
        return self.resources.context(self.run.run_id)

    def recorded(self, step: str) -> Record | None:
        """What the step recorded, or None where it has not ended."""
        return self.resources.ledger.step(self.run.run_id, step)

    def counts(self, step: str) -> list[HopCount]:
        """Rows and money that the step counted; none where it has not ended."""
        record = self.recorded(step)
        return [HopCount.from_json(count) for count in record["counts"]] if record else []

    def failed_retailers(self) -> dict[str, str]:
        """The retailers that could not be read, and why, by this run or the one whose merge it is behind."""
        return failed_retailers(self.resources.ledger, self.run)

    def failed_for_days(self) -> list[str]:
        """Those of them that answered, and of which single days could not be had."""
        record = self.resources.ledger.step(self.run.behind or self.run.run_id, "extract")
        return list(record.get("failed_for_days", [])) if record else []

    def units_to_process(self) -> list[RetailerDay]:
        """The units that were extracted by this run, or all of them where it did not extract itself."""
        return units_to_process(self.resources.ledger, self.run)


def failed_retailers(ledger: Ledger, run: Run) -> dict[str, str]:
    """The retailers that the run, or the one whose merge it is behind, could not read, and why."""
    record = ledger.step(run.behind or run.run_id, "extract")
    return dict(record["failed"]) if record else {}


def units_to_process(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units that the run extracted, or all of them where it did not extract itself."""
    record = ledger.step(run.run_id, "extract")
    if record is None:
        return list(run.units)
    return [(retailer, date.fromisoformat(day)) for retailer, day in record["extracted"]]


def out_of_reach(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units that the run asked for, and that their retailer no longer shows."""
    record = ledger.step(run.run_id, "extract") or {}
    return [(retailer, date.fromisoformat(day)) for retailer, day in record.get("out_of_reach", [])]


def counts_of(ledger: Ledger, run_id: str) -> list[HopCount]:
    """Rows and money that the run counted at each hop it came to."""
    records = (ledger.step(run_id, step) or {} for step in _COUNTING)
    return [HopCount.from_json(count) for record in records for count in record.get("counts", [])]
