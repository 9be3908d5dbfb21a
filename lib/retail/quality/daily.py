"""How each day of a run compares with earlier days: the small frame that the suite `daily_sales` validates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A day is compared with the same weekday in this many weeks before it.
WEEKS: Final = 4

SCHEMA: Final = (
    "retailer_id string, business_date date, currency string, sales int, rows int, money decimal(18,4), "
    "rows_same_weekday double, rows_ratio double, days_since_newest int"
)


@dataclass(frozen=True)
class DayOfSales:
    """Rows and money of a retailer's business date in one currency, and how usual they are.

    `rows_same_weekday` is the mean of the same weekday in the four weeks before, over the days that have rows in the
    currency; None if none has. `rows_ratio`, rows divided by that mean, is then None too. `rows_ratio` and `money` are
    also None for a day that has, and usually had, fewer rows than are checked. Two figures are the retailer's over all
    its currencies: `sales`, the day's completed sales, and `days_since_newest`, the days from its newest business date
    with such a sale, none that is still to come, to the last day checked; None if nothing was sold in all those weeks.
    """

    retailer_id: str
    business_date: date
    currency: str | None
    sales: int
    rows: int
    money: Decimal | None
    rows_same_weekday: float | None
    rows_ratio: float | None
    days_since_newest: int | None


@dataclass(frozen=True)
class Total:
    """Rows and money of one retailer, business date and currency in the fact; `sales` are its completed sales."""

    retailer_id: str
    business_date: date
    currency: str
    rows: int
    sales: int
    money: Decimal


RetailerDay = tuple[str, date]


def months_needed(units: Iterable[RetailerDay]) -> list[str]:
    """The months (`YYYY-MM`) of the fact that the comparison of these retailer-days reads."""
    days = (day - timedelta(weeks=week) for _, day in units for week in range(WEEKS + 1))
    return sorted({f"{day:%Y-%m}" for day in days})


def totals(fact: DataFrame) -> list[Total]:
    """Rows and money by retailer, business date and currency, read once."""
    sale = F.expr("record_type = 'sale' AND status = 'completed'")
    grouped = fact.groupBy("retailer_id", "business_date", "currency").agg(
        F.count("*").alias("rows"),
        F.count(F.when(sale, 1)).alias("sales"),
        F.sum("total_amount").alias("money"),
    )
    names = [each.name for each in fields(Total)]
    return [Total(*row) for row in grouped.select(*names).collect()]


def compare(found: Sequence[Total], units: Iterable[RetailerDay], *, least_rows: int = 0) -> list[DayOfSales]:
    """Each retailer-day of `units` in the star, compared with earlier days.

    Rows and money of a currency with fewer than `least_rows` rows, that day and before, are not checked: see
    DayOfSales.

    A day has one row per currency with rows, or one row of 0 rows in the retailer's main currency if it has none.
    """
    wanted = sorted(set(units))
    return [
        day
        for retailer_id in sorted({retailer_id for retailer_id, _ in wanted})
        for day in _of_retailer(
            [total for total in found if total.retailer_id == retailer_id],
            retailer_id,
            [day for each, day in wanted if each == retailer_id],
            least_rows=least_rows,
        )
    ]


def frame(session: SparkSession, days: Sequence[DayOfSales]) -> DataFrame:
    """The days as a frame; see DayOfSales."""
    return session.createDataFrame([astuple(day) for day in days], SCHEMA)


def _of_retailer(
    totals: Sequence[Total], retailer_id: str, days: Sequence[date], *, least_rows: int
) -> list[DayOfSales]:
    # A line that is dated ahead is no sign of life.
    newest = max(
        (each.business_date for each in totals if each.sales and each.business_date <= days[-1]), default=None
    )
    since = (days[-1] - newest).days if newest else None
    by_currency = _by_currency(totals)
    found = [
        _day(
            by_currency.get(currency, {}), retailer_id, currency, day, sales=_sales(totals, day), since=since
        )
        for day in days
        for currency in [c for c in by_currency if day in by_currency[c]] or [_main_currency(totals)]
    ]
    return [
        replace(day, money=None, rows_ratio=None)
        if max(day.rows, day.rows_same_weekday or 0) < least_rows
        else day
        for day in found
    ]


def _by_currency(totals: Iterable[Total]) -> dict[str | None, dict[date, Total]]:
    sorted_out: dict[str | None, dict[date, Total]] = {}
    for total in totals:
        sorted_out.setdefault(total.currency, {})[total.business_date] = total
    return sorted_out


def _main_currency(totals: Iterable[Total]) -> str | None:
    """The currency with the most rows; None for a retailer that has none."""
    rows: Counter[str] = Counter()
    for total in totals:
        rows[total.currency] += total.rows
    return max(rows, key=lambda currency: (rows[currency], currency), default=None)


def _sales(totals: Iterable[Total], day: date) -> int:
    return sum(total.sales for total in totals if total.business_date == day)


def _day(
    by_date: Mapping[date, Total],
    retailer_id: str,
    currency: str | None,
    day: date,
    *,
    sales: int,
    since: int | None,
) -> DayOfSales:
    weeks = [by_date.get(day - timedelta(weeks=week)) for week in range(1, WEEKS + 1)]
    before = [total.rows for total in weeks if total is not None]
    usual = sum(before) / len(before) if before else None
    today = by_date.get(day)
    return DayOfSales(
        retailer_id=retailer_id,
        business_date=day,
        currency=currency,
        sales=sales,
        rows=today.rows if today else 0,
        money=today.money if today else Decimal(0),
        rows_same_weekday=usual,
        rows_ratio=(today.rows if today else 0) / usual if usual else None,
        days_since_newest=since,
    )
