"""Step 5: merge rows into a table of the star, by one rule for all tables.

A row is new, or counts over the one with its key (`retail.star.versions`), or nothing happens: so the star is the same
whatever the order and however often a day is merged. Everything is planned and counted first, against a known version
of the table; a run that was killed after the commit then sees that the table has moved past that version and does not
merge again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from retail.errors import KeyCollisionError
from retail.lake import delta, location
from retail.lake.storage import Storage
from retail.records import DELETED
from retail.runs.counts import HopCount
from retail.runs.lake_context import LakeContext
from retail.star.table import Table, with_content_hash
from retail.star.versions import counts_over

# `touched`: the same content in a newer version, which changes only the order columns.
ACTIONS: Final = ("inserted", "updated", "touched", "unchanged", "stale")

# Actions counted at a hop of another name: to a reader, touched rows are unchanged.
_HOPS: Final = {"updated": "updated_in", "touched": "unchanged"}
# A row that its retailer no longer has is counted apart from other updates.
_HOP: Final = f"WHEN action = 'updated' AND status = '{DELETED}' THEN 'deleted'"
# The unknown members never change: they have no time, and no sale's time compares as later than null.
_OF_UNKNOWN: Final = {"updated_at": None, "mapping_version": 0, "fetch_order": ""}
_MONEY_GROUP: Final = ("retailer_id", "business_date", "currency")


@dataclass(frozen=True)
class Plan:
    """What merging will do to version `version` of the table: rows per action, and the partitions it touches."""

    version: int
    partitions: list[str]
    rows: dict[str, int]

    @property
    def changes(self) -> int:
        return self.rows["inserted"] + self.rows["updated"] + self.rows["touched"]


def create(context: LakeContext, table: Table) -> None:
    """Create the table, with its unknown member, if it does not exist yet."""
    if delta.version(context.storage, table.path) is None:
        empty(context, table)


def empty(context: LakeContext, table: Table) -> None:
    """Create the table, or replace all its rows, with its unknown member alone."""
    rows = [] if table.unknown is None else [tuple(table.unknown.get(c) for c in table.own_columns)]
    first = context.session.createDataFrame(rows, table.schema).transform(with_content_hash(table))
    for name in table.order:
        if name not in table.own_columns:
            first = first.withColumn(name, F.lit(_OF_UNKNOWN[name]).cast(table.types[name]))
    first = first.withColumn("changed_run_id", F.lit(context.run_id)).select(*table.columns)
    delta.replace(
        first, context.storage, table.path, partition_by=[table.partition] if table.partition else []
    )


def plan(context: LakeContext, table: Table, rows: DataFrame) -> Plan:
    """Count what `into` will do. Raises KeyCollisionError if a key stands for two natural keys."""
    version = delta.version(context.storage, table.path)
    assert version is not None, f"{table.name} is created before it is planned"  # noqa: S101
    partitions = _partitions(context, table, rows, version)
    joined = _beside_target(context, table, rows, version, partitions)
    actions = joined.groupBy("action").agg(F.count("*").alias("rows")).collect()
    counted = dict.fromkeys((*ACTIONS, "collision"), 0) | {row.action: row.rows for row in actions}
    if counted.pop("collision"):
        _raise_collision(table, joined)
    return Plan(version, partitions, counted)


def count_money(context: LakeContext, table: Table, rows: DataFrame, planned: Plan) -> list[HopCount]:
    """Rows and money of each action by retailer, business date and currency, for the tie-out.

    An update leaves its old row's group (`updated_out`) and enters its new row's (`updated_in`, or `deleted`).
    """
    joined = _beside_target(context, table, rows, planned.version, planned.partitions)
    renamed = " ".join(f"WHEN action = '{action}' THEN '{hop}'" for action, hop in _HOPS.items())
    entering = joined.select(
        F.expr(f"CASE {_HOP} {renamed} ELSE action END").alias("hop"),
        *_MONEY_GROUP,
        "total_amount",
    )
    leaving = joined.where("action = 'updated'").select(
        F.lit("updated_out").alias("hop"),
        F.col("old_retailer_id").alias("retailer_id"),
        F.col("old_business_date").alias("business_date"),
        F.col("old_currency").alias("currency"),
        F.col("old_total_amount").alias("total_amount"),
    )
    return _sum_money(entering.unionByName(leaving))


def as_counted(actions: Mapping[str, int]) -> dict[str, int]:
    """Rows per action as the tie-out counts them: touched rows count as unchanged."""
    counted = {action: actions[action] for action in ACTIONS if action != "touched"}
    return counted | {"unchanged": actions["unchanged"] + actions["touched"]}


def totals(
    session: SparkSession,
    storage: Storage,
    table: Table,
    partitions: Sequence[str] | None,
    *,
    at: int | None,
) -> list[HopCount]:
    """Rows and money of the fact table at a version or now, in the given partitions or all, as hop `delta`."""
    fact = delta.read(session, storage, table.path, at=at)
    if partitions is not None:
        fact = fact.where(F.col(str(table.partition)).isin(list(partitions)))
    return _sum_money(fact.select(F.lit("delta").alias("hop"), *_MONEY_GROUP, "total_amount"))


def months_held(context: LakeContext, table: Table, rows: DataFrame, *, version: int) -> DataFrame:
    """The partitions that hold the keys of `rows` now. Reads only the key of the whole table."""
    target = delta.read(context.session, context.storage, table.path, at=version)
    held = target.select(table.key, str(table.partition))
    return held.join(rows.select(table.key), table.key, "left_semi").select(str(table.partition))


def into(context: LakeContext, table: Table, rows: DataFrame, planned: Plan) -> int:
    """Merge `rows` as planned, in one commit; returns the table's version after it."""
    if planned.changes == 0:
        return planned.version
    source = f"merge_source_{table.name}"
    rows.withColumn("changed_run_id", F.lit(context.run_id)).select(*table.columns).createOrReplaceTempView(
        source
    )
    with delta.as_writer(context.storage):
        context.session.sql(_statement(context, table, planned, source)).collect()
    version = delta.version(context.storage, table.path)
    assert version is not None  # noqa: S101
    return version


def _partitions(context: LakeContext, table: Table, rows: DataFrame, version: int) -> list[str]:
    """The partitions that `rows` belong to and those that hold their keys now: a corrected date moves a row."""
    if table.partition is None:
        return []
    both = rows.select(table.partition).union(months_held(context, table, rows, version=version)).distinct()
    return sorted(str(row[0]) for row in both.collect())


def _sum_money(rows: DataFrame) -> list[HopCount]:
    grouped = rows.groupBy("hop", *_MONEY_GROUP).agg(
        F.count("*").alias("rows"), F.sum("total_amount").alias("money")
    )
    return [
        HopCount(
            hop=row.hop,
            retailer_id=row.retailer_id,
            business_date=str(row.business_date),
            currency=row.currency,
            rows=row.rows,
            money=row.money or Decimal(0),
        )
        for row in grouped.collect()
    ]


def _on(table: Table, partitions: Sequence[str]) -> str:
    # Keys are never null, and Sail joins on `<=>` row by row: 21 s where `=` takes 1 s.
    condition = f"t.{table.key} = s.{table.key}"
    if table.partition is not None:
        chosen = ", ".join(f"'{name}'" for name in partitions)
        condition += f" AND t.{table.partition} IN ({chosen})"
    return condition


def _beside_target(
    context: LakeContext, table: Table, rows: DataFrame, version: int, partitions: Sequence[str]
) -> DataFrame:
    """`rows` with the `action` that each calls for and, for money, the row that it replaces."""
    target = delta.read(context.session, context.storage, table.path, at=version)
    if table.partition is not None:
        target = target.where(F.col(table.partition).isin(list(partitions)))
    old = [name for name in table.columns if name != table.key]
    target = target.select(table.key, *[F.col(name).alias(f"old_{name}") for name in old])
    joined = rows.join(target, table.key, "left")
    counts = counts_over(table.order, new="", old="old_")
    other = " OR ".join(f"{name} <> old_{name}" for name in table.natural_key)
    return joined.withColumn(
        "action",
        F.expr(
            f"""CASE WHEN old_content_hash IS NULL THEN 'inserted'
                     WHEN {other} THEN 'collision'
                     WHEN {counts} THEN
                         CASE WHEN content_hash = old_content_hash THEN 'touched' ELSE 'updated' END
                     WHEN content_hash = old_content_hash THEN 'unchanged'
                     ELSE 'stale' END"""
        ),
    )


def _statement(context: LakeContext, table: Table, planned: Plan, source: str) -> str:
    """The MERGE of `source`; if the content is the same, only the order changes, so publish sends no more rows."""
    target = location.in_sql(context.storage.engine_path(table.path))
    counts = counts_over(table.order, new="s.", old="t.")
    touched = f"""WHEN MATCHED AND {counts} THEN UPDATE SET {_assigned(table.order)}"""
    return f"""
        MERGE INTO delta.{target} AS t USING {source} AS s ON {_on(table, planned.partitions)}
        WHEN MATCHED AND {counts} AND s.content_hash <> t.content_hash THEN UPDATE SET {_assigned(table.columns)}
        {touched if table.order else ""}
        WHEN NOT MATCHED THEN
            INSERT ({", ".join(table.columns)}) VALUES ({", ".join(f"s.{name}" for name in table.columns)})
    """


def _assigned(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = s.{name}" for name in columns)


def _raise_collision(table: Table, joined: DataFrame) -> None:
    row = joined.where("action = 'collision'").limit(1).collect()[0]
    new = "/".join(str(row[name]) for name in table.natural_key)
    old = "/".join(str(row[f"old_{name}"]) for name in table.natural_key)
    raise KeyCollisionError(
        f"{table.name}: {new} and {old}, which is already in the table, have the same {table.key} {row[table.key]}",
        hint=f"nothing was merged into {table.name}; rename one of them at its source, then land and run again",
    )
