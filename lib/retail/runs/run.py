"""A run as recorded in the ledger, and how its id is made."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from retail.errors import ConfigurationError
from retail.runs.days import RetailerDay, Span

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_STAMP: Final = "%Y%m%dT%H%M%SZ"


def new_run_id(now: datetime, name: str | None = None, *, newest: str | None = None) -> str:
    """An id that sorts by time, after `newest` whatever the clock says; it ends in `name` or a random text.

    Raises ConfigurationError for a name that could not be a folder name.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ConfigurationError(
            [f"--run-id {name!r}: only letters, digits, `.`, `_` and `-`, at most 100 of them"],
            hint="in Airflow, use {{ ts_nodash }}",
        )
    stamp = now.strftime(_STAMP)
    before = newest.partition("-")[0] if newest is not None else ""
    if stamp <= before:  # the clock was set back, or this is the same second
        stamp = (datetime.strptime(before, _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(
            _STAMP
        )
    return f"{stamp}-{name or secrets.token_hex(3)}"


@dataclass(frozen=True)
class Run:
    """What a run is for, and the tasks given to the command that began it.

    `span` is everything the command named, of which this run is the whole or a part; None if it named no days. A
    `backfill` moves no checkpoint. `force`: the run processes days again even if they are complete. `after_run`: the
    run whose merge this one only checks and refreshes. `reconcile`: the run compares days with the retailers again.
    """

    run_id: str
    units: tuple[RetailerDay, ...]
    tasks: tuple[str, ...]
    engine: str
    started_at: str
    span: Span | None = None
    backfill: bool = False
    force: bool = False
    after_run: str | None = None
    reconcile: bool = False

    @property
    def retailers(self) -> list[str]:
        return sorted({retailer for retailer, _ in self.units})

    @property
    def dates(self) -> list[date]:
        return sorted({day for _, day in self.units})

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Run:
        """The run from its record; fields that earlier versions did not write get the meaning they had then."""
        span = values.get("span")
        return cls(
            run_id=values["run_id"],
            units=tuple((retailer, date.fromisoformat(day)) for retailer, day in values["units"]),
            tasks=tuple(values["tasks"]),
            engine=values["engine"],
            started_at=values["started_at"],
            span=Span.from_json(span) if span is not None else None,
            backfill=values.get("backfill", False),
            force=values.get("anew", False),
            after_run=values.get("behind"),
            reconcile=values.get("reconcile", False),
        )

    def to_json(self) -> dict[str, object]:
        """The run as it is recorded."""
        return {
            "run_id": self.run_id,
            "units": [[retailer, day.isoformat()] for retailer, day in self.units],
            "tasks": list(self.tasks),
            "engine": self.engine,
            "started_at": self.started_at,
            "span": self.span.to_json() if self.span is not None else None,
            "backfill": self.backfill,
            "anew": self.force,
            "behind": self.after_run,
            "reconcile": self.reconcile,
        }
