"""Every error that this product raises on purpose; docs/ERRORS.md has each with its code.

RetailError
├── ConfigurationError
├── PepperChangedError
├── ErasureError
├── ExtractError
│   ├── RefusedError
│   ├── QuotaError
│   ├── CursorExpiredError
│   ├── OutOfReachError
│   ├── AnswerLimitError
│   ├── BadCursorError
│   └── ForbiddenAddressError
├── NobodyAnsweredError
├── QualityError
│   ├── GateError
│   ├── TieOutError
│   ├── UncheckedError
│   └── KeyCollisionError
├── StorageError
│   ├── ObjectNotFoundError
│   ├── DamagedError
│   ├── TableDamagedError
│   ├── RebuildLeftError
│   ├── CustomersLeftError
│   └── NotFetchedError
├── EngineError
├── WarehouseError
│   ├── WarehouseRefusedError
│   ├── PublishLostError
│   └── PublishForeignError
└── LeaseHeldError

A message says what happened, to which retailer, date or table; the hint says what to do next. A code is stable:
messages may be reworded, and tests and alerts go by the code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import ClassVar

from retail.outgoing_text import mask


class RetailError(Exception):
    """An engine, a driver or a library failed in a way that nothing else here names; the log has its own words.

    The root: carries a hint for the next step, a stable code, and the exit code of the command that ends with it.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        # Masked here, because a message goes to the console, the logs, the ledger and reports.
        self.message, self.hint = mask(message), mask(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class ConfigurationError(RetailError):
    """A key or a secret is wrong or missing, or the command cannot be given like that; nothing was started.

    `problems` names every one of them, not the first only.
    """

    code = "configuration"
    exit_code = 2

    def __init__(
        self, problems: list[str], *, hint: str = "fix the configuration file or the environment"
    ) -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the configuration has {len(problems)} problem(s):\n{lines}", hint=hint)
        self.problems = problems


class PepperChangedError(RetailError):
    """The pepper is not the one under which the lake's customers have their pseudonyms; nothing was started."""

    code = "pepper-changed"
    exit_code = 2


class ErasureError(RetailError):
    """What should be gone of a customer was found all the same; the command has not ended, and can be given again."""

    code = "erasure"


class ExtractError(RetailError):
    """One retailer could not be read; the others are published, and the next run catches it up."""

    code = "extract"
    exit_code = 3


class RefusedError(ExtractError):
    """The retailer answered and refused; asking again will not change that.

    `status` is the HTTP status of the refusal, `answered_at` the retailer's own time, where it told that.
    """

    code = "refused"

    def __init__(self, message: str, *, hint: str, status: int, answered_at: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.answered_at = answered_at


class QuotaError(ExtractError):
    """The retailer's quota is used up, and the command was told not to wait."""

    code = "quota"


class CursorExpiredError(ExtractError):
    """The retailer no longer takes the cursor of an earlier page; the day is walked from its start."""

    code = "cursor-expired"


class OutOfReachError(ExtractError):
    """The retailer no longer shows that day, and answers for later ones."""

    code = "out-of-reach"


class AnswerLimitError(ExtractError):
    """An answer is larger, deeper or slower than any real one; no more of it was read."""

    code = "answer-limit"


class BadCursorError(ExtractError):
    """The retailer's cursor to the next page is no text, empty or leads in circles. That is never taken for the end."""

    code = "bad-cursor"


class ForbiddenAddressError(ExtractError):
    """The retailer named an address for a file that is not among those that may be asked; nothing was sent there."""

    code = "forbidden-address"


class NobodyAnsweredError(RetailError):
    """Every retailer that was asked failed; nothing was fetched.

    `failed` maps each retailer to why it could not be read.
    """

    code = "nobody-answered"

    def __init__(self, failed: Mapping[str, str]) -> None:
        reasons = (reason.replace("\n", "\n    ") for reason in failed.values())
        listed = "".join(
            f"\n  - {retailer}: {reason}" for retailer, reason in zip(failed, reasons, strict=True)
        )
        super().__init__(
            f"no day was fetched completely; none of {', '.join(failed)} could be read:{listed}",
            hint="give the same command once they answer; it resumes where each stopped",
        )
        self.failed = dict(failed)


class QualityError(RetailError):
    """A gate or an identity does not hold; nothing more is published."""

    code = "quality"
    exit_code = 4


class GateError(QualityError):
    """A critical expectation failed, or too many lines are in quarantine."""

    code = "gate"


class TieOutError(QualityError):
    """Rows or money differ between two hops."""

    code = "tie-out"


class UncheckedError(QualityError):
    """Published rows have passed no check; the views keep what they showed before.

    `runs` are published and have passed no check, each with its logical dates; `not_done` is what was refused.
    """

    code = "unchecked"

    def __init__(
        self, runs: Mapping[str, Sequence[date]], *, not_done: str = "refreshed", hint: str | None = None
    ) -> None:
        days = sorted({day for dates in runs.values() for day in dates})
        dates = f"--date {days[0]}" if len(days) == 1 else f"--from {days[0]} --to {days[-1]}"
        super().__init__(
            f"not {not_done}: the views would show rows that passed no check, published by run {', '.join(runs)}",
            hint=f"run `retail check {dates}`; once it passes, run the same command again. "
            "If the check fails, see docs/DATA_QUALITY.md"
            if hint is None
            else hint,
        )
        self.runs = dict(runs)


class KeyCollisionError(QualityError):
    """Two natural keys share one surrogate key; nothing was merged."""

    code = "key-collision"


class StorageError(RetailError):
    """The lake's files cannot be read or written."""

    code = "storage"


class ObjectNotFoundError(StorageError):
    """An object of the lake is not there."""

    code = "object-not-found"


class DamagedError(StorageError):
    """One retailer's objects are not as they were written, or some are missing."""

    code = "damaged"


def named_by_rebuild(table: str) -> str:
    """What `retail rebuild --table` calls the Delta table with that key."""
    return table.partition("/")[0] if table.startswith("staged/") else table.rpartition("/")[2]


class TableDamagedError(StorageError):
    """A Delta table is not as the last run left it: an object is damaged or missing. The table was left as it is.

    `table` is its key in the lake.
    """

    code = "table-damaged"

    def __init__(self, what: str, wrong: str, *, table: str) -> None:
        super().__init__(
            f"{what} {wrong}; the Delta table {table} is damaged",
            hint=f"the table was left as it is; `retail rebuild --table {named_by_rebuild(table)}` makes it again "
            "from the raw files. If the lake was restored from a backup, restore its ops/ of the same moment instead",
        )
        self.table = table


class RebuildLeftError(StorageError):
    """A rebuild of Delta tables has begun and not ended; until then nothing else reads or changes the star."""

    code = "rebuild-left"


class CustomersLeftError(StorageError):
    """An erasure or a rotation of the pepper has begun and not ended; until then no run works."""

    code = "customers-left"


class NotFetchedError(StorageError):
    """One retailer's day has no pages, or was never fetched to its end."""

    code = "not-fetched"


class EngineError(RetailError):
    """Sail or Spark cannot start, or lost a query."""

    code = "engine"


class WarehouseError(RetailError):
    """PostgreSQL cannot be reached, or refused a statement.

    `sqlstate` is PostgreSQL's own code of the refusal; None if it has given none.
    """

    code = "warehouse"
    sqlstate: str | None = None


class WarehouseRefusedError(WarehouseError):
    """PostgreSQL answers and does not let us in, or is too old: trying again will not change that."""

    code = "warehouse-refused"
    exit_code = 2


class PublishLostError(WarehouseError):
    """PostgreSQL lacks runs that were published: it was replaced, emptied or restored from an older dump."""

    code = "publish-lost"


class PublishForeignError(WarehouseError):
    """PostgreSQL holds runs that this lake does not know; a publish would mix the rows of two lakes.

    `runs` are these.
    """

    code = "publish-foreign"

    def __init__(self, message: str, *, hint: str, runs: Sequence[str]) -> None:
        super().__init__(message, hint=hint)
        self.runs = list(runs)


class LeaseHeldError(RetailError):
    """Another run works on the lake, or took over from this one.

    `holder` is the run that works on it; None if it has ended since, or is not known.
    """

    code = "lease-held"

    def __init__(self, message: str, *, hint: str, holder: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holder = holder
