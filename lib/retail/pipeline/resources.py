"""The resources of a run, each opened on first use and all closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.engine import open_session
from retail.lake.storage import Storage, open_storage
from retail.runs import lease
from retail.runs.context import Context
from retail.runs.fenced_storage import FencedStorage
from retail.runs.lease import Lease
from retail.runs.ledger import Ledger
from retail.warehouse.connection import Warehouse, open_warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Resources:
    """Storage, ledger, engine session and warehouse of one command. A context manager."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self.settings = settings
        self.secrets = secrets
        self._open = ExitStack()

    @cached_property
    def storage(self) -> Storage:
        return open_storage(self.settings.lake)

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
    def lease(self, run_id: str) -> Iterator[Lease]:
        """Hold the lake's lease for a block; all writes to the lake within it are made as its holder.

        Raises LeaseHeldError if another run is working.
        """
        plain = self.storage
        lifetime = timedelta(seconds=self.settings.runs.lease_seconds)
        with lease.hold(plain, run_id, lifetime=lifetime) as held:
            self.storage = FencedStorage(plain, held.require)
            self.ledger = Ledger(self.storage)
            try:
                yield held
            finally:
                self.storage = plain
                self.ledger = Ledger(plain)

    def context(self, run_id: str) -> Context:
        """The context of a run's steps in the engine."""
        return Context(self.session, self.storage, self.settings, self.ledger, run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
