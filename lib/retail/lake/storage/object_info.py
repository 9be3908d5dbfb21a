"""An object of the lake, as a listing describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of the lake: its key, its size in bytes, and when it was written (UTC)."""

    key: str
    size: int
    modified: datetime
