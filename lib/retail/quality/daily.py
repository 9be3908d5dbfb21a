"""How each day of a run compares with the days before it: the small frame that the suite `daily_sales` judges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A day is held against the same weekday of so many weeks before.
WEEKS: Final = 4

SCHEMA: Final = (
    "retailer_id string, business_date date, currency string, rows int, money decimal(18,4), "
    "rows_same_weekday double, rows_ratio double, days_since_newest int"
)


@dataclass(frozen=True)
class DayOfSales:
    """Rows and money of a retailer's business date in one currency, and how usual they are.

    `rows_same_weekday` is the mean of the same weekday in the four weeks before, over those on which the retailer
    sold anything; None where it did on none, and then `rows_ratio`, rows by that mean, is None too.
    `days_since_newest` are the days from the retailer's newest business date to the last day judged, None
    where nothing was sold in all those weeks. A day without a sale has no rows and the currency of the days before.
    """

    retailer_id: str
    business_date: date
    currency: str | None
    rows: int
    money: Decimal
    rows_same_weekday: float | None
    rows_ratio: float | None
    days_since_newest: int | None


@dataclass(frozen=True)
class Total:
    """Rows and money of one retailer, business date and currency in the fact."""

    retailer_id: str
    business_date: date
    currency: str
    rows: int
    money: Decimal


Unit = tuple[str, date]


def months_needed(units: Iterable[Unit]) -> list[str]:
    """The months (`YYYY-MM`) of the fact that the comparison of these retailers' days reads."""
    days = (day - timedelta(weeks=week) for _, day in units for week in range(WEEKS + 1))
    return sorted({f"{day:%Y-%m}" for day in days})


def totals(fact: DataFrame) -> list[Total]:
    """Rows and money by retailer, business date and currency, read once."""
    grouped = fact.groupBy("retailer_id", "business_date", "currency").agg(
        F.count("*").alias("rows"), F.sum("total_amount").alias("money")
    )
    names = [each.name for each in fields(Total)]
    return [Total(*row) for row in grouped.select(*names).collect()]


def compare(found: Sequence[Total], units: Iterable[Unit]) -> list[DayOfSales]:
    """Each retailer's each day of `units`, as it is in the star beside the days before."""
    wanted = sorted(set(units))
    return [
        _day(by_date, retailer_id, currency, day, last=max(d for r, d in wanted if r == retailer_id))
        for retailer_id, day in wanted
        for currency, by_date in _by_currency(found, retailer_id).items()
    ]


def frame(session: SparkSession, days: Sequence[DayOfSales]) -> DataFrame:
    """The days as a frame; see DayOfSales."""
    return session.createDataFrame([astuple(day) for day in days], SCHEMA)


def _by_currency(found: Sequence[Total], retailer_id: str) -> dict[str | None, dict[date, Total]]:
    """A retailer without any sale has one currency that is not known, and no day."""
    sorted_out: dict[str | None, dict[date, Total]] = {}
    for total in found:
        if total.retailer_id == retailer_id:
            sorted_out.setdefault(total.currency, {})[total.business_date] = total
    return sorted_out or {None: {}}


def _day(
    by_date: dict[date, Total], retailer_id: str, currency: str | None, day: date, *, last: date
) -> DayOfSales:
    weeks = [by_date.get(day - timedelta(weeks=week)) for week in range(1, WEEKS + 1)]
    before = [total.rows for total in weeks if total is not None]
    usual = sum(before) / len(before) if before else None
    today = by_date.get(day)
    newest = max(by_date, default=None)
    return DayOfSales(
        retailer_id=retailer_id,
        business_date=day,
        currency=currency,
        rows=today.rows if today else 0,
        money=today.money if today else Decimal(0),
        rows_same_weekday=usual,
        rows_ratio=(today.rows if today else 0) / usual if usual else None,
        days_since_newest=max(0, (last - newest).days) if newest else None,
    )
