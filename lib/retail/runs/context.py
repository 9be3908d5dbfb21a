"""The context that every step of a run is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retail.config.settings import Settings
from retail.lake.storage import Storage
from retail.runs.ledger import Ledger

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Context:
    """The engine's session, the lake, the settings, the ledger, and the id of the run that does the work."""

    session: SparkSession
    storage: Storage
    settings: Settings
    ledger: Ledger
    run_id: str
