"""What a scheduler reports of its failed tasks, besides the runs in the ledger: a task may fail before its run begins.

ops/failures/<time>-<run>-<task>-<random>.json
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from retail.errors import StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.runs.ledger import Ledger

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
# A reason is a message and its hint, seldom more than a few lines; the scheduler's log has the rest.
Text = Annotated[str, StringConstraints(max_length=8000)]


class Failure(BaseModel):
    """A failed attempt of a task: its run (by the name it was given), the reason, and what to do.

    `attempt` is in the scheduler's words, such as "1 of 3"; `next` says what to fix, `command` what to run then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Name
    task: Name
    attempt: Text
    reason: Text
    next: Text
    command: Text
    failed_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def note(storage: Storage, failure: Failure) -> None:
    """Keep the failure."""
    stamp = f"{failure.failed_at:%Y%m%dT%H%M%S.%fZ}"
    key = f"{layout.TASK_FAILURES}{stamp}-{failure.run}-{failure.task}-{secrets.token_hex(3)}.json"
    storage.write(key, failure.model_dump_json(indent=1).encode())


def newest(storage: Storage, most: int) -> list[Failure]:
    """The newest `most` failures, oldest first. Raises StorageError if one cannot be read."""
    return [_read(storage, key) for key in sorted(storage.list(layout.TASK_FAILURES))[-most:]]


def fixed_by(ledger: Ledger, failure: Failure) -> str | None:
    """The run that completed, after the failure, everything the failed run was for; None if there is none yet.

    For a failure before its run began, that is the next run from the checkpoints to the views for every retailer.
    """
    failed = ledger.newest_named(failure.run)
    for run_id in reversed(ledger.run_ids()):
        ended = ledger.ended(run_id)
        if ended is None or datetime.fromisoformat(ended["ended_at"]) <= failure.failed_at:
            continue
        if failed is not None and failed.units:
            if set(failed.units) <= ledger.done() and set(ledger.run(run_id).units) & set(failed.units):
                return run_id
        elif ended["outcome"] == "success" and _came_all_the_way(ledger, run_id):
            return run_id
    return None


def _came_all_the_way(ledger: Ledger, run_id: str) -> bool:
    fetched = ledger.step(run_id, "extract") is not None and not ledger.run(run_id).backfill
    return fetched and ledger.step(run_id, "refresh") is not None


def _read(storage: Storage, key: str) -> Failure:
    try:
        return Failure.model_validate_json(storage.read(key))
    except ValidationError as error:
        raise StorageError(
            f"{storage.url}/{key} is not the record of a failure: {error.error_count()} problem(s)",
            hint="delete this one object; it only recorded a failure",
        ) from None
