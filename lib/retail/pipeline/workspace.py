"""What a command works with: storage, ledger, engine and warehouse, each opened on first use, all closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.engine import open_session
from retail.lake.storage import Storage, open_storage
from retail.pipeline.step_context import Report, RunOptions, StepContext
from retail.runs import lease
from retail.runs.fenced_storage import FencedStorage
from retail.runs.lease import Lease
from retail.runs.ledger import Ledger
from retail.runs.run import Run
from retail.warehouse.connection import Warehouse, open_warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Workspace:
    """Storage, ledger, engine session and warehouse of one command. A context manager.

    `storage` and `ledger` serve commands that read, and the little that needs no lease.
    """

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self.settings = settings
        self.secrets = secrets.with_references(settings.secrets)
        self._open = ExitStack()

    @cached_property
    def storage(self) -> Storage:
        return open_storage(self.settings.lake, self.settings.engine)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.storage)

    @cached_property
    def session(self) -> SparkSession:
        return self._open.enter_context(open_session(self.settings))

    @cached_property
    def warehouse(self) -> Warehouse:
        return self._open.enter_context(open_warehouse(self.settings.warehouse, self.secrets))

    @contextmanager
    def lease(self, run_id: str) -> Iterator[LeasedWorkspace]:
        """Hold the lake's lease for a block. Raises LeaseHeldError if another run is working."""
        lifetime = timedelta(seconds=self.settings.runs.lease_seconds)
        with lease.hold(self.storage, run_id, lifetime=lifetime) as held:
            storage = FencedStorage(self.storage, held.require)
            yield LeasedWorkspace(self, held, storage, Ledger(storage))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


@dataclass(frozen=True)
class LeasedWorkspace:
    """A workspace while its lease is held; `storage` and `ledger` refuse to write once it is lost."""

    workspace: Workspace
    lease: Lease
    storage: Storage
    ledger: Ledger

    def step_context(self, run: Run, report: Report, options: RunOptions) -> StepContext:
        """What the steps of `run` work with."""
        return StepContext(
            run,
            self.workspace.settings,
            self.workspace.secrets,
            self.storage,
            self.ledger,
            report,
            options,
            open_session=lambda: self.workspace.session,
            open_warehouse=lambda: self.workspace.warehouse,
        )
