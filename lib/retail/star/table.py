"""A table of the star as a value: its columns and keys, and how rows get their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from retail.lake import layout
from retail.star import versions

Transform = Callable[[DataFrame], DataFrame]

UNKNOWN_KEY: Final = -1
UNKNOWN_TEXT: Final = "unknown"
# The origin of a row is not content.
_ORIGIN: Final = "source_ref"


@dataclass(frozen=True)
class Table:
    """One table of the star.

    `schema` is DDL for its own columns, the surrogate key first. A `versioned` table orders the versions of a row
    (`retail.star.versions`); the others (calendar, configuration) take what comes last.
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
        """The Delta table's path in the lake."""
        return layout.star_table(self.name)

    @cached_property
    def own_columns(self) -> tuple[str, ...]:
        return tuple(part.split()[0] for part in self.schema.split(", "))

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The columns that can change: all own columns but the surrogate key."""
        return tuple(name for name in self.own_columns if name != self.key)

    @cached_property
    def content(self) -> tuple[str, ...]:
        """The columns that `content_hash` covers."""
        return tuple(name for name in self.attributes if name != _ORIGIN)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that order the versions of a row, first one first; none if the last to come counts."""
        return tuple(versions.ORDER) if self.versioned else ()

    @property
    def full_schema(self) -> str:
        """DDL of the Delta table: own columns, then the columns that a merge needs."""
        order = [f"{name} {versions.ORDER[name]}" for name in self.order if name not in self.own_columns]
        return ", ".join((self.schema, *order, "content_hash bigint", "changed_run_id string"))

    @cached_property
    def types(self) -> dict[str, str]:
        """Every column of the Delta table with its type."""
        named = (part.split(maxsplit=1) for part in self.full_schema.split(", "))
        return {name: kind for name, kind in named}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.types)


def surrogate_key(*natural_key: str) -> Column:
    """xxhash64 of the natural key: no look-up, and the same on every engine and in every run."""
    return F.xxhash64(*natural_key)


def optional_key(*natural_key: str) -> Column:
    """The surrogate key, or the unknown member's if any part of the natural key is null."""
    missing = F.lit(False)
    for name in natural_key:
        missing = missing | F.col(name).isNull()
    return F.when(missing, F.lit(UNKNOWN_KEY).cast("bigint")).otherwise(F.xxhash64(*natural_key))


def with_content_hash(table: Table) -> Transform:
    """Adds `content_hash`, by which a merge sees whether two rows of the table differ."""
    return lambda frame: frame.withColumn("content_hash", content_hash(*table.content))


def content_hash(*columns: str) -> Column:
    """The hash of the non-null columns: name and value of each, in the order of the names.

    So a column that is null in a row may be added or dropped without changing that row's hash; the hash is the same on
    every engine and in every run. A timestamp, date or decimal is hashed as its number, a text as its UTF-8 bytes.
    """
    return F.expr(content_hash_sql(*columns))


def content_hash_sql(*columns: str, values: Mapping[str, str] | None = None) -> str:
    """`content_hash` as a SQL expression; `values` are expressions that take the place of columns."""
    value = {name: name for name in columns} | dict(values or {})
    # xxhash64 skips nulls, and hashes each argument with the previous hash as its seed: no two run together.
    pairs = (
        f"CASE WHEN {value[name]} IS NOT NULL THEN '{name}' END, {value[name]}" for name in sorted(columns)
    )
    return f"xxhash64({', '.join(pairs)})"


def newest_per(*keys: str, then: Sequence[str] = ()) -> Transform:
    """Keeps one row for each value of `keys`: the one that counts (`retail.star.versions`)."""
    window = Window.partitionBy(*keys).orderBy(*versions.newest_first(*then))

    def keep(frame: DataFrame) -> DataFrame:
        return frame.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")

    return keep
