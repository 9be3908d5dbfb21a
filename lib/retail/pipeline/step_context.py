"""What the steps of a run work with, how they are to be done, and where they report progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage import Storage
from retail.runs.ledger import Ledger
from retail.runs.run import Run
from retail.sources.http.rate_limit import QuotaPolicy
from retail.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
    `tolerated_rejects` is the number of lines per retailer that may be rejected again. A comparison with
    `accept_deletions` marks orders as deleted however many they are. A run that is part of a `rebuild` works although
    one has begun, lets pass the gate what passed it before, and publishes the whole star; with `replace`
    it removes what runs of another lake published. After `last_step` the run pauses; the same command without it
    resumes.
    """

    force: bool = False
    patient: bool = True
    parallel: int = 1
    replay: bool = False
    accept_deletions: bool = False
    tolerated_rejects: Mapping[str, int] = field(default_factory=dict)
    rebuild: bool = False
    replace: bool = False
    last_step: str | None = None


@dataclass(frozen=True)
class StepContext:
    """What the steps of one run work with. The pipeline makes it once it holds the lease.

    `storage` and `ledger` write as the holder of the lease. The engine and PostgreSQL are opened on first use. `quotas`
    is what the run knows of each retailer's quota, for all steps that call its API.
    """

    run: Run
    settings: Settings
    secrets: Secrets
    storage: Storage
    ledger: Ledger
    report: Report
    options: RunOptions
    open_session: Callable[[], SparkSession]
    open_warehouse: Callable[[], Warehouse]
    quotas: dict[str, QuotaPolicy] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def session(self) -> SparkSession:
        return self.open_session()

    @property
    def warehouse(self) -> Warehouse:
        return self.open_warehouse()
