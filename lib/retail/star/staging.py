"""Step 3: raw lines become typed, keyed and checked rows; bad ones go to quarantine with their reasons.

Delta `staged/lines` holds every line that was read, `staged/sales` the good ones, one row per natural key, and
`quarantine` the bad ones of all days. The parsed lines are written once, because both engines would otherwise parse
again at each read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from retail.errors import KeyCollisionError, StorageError, TieOutError
from retail.lake import delta, layout
from retail.lake.layout import raw_file
from retail.records import FIELDS, NOTED, RAW_SCHEMA, TYPES, RowRule
from retail.runs.counts import HopCount
from retail.runs.lake_context import LakeContext
from retail.star import versions
from retail.star.hop_counts import Counted, count
from retail.star.quarantine import table
from retail.star.row_checks import check_rules, judge
from retail.star.table import newest_per, optional_key, surrogate_key, with_content_hash
from retail.star.tables import fact_sales

# The engines agree on what these texts mean, and on little else: Spark takes "2017" for a timestamp. 15
# digits are the most: if a file has a single value in a column, Sail 0.7.2 takes it from Delta's statistics,
# which it reads as a float (docs/decisions/0004-fifteen-digits.md). PostgreSQL has no year 0. `$` would let a line
# break through on Spark.
_YEAR: Final = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_PATTERNS: Final = {
    "timestamp": rf"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{1,6}})?Z\z",
    "int": r"^[0-9]{1,4}\z",
    "date": rf"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}\z",
    "decimal(18,3)": r"^-?[0-9]{1,12}([.][0-9]{1,3})?\z",
    "decimal(18,4)": r"^-?[0-9]{1,11}([.][0-9]{1,4})?\z",
}


@dataclass(frozen=True)
class Staged:
    """What a run's staging wrote: the tables' versions, and rows and money of each outcome, as `hop_counts.Counted`."""

    lines_version: int
    sales_version: int
    counts: list[HopCount]
    critical: list[HopCount] = field(default_factory=list)
    warned: list[HopCount] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)


def stage(context: LakeContext, units: Sequence[tuple[str, date]], *, row_rules: Sequence[RowRule]) -> Staged:
    """Stage the raw files of `units`, pairs of retailer and logical date, checked against the schema and `row_rules`.

    Raises ConfigurationError for a condition that the engine cannot read, KeyCollisionError if two natural keys have
    one surrogate key.
    """
    check_rules(context.session, row_rules)
    judged = (
        _read_raw(context, units)
        .transform(parse)
        .transform(judge(row_rules))
        .transform(with_keys)
        .withColumn("run_id", F.lit(context.run_id))
    )
    delta.replace(judged, context.storage, layout.STAGED_LINES, statistics=False)
    lines = delta.read(context.session, context.storage, layout.STAGED_LINES)
    newest = lines.transform(good).transform(newest_version)
    delta.replace(newest, context.storage, layout.STAGED_SALES, statistics=False)
    sales = delta.read(context.session, context.storage, layout.STAGED_SALES)
    counted = count(lines, sales)
    _check_keys(counted, sales)
    table.replace(context, lines, units)
    lines_version = delta.version(context.storage, layout.STAGED_LINES)
    sales_version = delta.version(context.storage, layout.STAGED_SALES)
    assert lines_version is not None and sales_version is not None  # noqa: S101
    return Staged(
        lines_version,
        sales_version,
        counted.counts,
        critical=counted.critical,
        warned=counted.warned,
        unknown_fields=counted.unknown_fields,
    )


def parse(raw: DataFrame) -> DataFrame:
    """Typed fields next to the raw ones (`raw_<field>`), from lines (value, from_retailer, logical_date).

    A value of the wrong type becomes null here and a reason in `judge`. Beside them is what landing noted of the line.
    """
    parsed = raw.withColumn("json", F.from_json("value", f"{RAW_SCHEMA}, {NOTED} string")).withColumn(
        "fitting", F.struct(*(_fitting(name, kind) for name, kind in TYPES.items()))
    )
    typed = [_typed(name) for name in FIELDS]
    kept = [F.col(f"json.{name}").alias(f"raw_{name}") for name in TYPES]
    return parsed.select("value", "from_retailer", "logical_date", f"json.{NOTED}", *typed, *kept)


def with_keys(judged: DataFrame) -> DataFrame:
    """Adds the surrogate keys, `business_month`, and the columns by which versions are ordered and compared.

    `content_hash` covers what the line says for the fact; what it says about a product or store is compared there.
    """
    keyed = judged.withColumn("mapping_version", F.coalesce("mapping_version", F.lit(0))).select(
        "*",
        surrogate_key("retailer_id", "transaction_id", "line_id").alias("sales_key"),
        F.expr("cast(date_format(business_date, 'yyyyMMdd') AS int)").alias("date_key"),
        surrogate_key("retailer_id", "product_id").alias("product_key"),
        optional_key("retailer_id", "customer_id").alias("customer_key"),
        optional_key("retailer_id", "store_id").alias("store_key"),
        surrogate_key("retailer_id").alias("retailer_key"),
        F.date_format("business_date", "yyyy-MM").alias("business_month"),
        F.expr(versions.FETCH_ORDER).alias("fetch_order"),
    )
    return keyed.transform(with_content_hash(fact_sales.TABLE))


def good(lines: DataFrame) -> DataFrame:
    """The lines that no rule refused."""
    return lines.where("reasons = ''").drop("value", "reasons", "severity", "unknown_fields")


def newest_version(sales: DataFrame) -> DataFrame:
    """One row per natural key, the newest version; of identical versions from two days, the later day's.

    Only keys that occur more than once are ranked: sorting every row costs three times as much.
    """
    repeated = sales.groupBy("sales_key").agg(F.count("*").alias("n")).where("n > 1").select("sales_key")
    single = sales.join(repeated, "sales_key", "left_anti")
    contested = sales.join(repeated, "sales_key", "left_semi")
    newest = newest_per("retailer_id", "transaction_id", "line_id", then=("source_ref",))
    return single.unionByName(contested.transform(newest))


def _read_raw(context: LakeContext, units: Sequence[tuple[str, date]]) -> DataFrame:
    """Lines of the units' files as (value, from_retailer, logical_date); retailer and date come from the folders."""
    _check_landed(context, units)
    lines = context.session.createDataFrame([], "value string, from_retailer string, logical_date date")
    for retailer_id in sorted({retailer for retailer, _ in units}):
        days = sorted(day for retailer, day in units if retailer == retailer_id)
        text = context.session.read.text(
            context.storage.engine_path(layout.raw_folder(retailer_id).rstrip("/"))
        )
        if "year" not in text.columns:  # all its files are empty; Sail then sees no folders
            continue
        logical_date = F.expr("make_date(cast(year AS int), cast(month AS int), cast(day AS int))")
        chosen = (
            text.withColumn("logical_date", logical_date)
            .where(F.col("year").isin(sorted({day.year for day in days})))
            .where(F.col("logical_date").isin(days))
            .where("trim(value) <> ''")
        )
        lines = lines.unionByName(
            chosen.select("value", F.lit(retailer_id).alias("from_retailer"), "logical_date")
        )
    return lines


def _check_landed(context: LakeContext, units: Sequence[tuple[str, date]]) -> None:
    landed = {
        key for retailer in {r for r, _ in units} for key in context.storage.list(layout.raw_folder(retailer))
    }
    missing = [f"{retailer} {day}" for retailer, day in units if raw_file(retailer, day) not in landed]
    if missing:
        raise StorageError(
            f"no raw file for {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more" if missing[5:] else ""),
            hint="fetch them first with `retail ingest` for these dates",
        )


def _typed(name: str) -> Column:
    kind = TYPES.get(name)
    if kind is None:
        return F.col(f"json.{name}").alias(name)
    return F.expr(f"try_cast(fitting.{name} AS {kind})").alias(name)  # Spark 3.5 has it in SQL only


def _fitting(name: str, kind: str) -> Column:
    """The field's text if it has the form of its type."""
    return F.when(F.col(f"json.{name}").rlike(_PATTERNS[kind]), F.col(f"json.{name}")).alias(name)


def _check_keys(counted: Counted, sales: DataFrame) -> None:
    """Every good line's key is staged once: fewer rows mean lost keys, more mean two natural keys on one hash."""
    staged_rows = sum(each.rows for each in counted.counts if each.hop == "staged")
    if staged_rows > counted.keys:
        _raise_collision(sales)
    if staged_rows < counted.keys:
        raise TieOutError(
            f"staging: {counted.keys} distinct keys were read, {staged_rows} rows staged",
            hint="nothing was merged; this is a bug in retail-lakehouse: please report it with the raw files",
        )


def _raise_collision(sales: DataFrame) -> None:
    shared = sales.groupBy("sales_key").agg(F.count("*").alias("n")).where("n > 1").select("sales_key")
    named = sales.join(shared, "sales_key", "left_semi").orderBy("sales_key").limit(2).collect()
    both = " and ".join(f"{row.retailer_id}/{row.transaction_id}/{row.line_id}" for row in named)
    raise KeyCollisionError(
        f"fact_sales: {both} have the same sales_key {named[0].sales_key}",
        hint="nothing was merged; rename one of the transactions at its source, then land and run again",
    )
