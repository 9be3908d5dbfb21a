"""What each step of a run results in, as later steps and `retail status` read it from the ledger.

The fields are the keys of the JSON record; those with a default were not written by every earlier version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter

from retail.landing.master_data import LookedUp
from retail.pipeline.tasks import DESCRIBE
from retail.quality.gaps import Gap
from retail.runs.counts import HopCount
from retail.runs.days import RetailerDay
from retail.runs.ledger import Ledger
from retail.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result of a step; `summary` is its line in the run's output."""

    step: ClassVar[str]
    summary: str = ""
    # The ledger's, once the step has ended.
    ended_at: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, ledger: Ledger, run_id: str) -> Self | None:
        """The run's recorded result, or None if the step has not ended."""
        record = ledger.step(run_id, cls.step)
        return None if record is None else cls.from_json(record)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The result from its record."""
        return TypeAdapter(cls).validate_python(record)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the ledger records them."""
        record: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return record


@dataclass(frozen=True, kw_only=True)
class ExtractResult(StepResult):
    """`failed` maps a retailer to why; `failed_for_days` are those of them that answered, but lack some days."""

    step: ClassVar[str] = "extract"
    extracted: list[RetailerDay] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    failed_for_days: list[str] = field(default_factory=list)
    out_of_reach: list[RetailerDay] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class LandResult(StepResult):
    step: ClassVar[str] = "land"
    counts: list[HopCount] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DescribeResult(StepResult):
    """What each retailer's catalogue was asked. This is no step of its own: no day waits for it."""

    step: ClassVar[str] = DESCRIBE
    looked_up: list[LookedUp] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StageResult(StepResult):
    """`format` is the lake's when the rows were staged; `in_quarantine` is all that is open there, in words."""

    step: ClassVar[str] = "stage"
    format: int | None = None
    lines_version: int
    sales_version: int
    counts: list[HopCount] = field(default_factory=list)
    critical: list[HopCount] = field(default_factory=list)
    warned: list[HopCount] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    in_quarantine: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class GateResult(StepResult):
    step: ClassVar[str] = "gate"
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class MergeResult(StepResult):
    """Delta's version and the rows per action of each table; `months` are the fact's that were merged into."""

    step: ClassVar[str] = "merge"
    versions: dict[str, int]
    actions: dict[str, dict[str, int]]
    months: list[str]
    counts: list[HopCount] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PublishResult(StepResult):
    """`runs` are those whose rows were published, `sent` the rows per table."""

    step: ClassVar[str] = "publish"
    runs: list[str]
    months: list[str]
    sent: dict[str, int]
    restated_days: int = 0


@dataclass(frozen=True, kw_only=True)
class CheckResult(StepResult):
    """`months` are the fact's that were checked, None for all; `gaps` are the first of `gaps_in_all`."""

    step: ClassVar[str] = "check"
    months: list[str] | None = None
    counts: list[HopCount] = field(default_factory=list)
    gaps: list[Gap] | None = None
    gaps_in_all: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RefreshResult(StepResult):
    """`views` maps each view to its rows."""

    step: ClassVar[str] = "refresh"
    views: dict[str, int]
    counts: list[HopCount] = field(default_factory=list)


COUNTING = (LandResult, StageResult, MergeResult, CheckResult, RefreshResult)


def extract_result(ledger: Ledger, run: Run) -> ExtractResult | None:
    """The result of the run's extract, or of the run's whose merge it follows; None if neither fetched."""
    return ExtractResult.of(ledger, run.after_run or run.run_id)


def units_to_process(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units the run extracted, or all of its units if it did not extract."""
    extract = ExtractResult.of(ledger, run.run_id)
    return list(run.units) if extract is None else extract.extracted


def out_of_reach(ledger: Ledger, run: Run) -> list[RetailerDay]:
    """The units that the run requested and the retailer no longer shows."""
    extract = ExtractResult.of(ledger, run.run_id)
    return [] if extract is None else extract.out_of_reach


def counts_of(ledger: Ledger, run_id: str) -> list[HopCount]:
    """Rows and money that the run counted at each hop it reached."""
    results = (each.of(ledger, run_id) for each in COUNTING)
    return [count for result in results if result is not None for count in result.counts]
