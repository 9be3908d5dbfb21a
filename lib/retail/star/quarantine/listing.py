"""Refused lines as a person looks at them: selected, grouped or one by one, and in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from retail.runs.counts import HopCount
from retail.star.quarantine.acknowledged import Acceptance, what_for


@dataclass(frozen=True)
class Selection:
    """Retailers (none: all) and the first and last logical date (None: no bound)."""

    retailers: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    def has(self, retailer_id: str, day: date) -> bool:
        """Whether the retailer's logical date is in the selection."""
        return (
            (not self.retailers or retailer_id in self.retailers)
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )


EVERYTHING: Final = Selection()


@dataclass(frozen=True)
class Group:
    """Refused lines of one retailer's logical date with the same reasons and currency; money is Σ total_amount.

    Lines with an unreadable amount count no money; `currency` is None if it is unreadable.
    """

    retailer_id: str
    logical_date: date
    severity: str
    reasons: str
    currency: str | None
    rows: int
    money: Decimal


@dataclass(frozen=True)
class Refused:
    """A refused line. `row` identifies it: 12 hexadecimal digits of retailer, date and text, always the same.

    `total_amount` and `currency` are None if they are unreadable, `accepted` is None if the line is open.
    """

    row: str
    retailer_id: str
    logical_date: date
    severity: str
    reasons: str
    warnings: str
    source_ref: str | None
    value: str
    run_id: str
    currency: str | None
    total_amount: Decimal | None
    accepted: Acceptance | None


def acceptance(lines: Iterable[Refused], *, because: str, at: datetime) -> Acceptance:
    """An acceptance of these lines: why and when, with their rows and money."""
    named: dict[tuple[str, date], dict[str, str]] = {}
    rows, money = 0, dict[str, Decimal]()
    for line in lines:
        rows += 1
        named.setdefault((line.retailer_id, line.logical_date), {})[line.row] = what_for(
            line.severity, line.reasons
        )
        if line.currency and line.total_amount:
            money[line.currency] = money.get(line.currency, Decimal(0)) + line.total_amount
    return Acceptance(
        at=at.isoformat(timespec="seconds"),
        because=because,
        rows=rows,
        money={currency: format(amount, "f") for currency, amount in sorted(money.items())},
        lines=named,
    )


def in_one_line(made: Acceptance) -> str:
    """When it was accepted, its rows and money at that time, and why."""
    money = "".join(f", {Decimal(amount):,.2f} {currency}" for currency, amount in sorted(made.money.items()))
    return f"{when(made)}: {made.rows:,} rows{money}, because: {made.because}"


def when(made: Acceptance) -> str:
    """Such as `2017-01-09 14:30 UTC`."""
    return f"{datetime.fromisoformat(made.at):%Y-%m-%d %H:%M} UTC"


def totals(figures: Iterable[Group | HopCount]) -> tuple[int, dict[str, Decimal]]:
    """Total rows, and money by currency if it is known."""
    rows, money = 0, dict[str, Decimal]()
    for each in figures:
        rows += each.rows
        if each.currency is not None and each.money:
            money[each.currency] = money.get(each.currency, Decimal(0)) + each.money
    return rows, money


def in_words(figures: Iterable[Group | HopCount]) -> str:
    """Such as `3 rows, 12.50 USD`."""
    rows, money = totals(figures)
    return ", ".join(
        [f"{rows:,} rows", *(f"{amount:,.2f} {currency}" for currency, amount in sorted(money.items()))]
    )
