"""Restores PostgreSQL, views included, to the state before the newest publish, in one transaction.

The rows of the newest publish are known by their `changed_run_id`. Their earlier content is in Delta, at the version
that the previous publish read: they get it back, and rows that did not exist then are deleted. The runs taken back are
removed from `ops.publish`, so the next publish sends them again, with anything that was fixed since. Views that do not
show them yet stay as they are: a rollback never shows BI data that no check has passed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg2 import sql

from retail.config.settings import sql_text
from retail.errors import WarehouseError
from retail.lake import delta, layout
from retail.lake.engine import to_arrow
from retail.lake.storage import Storage
from retail.runs.counts import HopCount
from retail.warehouse import totals, views
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.publish import restatement, upsert
from retail.warehouse.publish.copy import copy
from retail.warehouse.publish.delta_changes import ROWS_AT_ONCE, Source, reading
from retail.warehouse.publish.staging_table import Staged, prepare, temporary
from retail.warehouse.publish.transaction import published_runs
from retail.warehouse.schema.ddl import FACT, StarTable, star_tables

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Publish:
    """The content of one publish: the runs whose changes it sent, and the version of each Delta table."""

    run_ids: tuple[str, ...]
    published_by: str
    published_at: datetime
    delta_versions: Mapping[str, int]


@dataclass(frozen=True)
class TableBack:
    """Numbers of a table's rows that were restored, and that were removed."""

    table: str
    restored: int
    removed: int


@dataclass(frozen=True)
class RolledBack:
    """`taken_back` was published last; `shown` is what PostgreSQL holds now.

    `views_renewed`: its views too; otherwise they showed nothing of what was taken back, and are unchanged.
    """

    run_id: str
    taken_back: Publish
    shown: Publish
    tables: tuple[TableBack, ...]
    restated_days: int
    views_renewed: bool
    seconds: float


@dataclass(frozen=True)
class InEffect:
    """A rollback whose runs are not published again: since then PostgreSQL shows `shown_run_id` as the newest."""

    run_id: str
    rolled_back_at: datetime
    taken_back: tuple[str, ...]
    shown_run_id: str


@dataclass(frozen=True)
class Prepared:
    """A rollback before its commit: what is taken back, what is shown then, and PostgreSQL's sums.

    `views_go_back`: the views showed what is taken back, and go back with it.
    """

    last: Publish
    before: Publish
    in_postgresql: list[HopCount]
    views_go_back: bool


# Called before the commit; if it raises, nothing is changed.
Judge = Callable[[Prepared], None]


def roll_back(
    session: SparkSession,
    storage: Storage,
    warehouse: Warehouse,
    *,
    run_id: str,
    judge: Judge,
    of_run: str | None = None,
) -> RolledBack:
    """Take the newest publish back, which must be that of `of_run` if one is named.

    Changes to published figures are recorded in `marts.restatement`. All or nothing. Raises WarehouseError, also if
    there is no publish before the newest, or if it is another run's; EngineError if Delta's older version can no longer
    be read; LeaseHeldError if another run took over; and whatever `judge` raises.
    """
    with warehouse.connect("read the publish ledger") as connection:
        last, _ = _last_two(connection)
    if of_run is not None and of_run not in last.run_ids:
        raise WarehouseError(
            f"run {of_run} is not in the newest publish, which is that of {', '.join(last.run_ids)}",
            hint="nothing was changed; only the newest publish can be taken back: "
            f"`retail publish --rollback --run {last.run_ids[-1]}`",
        )
    try:
        return _roll_back(session, storage, warehouse, run_id=run_id, judge=judge, last=last)
    except WarehouseError as error:
        named = f"retail publish --rollback --run {last.run_ids[-1]}"
        raise WarehouseError(
            error.message, hint=f"{error.hint}; `{named}` finds it done if it was committed"
        ) from error


def _roll_back(
    session: SparkSession,
    storage: Storage,
    warehouse: Warehouse,
    *,
    run_id: str,
    judge: Judge,
    last: Publish,
) -> RolledBack:
    started, asked = time.monotonic(), last
    doing = f"roll back the publish of {', '.join(asked.run_ids)}"
    with warehouse.connect(doing) as connection, taking_turns(connection):
        last, before = _last_two(connection)
        if last != asked:
            raise WarehouseError(f"cannot {doing}: there is a newer one", hint="nothing was changed")
        source = _Earlier(session, storage, last.run_ids, last.delta_versions, before.delta_versions)
        tables = star_tables(connection)
        source.check(tables)
        staged = {table.name: _stage(connection, source, table) for table in tables}
        with connection:
            views.hold_snapshot(connection)
            are_shown = _are_shown(connection, last)
            restated_days, back = _bring_back(connection, run_id, staged, last.run_ids)
            _note(connection, run_id, last, before, back)
            if are_shown:
                views.renew(connection)
            judge(Prepared(last, before, totals.of_star(connection), are_shown))
            storage.require_writer()
    seconds = round(time.monotonic() - started, 3)
    return RolledBack(run_id, last, before, tuple(back), restated_days, are_shown, seconds)


def in_effect(warehouse: Warehouse) -> list[InEffect]:
    """Rollbacks whose runs PostgreSQL does not show, oldest first. Raises WarehouseError."""
    with warehouse.connect("read the rollbacks") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('ops.rollback') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return []
        cursor.execute(sql_text("rollback", "in_effect"))
        return [InEffect(run_id, at, tuple(runs), shown) for run_id, at, runs, shown in cursor]


def already(warehouse: Warehouse, of_run: str | None = None) -> InEffect | None:
    """The rollback that took that run's publish back, or by default the newest publish, if nothing was published since.

    So a command whose answer was lost can be given again without taking another publish back. Raises WarehouseError.
    """
    found = in_effect(warehouse)
    if of_run is not None:
        there = published_runs(warehouse)
        return next((each for each in found if of_run in each.taken_back and of_run not in there), None)
    if not found:
        return None
    with warehouse.connect("read the publish ledger") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run_id FROM ops.publish ORDER BY publish_id DESC LIMIT 1")
        return found[-1] if cursor.fetchone() == (found[-1].shown_run_id,) else None


@dataclass(frozen=True)
class _Earlier(Source):
    """The earlier content of rows that some runs changed, at the versions `earlier`, as far as they existed then."""

    earlier: Mapping[str, int]

    def hint(self, table: StarTable) -> str:
        rebuilt = _rebuilt_at(self.storage, table)
        if self.earlier.get(table.name, rebuilt) < rebuilt:
            return (
                f"nothing was changed; a rebuild replaced the table at version {rebuilt}, and what it held before "
                "cannot be restored"
            )
        return (
            "nothing was changed; the version is gone and cannot be restored: versions go after "
            "maintain.retention_days, and at once when customers are erased or the pepper is rotated"
        )

    def version_of(self, table: StarTable) -> str:
        return f"{super().version_of(table)} or {self.earlier.get(table.name)}"

    def changed(self, table: StarTable) -> DataFrame:
        from pyspark.sql.functions import lit

        if table.name not in self.earlier:  # a table added later
            return super().changed(table).limit(0)
        keys = super().changed(table).select(*table.key[:1])
        rows = delta.read(
            self.session, self.storage, layout.star_table(table.name), at=self.earlier[table.name]
        )
        for column in table.columns:
            if column not in rows.columns:  # a column added later
                rows = rows.withColumn(column, lit(None))
        return rows.join(keys, table.key[0], "left_semi")

    def months(self, fact: StarTable) -> list[str]:
        found = self.changed(fact).select("business_month").distinct().collect()
        return sorted(month for (month,) in found)


def _rebuilt_at(storage: Storage, table: StarTable) -> int:
    """The version at which the newest rebuild replaced the Delta table: older ones are gone. 0 if none did."""
    log = f"{layout.star_table(table.name)}/log/"
    kept = (key.removeprefix(layout.DAMAGED).partition("/") for key in storage.list(layout.DAMAGED))
    at = (name.removeprefix("version-") for name, _, rest in kept if rest.startswith(log))
    return max((int(version) for version in at if version.isdecimal()), default=0)


def _last_two(connection: Connection) -> tuple[Publish, Publish]:
    with connection.cursor() as cursor:
        cursor.execute(sql_text("rollback", "last_two"))
        found = [Publish(tuple(runs), by, at, versions) for runs, by, at, versions in cursor]
    if len(found) < 2:
        raise WarehouseError(
            "nothing was published before the newest publish" if found else "nothing was published yet",
            hint="there is no earlier state to go back to; nothing was changed",
        )
    return found[0], found[1]


def _stage(connection: Connection, source: _Earlier, table: StarTable) -> tuple[Staged, list[str]]:
    """The table's earlier rows, staged; for the fact also the months (`YYYY-MM`) in which they were."""
    staged = temporary(connection, table)
    with reading(source, table):
        months = source.months(table) if table.name == FACT else []
        for part in source.parts(table, months, rows=ROWS_AT_ONCE):
            copy(connection, to_arrow(part), staged.place)
    prepare(connection, staged)
    return staged, months


def _bring_back(
    connection: Connection,
    run_id: str,
    staged: Mapping[str, tuple[Staged, list[str]]],
    runs: Sequence[str],
) -> tuple[int, list[TableBack]]:
    """Returns the number of retailer-days whose published figures change, and what was done to each table."""
    facts, months = staged[FACT]
    names = {"runs": sql.Literal(list(runs))}
    upsert.find_replaced(connection, facts, months=sorted({*months, *_months_of(connection, runs)}))
    removed = facts.run(connection, sql_text("rollback", "withdrawn_facts"), **names)
    restated_days = restatement.note(connection, run_id, facts)
    dimensions = [each for each, _ in staged.values() if each.table.name != FACT]
    restored = {each.table.name: upsert.upsert(connection, each).updated for each in dimensions}
    # Rows that leave for good were counted as moved.
    updated = upsert.upsert_fact(connection, facts, months=months).updated - removed
    gone = {each.table.name: _remove(connection, each, names) for each in dimensions}
    back = [TableBack(name, restored[name], gone[name]) for name in restored]
    return restated_days, [*back, TableBack(FACT, updated, removed)]


def _remove(connection: Connection, staged: Staged, names: Mapping[str, sql.Composable]) -> int:
    """Delete a dimension's rows that did not exist before; no fact refers to them any more."""
    return staged.run(
        connection,
        "DELETE FROM {star} AS there WHERE changed_run_id = ANY({runs})"
        " AND NOT EXISTS (SELECT FROM {staged} AS earlier WHERE earlier.{first_key} = there.{first_key})",
        **names,
    )


def _months_of(connection: Connection, runs: Sequence[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT to_char(business_date, 'YYYY-MM') FROM star.fact_sales WHERE changed_run_id = ANY(%s)",
            (list(runs),),
        )
        return sorted(month for (month,) in cursor)


def _are_shown(connection: Connection, publish: Publish) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(sql_text("rollback", "are_shown")).format(runs=sql.Literal(list(publish.run_ids)))
        )
        return cursor.fetchone() == (True,)


def _note(
    connection: Connection, run_id: str, last: Publish, before: Publish, back: Sequence[TableBack]
) -> None:
    tables = {each.table: {"restored": each.restored, "removed": each.removed} for each in back}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(sql_text("rollback", "forget")).format(
                runs=sql.Literal(list(last.run_ids)), published_by=sql.Literal(last.published_by)
            )
        )
        cursor.execute(
            "INSERT INTO ops.rollback (run_id, taken_back, published_by, published_at, shown_run_id, tables)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                run_id,
                list(last.run_ids),
                last.published_by,
                last.published_at,
                before.run_ids[-1],
                json.dumps(tables),
            ),
        )
