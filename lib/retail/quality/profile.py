"""The profile of a run's tables: figures on each column's contents, with one query per table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from retail.lake import delta, layout
from retail.lake.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

SCHEMA: Final = (
    "run_id string, table_name string, column_name string, row_count bigint, null_count bigint, distinct_count bigint, "
    "minimum string, maximum string, mean double, top_values string, run_month string"
)

TOP: Final = 5
# Only these columns' values are named: none is a person's or a transaction's.
NAMED: Final = frozenset(
    "retailer_id record_type status currency brand category store_id store_region store_country "
    "month_name day_name".split()
)
# Names of persons, transactions and rows, and hashes: they are counted, and nothing else is reported on them.
COUNTED: Final = frozenset("customer_id transaction_id line_id".split())
_LEFT_OUT: Final = frozenset(
    "source_ref mapping_version fetch_order run_id changed_run_id content_hash from_retailer logical_date "
    "date_key".split()
)

_NUMBERS: Final = ("decimal", "int", "bigint", "double")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """The contents of a table's column in a run.

    `distinct_count` is approximate, within a few per cent. `minimum` and `maximum` are text whatever the type; `mean`
    is for numbers only. `top_values` are the most common values with their rows, for columns of few values that
    identify nobody.
    """

    run_id: str
    table_name: str
    column_name: str
    row_count: int
    null_count: int
    distinct_count: int
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    top_values: tuple[tuple[str, int], ...] = ()

    @property
    def null_share(self) -> float:
        return self.null_count / self.row_count if self.row_count else 0.0

    def share_of(self, value: str) -> float:
        """The value's share of the rows; 0 if it is not among the most common."""
        return dict(self.top_values).get(value, 0) / self.row_count if self.row_count else 0.0


def profile(session: SparkSession, run_id: str, tables: Mapping[str, DataFrame]) -> list[ColumnProfile]:
    """The profile of every column of each table, with one query per table, the tables in parallel."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = pool.map(lambda name: _of_table(session, run_id, name, tables[name]), tables)
        return [column for columns in found for column in columns]


def write(session: SparkSession, storage: Storage, profiles: Sequence[ColumnProfile]) -> None:
    """Store the profiles of a run, replacing any earlier ones of it."""
    if not profiles:
        return
    run_id = profiles[0].run_id
    month = _month(run_id)
    rows = [
        (
            each.run_id, each.table_name, each.column_name, each.row_count, each.null_count, each.distinct_count,
            each.minimum, each.maximum, each.mean, json.dumps(each.top_values, ensure_ascii=False), month,
        )
        for each in profiles
    ]  # fmt: skip
    delta.replace(
        session.createDataFrame(rows, SCHEMA),
        storage,
        layout.PROFILE,
        partition_by=["run_month"],
        where=f"run_month = '{month}' AND run_id = '{run_id}'",
    )


def read(session: SparkSession, storage: Storage, run_ids: Sequence[str]) -> list[list[ColumnProfile]]:
    """The stored profiles of these runs, in order; a run without one is skipped."""
    if not run_ids or delta.version(storage, layout.PROFILE) is None:
        return []
    months = sorted({_month(run_id) for run_id in run_ids})
    rows = (
        delta.read(session, storage, layout.PROFILE)
        .where(F.col("run_month").isin(months) & F.col("run_id").isin(list(run_ids)))
        .collect()
    )
    by_run: dict[str, list[ColumnProfile]] = {run_id: [] for run_id in run_ids}
    for row in rows:
        by_run[row.run_id].append(_kept(row))
    return [
        sorted(found, key=lambda each: (each.table_name, each.column_name))
        for found in by_run.values()
        if found
    ]


def _month(run_id: str) -> str:
    """The partition of a run: the month in which it began, which is the start of its id."""
    return f"{run_id[:4]}-{run_id[4:6]}"


def _kept(row: Row) -> ColumnProfile:
    values = row.asDict()
    del values["run_month"]
    top = tuple((str(value), int(rows)) for value, rows in json.loads(values.pop("top_values")))
    return ColumnProfile(**values, top_values=top)


def _of_table(session: SparkSession, run_id: str, table: str, frame: DataFrame) -> list[ColumnProfile]:
    types = {name: kind for name, kind in frame.dtypes if not _is_left_out(name)}
    named = [name for name in types if name in NAMED]
    query = _figures(frame, types)
    if named:
        query = query.unionByName(_commonest(session, table, frame.select(*named)))
    rows = query.collect()
    top: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        if row.value is not None:
            top.setdefault(row.column_name, []).append((row.value, row.times))
    return [
        ColumnProfile(
            run_id=run_id,
            table_name=table,
            column_name=row.column_name,
            row_count=row.row_count,
            null_count=row.null_count,
            distinct_count=row.distinct_count,
            minimum=row.minimum,
            maximum=row.maximum,
            mean=None if row.mean is None else round(row.mean, 6),
            top_values=tuple(sorted(top.get(row.column_name, []), key=lambda each: (-each[1], each[0]))),
        )
        for row in rows
        if row.value is None
    ]


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.endswith("_key")


def _figures(frame: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """One row per column, all from one aggregation over the table."""
    measures = [F.count("*").alias("row_count")]
    for name, kind in types.items():
        column = F.col(name)
        said = name not in COUNTED
        measures += [
            F.count(column).alias(f"{name}__filled"),
            F.approx_count_distinct(column).alias(f"{name}__distinct"),
            (_text(F.min(column), kind) if said else _nothing("string")).alias(f"{name}__minimum"),
            (_text(F.max(column), kind) if said else _nothing("string")).alias(f"{name}__maximum"),
            (
                F.avg(column.cast("double")) if said and kind.startswith(_NUMBERS) else _nothing("double")
            ).alias(f"{name}__mean"),
        ]
    one = frame.agg(*measures)
    columns = [
        F.struct(
            F.lit(name).alias("column_name"),
            F.col("row_count"),
            (F.col("row_count") - F.col(f"{name}__filled")).alias("null_count"),
            F.col(f"{name}__distinct").alias("distinct_count"),
            *(F.col(f"{name}__{figure}").alias(figure) for figure in ("minimum", "maximum", "mean")),
        )
        for name in types
    ]
    each = one.select(F.explode(F.array(*columns)).alias("each")).select("each.*")
    return each.withColumn("value", _nothing("string")).withColumn("times", _nothing("bigint"))


def _commonest(session: SparkSession, table: str, frame: DataFrame) -> DataFrame:
    """One row for each of the most common values of each column, counted for all columns at once."""
    names = frame.columns
    view = f"profiled_{table}"
    frame.createOrReplaceTempView(view)
    sets = ", ".join(f"({name})" for name in names)
    # In a grouping set of one column, `grouping` is 0 for that column alone.
    name = " ".join(f"WHEN grouping({name}) = 0 THEN '{name}'" for name in names)
    value = " ".join(f"WHEN grouping({name}) = 0 THEN cast({name} AS string)" for name in names)
    counted = session.sql(
        f"""SELECT CASE {name} END AS column_name, CASE {value} END AS value, count(*) AS times
            FROM {view} GROUP BY GROUPING SETS ({sets})"""
    )
    counted.where("value IS NOT NULL").createOrReplaceTempView(f"{view}_counted")
    return session.sql(
        f"""SELECT column_name, cast(NULL AS bigint) AS row_count, cast(NULL AS bigint) AS null_count,
                   cast(NULL AS bigint) AS distinct_count, cast(NULL AS string) AS minimum,
                   cast(NULL AS string) AS maximum, cast(NULL AS double) AS mean, value, times
            FROM (SELECT *, row_number() OVER (PARTITION BY column_name ORDER BY times DESC, value) AS place
                  FROM {view}_counted)
            WHERE place <= {TOP}"""
    )


def _text(column: Column, kind: str) -> Column:
    if kind == "timestamp":
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    return column.cast("string")


def _nothing(kind: str) -> Column:
    return F.lit(None).cast(kind)
