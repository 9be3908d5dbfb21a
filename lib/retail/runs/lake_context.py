"""What a run's work on the lake needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from retail.config.settings import Settings
from retail.lake.storage import Storage
from retail.runs.ledger import Ledger

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class LakeContext(Protocol):
    """The part of the pipeline's StepContext that the star needs: neither the retailers' APIs nor PostgreSQL.

    `storage` and `ledger` write as the holder of the lease; `run_id` is the run that does the work.
    """

    @property
    def session(self) -> SparkSession: ...

    @property
    def storage(self) -> Storage: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def run_id(self) -> str: ...
