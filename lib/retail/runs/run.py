"""A run, as its record in the ledger has it, and how its id is made."""

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
    """Sorts by time, and behind the `newest` run's whatever the clock says; `name`, or else a random end, tells more.

    Raises ConfigurationError for a name that could not be a folder's.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ConfigurationError(
            [f"--run-id {name!r}: only letters, digits, `.`, `_` and `-`, at most 100 of them"],
            hint="in Airflow {{ ts_nodash }} serves",
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
    """What a run is for, and the tasks that the command which began it was given.

    `span` is all that the command named, of which this run is the whole or a part; None where it named no days. A
    `backfill` moves no checkpoint. `anew`: its days were done before. `behind` is the run whose merge this one only
    checks and refreshes.
    """

    run_id: str
    units: tuple[RetailerDay, ...]
    tasks: tuple[str, ...]
    engine: str
    started_at: str
    span: Span | None = None
    backfill: bool = False
    force: bool = False
    behind: str | None = None

    @property
    def retailers(self) -> list[str]:
        return sorted({retailer for retailer, _ in self.units})

    @property
    def dates(self) -> list[date]:
        return sorted({day for _, day in self.units})

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Run:
        """The run of a record; what earlier versions did not write is as it was then."""
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
            behind=values.get("behind"),
        )

    def to_json(self) -> dict[str, object]:
        """The run as its record has it."""
        return {
            "run_id": self.run_id,
            "units": [[retailer, day.isoformat()] for retailer, day in self.units],
            "tasks": list(self.tasks),
            "engine": self.engine,
            "started_at": self.started_at,
            "span": self.span.to_json() if self.span is not None else None,
            "backfill": self.backfill,
            "anew": self.force,
            "behind": self.behind,
        }
