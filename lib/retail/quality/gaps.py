"""Stores that were silent on a day on which they were expected to sell, and days with no data at all.

A store is expected on a day if it sold on nearly every earlier day on which its retailer sold anything: a store that is
closed on Sundays, or sells once a week, is not expected every day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from retail.config.settings import QualitySettings

UNKNOWN_STORE = -1


@dataclass(frozen=True, order=True)
class Gap:
    """A retailer's business day without a sale: of one store, or of all if `store_id` is None.

    Of the last `of_days` days on which the retailer sold, the store sold on `sold_days`.
    """

    retailer_id: str
    business_date: str
    store_id: str | None
    store_name: str | None
    sold_days: int
    of_days: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, as a step records them."""
        return asdict(self)


def store_days(sales: DataFrame) -> DataFrame:
    """The days on which each store sold: (retailer_id, store_key, business_date), each once.

    Returns and cancelled lines are not sales.
    """
    sold = sales.where("record_type = 'sale' AND status = 'completed'")
    return sold.select("retailer_id", "store_key", "business_date").distinct()


def silent(
    store_days: DataFrame, judged: DataFrame, stores: DataFrame, settings: QualitySettings
) -> DataFrame:
    """Stores expected on a checked day and silent on it, as rows of Gap; a wholly silent retailer is one row.

    `judged` are (retailer_id, business_date); `store_days` reach `gap_days` back from the first of them; `stores` are
    (store_key, store_id, store_name). A day with fewer than `gap_history` days of sale before it is not checked.
    """
    day = judged.select("retailer_id", F.col("business_date").alias("day"))
    before = day.join(store_days, "retailer_id").where(
        f"business_date < day AND business_date >= date_sub(day, {settings.gap_days})"
    )
    of_retailer = before.groupBy("retailer_id", "day").agg(
        F.count_distinct("business_date").cast("int").alias("of_days")
    )
    of_store = before.groupBy("retailer_id", "day", "store_key").agg(
        F.count("*").cast("int").alias("sold_days")
    )
    expected = of_store.join(of_retailer, ["retailer_id", "day"]).where(
        f"store_key <> {UNKNOWN_STORE} AND of_days >= {settings.gap_history} "
        f"AND sold_days >= {settings.gap_share} * of_days"
    )
    sold = store_days.withColumnRenamed("business_date", "day")
    came = sold.select("retailer_id", "day").distinct()
    silent_stores = (
        expected.join(sold, ["retailer_id", "day", "store_key"], "left_anti")
        .join(came, ["retailer_id", "day"], "left_semi")
        .join(stores, "store_key", "left")
        .select("retailer_id", "day", "store_id", "store_name", "sold_days", "of_days")
    )
    silent_retailers = (
        of_retailer.where(f"of_days >= {settings.gap_history}")
        .join(came, ["retailer_id", "day"], "left_anti")
        .selectExpr(
            "retailer_id", "day", "CAST(NULL AS string) AS store_id", "CAST(NULL AS string) AS store_name",
            "of_days AS sold_days", "of_days",
        )
    )  # fmt: skip
    return silent_stores.unionByName(silent_retailers).withColumnRenamed("day", "business_date")


def months_between(first: date, last: date) -> list[str]:
    """`YYYY-MM` of both days and of the months between them."""
    span = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return sorted({f"{day:%Y-%m}" for day in span})


def warnings(found: Iterable[Gap]) -> list[str]:
    """One line per retailer-day: how many stores were silent, or that no data came."""
    days: dict[tuple[str, str], list[Gap]] = {}
    for gap in found:
        days.setdefault((gap.retailer_id, gap.business_date), []).append(gap)
    lines = []
    for (retailer_id, day), of_day in sorted(days.items()):
        stores = [gap.store_name or gap.store_id or "" for gap in of_day if gap.store_id is not None]
        if not stores:
            lines.append(f"gaps: {retailer_id} sold nothing on {day}")
            continue
        named = ", ".join(stores[:3]) + (f" and {len(stores) - 3:,} more" if stores[3:] else "")
        lines.append(f"gaps: {len(stores):,} store(s) of {retailer_id} silent on {day}: {named}")
    return lines


def missing_days(
    done: Iterable[tuple[str, date]], retailers: Iterable[str], *, start_date: date, last: date
) -> dict[str, list[date]]:
    """Each retailer's logical dates from `start_date` that were never loaded; a retailer without any is left out.

    They end with the latest day that any retailer has reached, or `last` if that is later: so a retailer that stays
    away is noticed too.
    """
    came = set(done)
    last = max([last, *(day for _, day in came)])
    span = [start_date + timedelta(days=n) for n in range((last - start_date).days + 1)]
    missing = {each: [day for day in span if (each, day) not in came] for each in retailers}
    return {retailer_id: days for retailer_id, days in missing.items() if days}


def never_loaded(missing: Mapping[str, Sequence[date]]) -> list[str]:
    """One line per retailer, with the first of its missing days."""
    lines = []
    for retailer_id, days in sorted(missing.items()):
        named = ", ".join(map(str, days[:5])) + (f" and {len(days) - 5:,} more" if days[5:] else "")
        lines.append(f"{retailer_id}: never loaded: {named}")
    return lines
