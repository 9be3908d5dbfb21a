"""Rows and money of each outcome of staging: the figures for the tie-out, and what to report about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from retail.runs.counts import HopCount
from retail.star import versions
from retail.star.row_checks import SEPARATOR, UNREADABLE

_Group = tuple[str, date | None, str | None]
_Figures = tuple[int, Decimal]
_NOTHING: Final = (0, Decimal(0))

# The most names of unknown fields to report: if ids are used as field names there is no end of them. A name
# that is not plain, and may be somebody's e-mail address, is reported as `*`.
_TOLD_FIELDS: Final = 20
_PLAIN_NAME: Final = r"\A[A-Za-z0-9_.-]{1,60}\z"


@dataclass(frozen=True)
class Counted:
    """`counts` tie out: read = duplicate + quarantined + staged, with the quarantined by their reasons.

    In addition, `critical` counts lines quarantined by a critical rule, and `warned` counts staged rows for each of
    their warnings. `unknown_fields` are the names of fields that SalesRecord lacks, with the number of lines read that
    hold one. `keys` is the number of distinct keys of the good lines.
    """

    counts: list[HopCount]
    critical: list[HopCount]
    warned: list[HopCount]
    unknown_fields: dict[str, int]
    keys: int


def count(lines: DataFrame, sales: DataFrame) -> Counted:
    """Count the judged `lines` and the staged `sales`, each on its own; neither is derived from the other."""
    readable = F.col("reasons") != UNREADABLE
    read = (
        lines.groupBy(
            "from_retailer",
            F.when(readable, F.col("business_date")).alias("business_date"),
            F.when(readable, F.col("currency")).alias("currency"),
            "reasons",
            "severity",
        )
        .agg(
            F.count("*").alias("rows"),
            F.sum(F.when(readable, F.col("total_amount"))).alias("money"),
            F.count("unknown_fields").alias("of_unknown_fields"),
        )
        .collect()
    )
    staged = (
        sales.groupBy("from_retailer", "business_date", "currency", "warnings")
        .agg(F.count("*").alias("rows"), F.sum("total_amount").alias("money"))
        .collect()
    )
    good = lines.where("reasons = ''")
    keys = good.agg(F.count_distinct("sales_key")).collect()[0][0]
    is_contested = sum(row.rows for row in read if row.reasons == "") > keys
    return Counted(
        counts=_hops(read, _duplicates(good) if is_contested else [], staged),
        critical=[
            _hop("critical", _group(row), _figures(row), reason=row.reasons)
            for row in read
            if row.severity == "critical"
        ],
        warned=_warned(staged),
        unknown_fields=_name(lines) if any(row.of_unknown_fields for row in read) else {},
        keys=keys,
    )


def _duplicates(good: DataFrame) -> list[Row]:
    """Good lines that are not the newest of their key, ranked again here so that staging is checked independently.

    Only keys that occur more than once are ranked.
    """
    contested = good.groupBy("sales_key").agg(F.count("*").alias("n")).where("n > 1").select("sales_key")
    order = Window.partitionBy("retailer_id", "transaction_id", "line_id").orderBy(*versions.newest_first())
    ranked = good.join(contested, "sales_key", "left_semi").withColumn("rank", F.row_number().over(order))
    return (
        ranked.where("rank > 1")
        .groupBy("from_retailer", "business_date", "currency")
        .agg(F.count("*").alias("rows"), F.sum("total_amount").alias("money"))
        .collect()
    )


def _hops(read: Sequence[Row], duplicates: Sequence[Row], staged: Sequence[Row]) -> list[HopCount]:
    counts = [_hop("read", group, figures) for group, figures in _sums(read).items()]
    counts += [_hop("quarantined", _group(r), _figures(r), reason=r.reasons) for r in read if r.reasons != ""]
    counts += [_hop("duplicate", _group(row), _figures(row)) for row in duplicates]
    counts += [_hop("staged", group, figures) for group, figures in _sums(staged).items()]
    return counts


def _warned(staged: Sequence[Row]) -> list[HopCount]:
    warned = [(warning, row) for row in staged if row.warnings for warning in row.warnings.split(SEPARATOR)]
    return [
        _hop("warned", group, figures, reason=reason)
        for reason in sorted({warning for warning, _ in warned})
        for group, figures in _sums(row for warning, row in warned if warning == reason).items()
    ]


def _name(lines: DataFrame) -> dict[str, int]:
    named = lines.select(F.explode(F.array_distinct(F.transform("unknown_fields", _shown))).alias("field"))
    counted = named.groupBy("field").agg(F.count("*").alias("rows"))
    most = counted.orderBy(F.desc("rows"), "field").limit(_TOLD_FIELDS).collect()
    return {row.field: row.rows for row in most}


def _shown(field: Column) -> Column:
    return F.when(field.rlike(_PLAIN_NAME), field).otherwise("*")


def _sums(rows: Iterable[Row]) -> dict[_Group, _Figures]:
    sums: dict[_Group, _Figures] = {}
    for row in rows:
        before, (more, money) = sums.get(_group(row), _NOTHING), _figures(row)
        sums[_group(row)] = (before[0] + more, before[1] + money)
    return sums


def _group(row: Row) -> _Group:
    return (row.from_retailer, row.business_date, row.currency)


def _figures(row: Row) -> _Figures:
    return (row.rows, row.money or Decimal(0))


def _hop(hop: str, group: _Group, figures: _Figures, *, reason: str | None = None) -> HopCount:
    retailer, day, currency = group
    return HopCount(
        hop=hop, reason=reason, retailer_id=retailer, business_date=str(day) if day else None,
        currency=currency, rows=figures[0], money=figures[1],
    )  # fmt: skip
