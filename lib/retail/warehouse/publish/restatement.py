"""Which published figures a publish changes, from what to what, and by which transactions. Defined in `sql/publish`.

A figure is a sum over a retailer's business day in one currency. It is restated if rows are added to, leave or change
on a day that was published before; a day's first publish is no restatement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import structlog
from psycopg2 import sql

from retail.config.settings import sql_text
from retail.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from retail.warehouse.publish.staging_table import Staged

_NOT_SETTLED: Final = (
    "(retailer_id, business_date, currency)"
    " NOT IN (SELECT retailer_id, business_date, currency FROM pg_temp.settled)"
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Restatement:
    """One figure of a retailer's day in `currency`, before `run_id` and since.

    `transactions` changed it; up to a few of them are `named`, the largest change first.
    """

    run_id: str
    retailer_id: str
    business_date: date
    currency: str
    figure: str
    before: Decimal
    after: Decimal
    transactions: int
    named: Sequence[str]


def note(connection: Connection, run_id: str, staged: Staged, *, whole: bool = False) -> int:
    """Record what the `staged` facts will change, and store each day's sums; returns the retailer-days restated.

    If they are the `whole` fact, a day whose published figures are theirs is not restated, whatever the star holds of
    it now. Runs within the publishing transaction, after `upsert.find_replaced` and before the staged facts are
    written.
    """
    names = {
        "run_id": sql.Literal(run_id),
        "staged": staged.place,
        "of_days": sql.SQL(_NOT_SETTLED if whole else "true"),
    }
    with connection.cursor() as cursor:
        if whole:
            cursor.execute(sql.SQL(sql_text("publish", "settled")).format(**names))
        for file in ("changes", "restatement", "restated_transaction"):
            cursor.execute(sql.SQL(sql_text("publish", file)).format(**names))
        cursor.execute(
            "SELECT count(*) FROM (SELECT DISTINCT retailer_id, business_date FROM pg_temp.restating) AS day"
        )
        (days,) = cursor.fetchone() or (0,)
        if whole:
            cursor.execute(
                "SELECT count(*) FROM (SELECT DISTINCT retailer_id, business_date FROM pg_temp.astray) AS day"
            )
            (astray,) = cursor.fetchone() or (0,)
            days += astray
        cursor.execute("DROP VIEW pg_temp.line")
        cursor.execute("DROP TABLE pg_temp.restating, pg_temp.published_day, pg_temp.day_change")
        cursor.execute("DROP TABLE IF EXISTS pg_temp.settled, pg_temp.astray")
    return int(days)


def forget_wrong_days(connection: Connection) -> None:
    """Drop stored sums that differ from the star's, once the view of days is proven to show the star."""
    with connection.cursor() as cursor:
        cursor.execute(sql_text("publish", "forget_days"))
        if cursor.rowcount:
            _log.warning(
                "the star was changed outside a publish; totals of its days are recomputed",
                days=cursor.rowcount,
            )


def restatements(warehouse: Warehouse, run_id: str | None = None) -> list[Restatement]:
    """The restatements of the run, or else of the newest run that made any. Raises WarehouseError."""
    with warehouse.connect("read the restatements") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('marts.restatement') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return []
        cursor.execute(sql_text("publish", "restated"), {"run_id": run_id})
        return [Restatement(*row) for row in cursor]
