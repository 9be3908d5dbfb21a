"""The Delta star, at fixed versions, in the form sent to PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from retail.errors import EngineError, WarehouseError
from retail.lake import delta, engine, layout
from retail.lake.storage import Storage
from retail.warehouse.schema.ddl import FACT, StarTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession

# Reading a month costs as much as some ten thousand rows, and all that is read at once is in memory.
ROWS_AT_ONCE: Final = 200_000


@dataclass(frozen=True)
class Source:
    """The Delta star, at fixed versions, reduced to what the pending runs changed."""

    session: SparkSession
    storage: Storage
    pending_run_ids: tuple[str, ...]
    versions: Mapping[str, int]

    def hint(self, table: StarTable) -> str:  # noqa: ARG002 - a rollback has one for each table
        """What to do if the table cannot be read."""
        return "check that the lake can be reached; nothing was published, so run the same command again"

    @property
    def sends(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.pending_run_ids)

    def version_of(self, table: StarTable) -> str:
        """The version that is read, in words."""
        return f"version {self.versions[table.name]}"

    def check(self, tables: Sequence[StarTable]) -> None:
        unknown = [table.name for table in tables if table.name not in self.versions]
        if unknown:
            raise WarehouseError(
                f"no Delta version is given for {', '.join(unknown)}",
                hint="every table of the star needs one",
            )

    def parts(self, table: StarTable, months: Collection[str], *, rows: int | None) -> list[DataFrame]:
        """The changes of the pending runs; for the fact only in `months`, grouping months up to this many `rows`."""
        from pyspark.sql.functions import col

        changed = self.changed(table)
        if table.name != FACT:
            return [changed.select(*table.columns)]
        within = changed.where(col("business_month").isin(*months))
        if rows is None:
            return [within.select(*table.columns)]
        found = within.groupBy("business_month").count().orderBy("business_month").collect()
        together = _together([(row[0], row[1]) for row in found], rows)
        return [within.where(col("business_month").isin(*part)).select(*table.columns) for part in together]

    def changed(self, table: StarTable) -> DataFrame:
        from pyspark.sql.functions import col

        return self.rows(table).where(col("changed_run_id").isin(*self.pending_run_ids))

    def rows(self, table: StarTable) -> DataFrame:
        """All rows of the table."""
        version = self.versions[table.name]
        rows = delta.read(self.session, self.storage, layout.star_table(table.name), at=version)
        lacking = [column for column in table.columns if column not in rows.columns]
        if lacking:
            raise WarehouseError(
                f"star.{table.name} has columns that its Delta table lacks: {', '.join(lacking)}",
                hint=f"make sql/star and lib/retail/star/tables/{table.name}.py agree",
            )
        return rows


@dataclass(frozen=True)
class Whole(Source):
    """The whole Delta star, whichever run changed it."""

    @property
    def sends(self) -> bool:
        return True

    def changed(self, table: StarTable) -> DataFrame:
        return self.rows(table)


@contextmanager
def reading(source: Source, table: StarTable) -> Iterator[None]:
    """Wraps work with the rows of `table`: if the engine fails in it, raises EngineError."""
    try:
        yield
    except engine.failures() as error:
        raise EngineError(
            f"Delta table star/{table.name}, {source.version_of(table)}, cannot be read: {error}",
            hint=source.hint(table),
        ) from error


def _together(months: Iterable[tuple[str, int]], rows: int) -> list[list[str]]:
    """The months in order, grouping neighbours as long as they have no more than `rows` rows."""
    parts: list[list[str]] = []
    left = 0
    for month, number in months:
        if number > left:
            parts.append([])
            left = rows
        parts[-1].append(month)
        left -= number
    return parts
