"""Every error that this product raises on purpose.

RetailError
├── ConfigurationError     a key or a secret is wrong or missing; nothing was started       (exit 2)
├── ExtractError           one retailer could not be read; the others go on                 (exit 3)
│   ├── RefusedError       it answered, and asking again will not change that
│   ├── QuotaError         its quota is used up, and the command was told not to wait
│   ├── CursorExpiredError it no longer takes the cursor of an earlier page
│   └── OutOfReachError    it no longer shows that day, and answers for later ones
├── NobodyAnsweredError    every retailer that was asked failed; nothing was fetched        (exit 1)
├── QualityError           a gate or an identity does not hold; nothing more is published   (exit 4)
│   ├── GateError          a critical expectation failed
│   ├── TieOutError        rows or money differ between two hops
│   ├── UncheckedError     published rows have passed no check; the views do not show them
│   └── KeyCollisionError  two natural keys share one surrogate key
├── StorageError           the lake's files cannot be read or written                       (exit 1)
│   ├── ObjectNotFoundError  the object is not there
│   ├── DamagedError         one retailer's objects are not as they were written, or not all there
│   └── NotFetchedError      of one retailer's day there are no pages, or none to its end
├── EngineError            Sail or Spark cannot start or lost a query                       (exit 1)
├── WarehouseError         PostgreSQL cannot be reached or refused a statement              (exit 1)
└── LeaseHeldError         another run is working                                           (exit 1)

A message says what happened, to which retailer, date or table; the hint says what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime


class RetailError(Exception):
    """The root: carries a hint for the next step and the exit code of the command that ends with it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class ConfigurationError(RetailError):
    """Configuration or secrets are wrong. `problems` names every one of them, not the first only."""

    exit_code = 2

    def __init__(self, problems: list[str], *, hint: str = "mend conf/*.toml or the environment") -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the configuration has {len(problems)} problem(s):\n{lines}", hint=hint)
        self.problems = problems


class ExtractError(RetailError):
    exit_code = 3


class RefusedError(ExtractError):
    """`status` is the HTTP status of the refusal, `answered_at` the retailer's own time, where it told that."""

    def __init__(self, message: str, *, hint: str, status: int, answered_at: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.answered_at = answered_at


class QuotaError(ExtractError):
    pass


class CursorExpiredError(ExtractError):
    pass


class OutOfReachError(ExtractError):
    pass


class NobodyAnsweredError(RetailError):
    """`failed` maps each retailer to why it could not be read."""

    def __init__(self, failed: Mapping[str, str]) -> None:
        reasons = (reason.replace("\n", "\n    ") for reason in failed.values())
        told = "".join(
            f"\n  - {retailer}: {reason}" for retailer, reason in zip(failed, reasons, strict=True)
        )
        super().__init__(
            f"no day was fetched to its end, for none of {', '.join(failed)} could be read:{told}",
            hint="the same command goes on where each stopped, once they answer",
        )
        self.failed = dict(failed)


class QualityError(RetailError):
    exit_code = 4


class GateError(QualityError):
    pass


class TieOutError(QualityError):
    pass


class UncheckedError(QualityError):
    """`runs` are published and have passed no check, each with its logical dates."""

    def __init__(self, runs: Mapping[str, Sequence[date]]) -> None:
        days = sorted({day for dates in runs.values() for day in dates})
        dates = f"--date {days[0]}" if len(days) == 1 else f"--from {days[0]} --to {days[-1]}"
        super().__init__(
            f"not refreshed: the views would show rows that passed no check, published by run {', '.join(runs)}",
            hint=f"run `retail check {dates}`; once it passes, run the same command again. "
            "If the check fails, see docs/DATA_QUALITY.md",
        )
        self.runs = dict(runs)


class KeyCollisionError(QualityError):
    pass


class StorageError(RetailError):
    pass


class ObjectNotFoundError(StorageError):
    pass


class DamagedError(StorageError):
    pass


class NotFetchedError(StorageError):
    pass


class EngineError(RetailError):
    pass


class WarehouseError(RetailError):
    pass


class LeaseHeldError(RetailError):
    pass
