"""What a table of the star is: a value that says its columns and keys, and how rows get their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from retail.lake import layout

Transform = Callable[[DataFrame], DataFrame]

UNKNOWN_KEY: Final = -1
UNKNOWN_TEXT: Final = "unknown"
# As many contents as a hash tells apart; the bits above hold the mapping's version, up to 2,047.
CONTENTS: Final = 2**52


@dataclass(frozen=True)
class Table:
    """One table of the star.

    `schema` is DDL for its own columns, the surrogate key first. A `versioned` table knows from each row's
    `updated_at` which of two versions is newer; the others (calendar, configuration) take what comes last.
    `unknown` is the member that facts without this dimension point at. `partition` is a column of `schema`.
    """

    name: str
    key: str
    natural_key: tuple[str, ...]
    schema: str
    versioned: bool = True
    unknown: dict[str, object] | None = None
    partition: str | None = None

    @property
    def path(self) -> str:
        """Where the Delta table lies in the lake."""
        return layout.star_table(self.name)

    @cached_property
    def own_columns(self) -> tuple[str, ...]:
        return tuple(part.split()[0] for part in self.schema.split(", "))

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """What can change: every own column but the surrogate key."""
        return tuple(name for name in self.own_columns if name != self.key)

    @property
    def full_schema(self) -> str:
        """DDL of the Delta table: own columns, then the columns that a merge needs."""
        updated = ", updated_at timestamp" if self.versioned and "updated_at" not in self.own_columns else ""
        return f"{self.schema}{updated}, content_hash bigint, changed_run_id string"

    @cached_property
    def types(self) -> dict[str, str]:
        """Every column of the Delta table with its type."""
        named = (part.split(maxsplit=1) for part in self.full_schema.split(", "))
        return {name: kind for name, kind in named}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.types)


def surrogate_key(*natural_key: str) -> Column:
    """xxhash64 of the natural key: no look-up, and the same on every engine and at every run."""
    return F.xxhash64(*natural_key)


def optional_key(*natural_key: str) -> Column:
    """The surrogate key, or the unknown member's where any part of the natural key is null."""
    missing = F.lit(False)
    for name in natural_key:
        missing = missing | F.col(name).isNull()
    return F.when(missing, F.lit(UNKNOWN_KEY).cast("bigint")).otherwise(F.xxhash64(*natural_key))


def with_content_hash(table: Table, *, mapped_by: str | None = None) -> Transform:
    """Adds `content_hash`: tells whether two rows of the table differ, and orders rows of the same time."""
    return lambda frame: frame.withColumn(
        "content_hash", content_hash(*table.attributes, mapped_by=mapped_by)
    )


def content_hash(*columns: str, mapped_by: str | None = None) -> Column:
    """52 bits of the values' hash, below the mapping's version in the column `mapped_by`, 0 where there is none.

    So of two rows of the same time the one of the newer mapping is the greater: a day that is landed again by a mended
    mapping takes the place of what the old one made of it (docs/decisions/0002-order-of-versions.md).
    """
    # xxhash64 passes nulls over: without them a value that moves from one column to the next would be no change.
    nulls = F.concat(*(F.when(F.col(name).isNull(), "0").otherwise("1") for name in columns))
    content = F.xxhash64(*columns, nulls).bitwiseAND(F.lit(CONTENTS - 1))
    if mapped_by is None:
        return content
    return F.coalesce(F.col(mapped_by), F.lit(0)).cast("bigint") * F.lit(CONTENTS) + content


def newest_per(*keys: str, then: Sequence[str] = ()) -> Transform:
    """Keeps one row for each value of `keys`: the greatest by (updated_at, content_hash, *then).

    The order is total but for equal rows, so the result does not depend on the order of arrival.
    """
    window = Window.partitionBy(*keys).orderBy(*map(F.desc, ("updated_at", "content_hash", *then)))

    def keep(frame: DataFrame) -> DataFrame:
        return frame.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")

    return keep
