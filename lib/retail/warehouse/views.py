"""The materialized views: refreshed together, compared with the star, and switched together or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from psycopg2 import sql
from psycopg2.extras import RealDictCursor, execute_values

from retail.config.settings import sql_text
from retail.errors import TieOutError
from retail.runs.counts import HopCount
from retail.warehouse import totals
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.publish import restatement
from retail.warehouse.schema.ddl import view_files

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ViewRefresh:
    """One view: its rows now, and how long its refresh took; None if it was already up to date with the star."""

    view: str
    rows: int
    seconds: float | None


@dataclass(frozen=True)
class Refreshed:
    """All views show the star as of `run_id`, the newest published run (None if there is none yet).

    `totals` are the rows and money that they show, by retailer, business day and currency.
    """

    refreshed_at: datetime
    run_id: str | None
    views: tuple[ViewRefresh, ...]
    totals: tuple[HopCount, ...]


# Maps the views' totals to the run's id and the counts at all its hops, for marts.tie_out.
Ledger = Callable[[list[HopCount]], tuple[str, list[HopCount]]]


def refresh(warehouse: Warehouse, *, ledger: Ledger | None = None, every_view: bool = False) -> Refreshed:
    """Refresh the views in one transaction, over one snapshot of the star.

    Refreshes the views that a publish since their last refresh may have changed, or `every_view`. Readers do not wait;
    they see all views change at once, together with the counts from `ledger` in marts.tie_out.

    Raises TieOutError if a view's rows or money are not the star's: then all views stay as they were. Raises
    WarehouseError.
    """
    with warehouse.connect("refresh the views") as connection, taking_turns(connection), connection:
        hold_snapshot(connection)
        return renew(connection, ledger=ledger, every_view=every_view)


def renew(connection: Connection, *, ledger: Ledger | None = None, every_view: bool = False) -> Refreshed:
    """Like `refresh`, within the caller's transaction, which took its turn and holds a snapshot."""
    names = [file.stem for file in view_files()]
    stale = names if every_view else _stale(connection)
    seconds = {name: _refresh(connection, name) for name in names if name in stale}
    _tie_out(connection, seconds)
    restatement.forget_wrong_days(connection)
    shown = totals.view_totals(connection)
    if ledger is not None:
        totals.keep(connection, *ledger(shown))
    views = tuple(ViewRefresh(name, _rows(connection, name), seconds.get(name)) for name in names)
    return _note(connection, views, shown)


def _stale(connection: Connection) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql_text("views", "stale"))
        return {view for (view,) in cursor}


def hold_snapshot(connection: Connection) -> None:
    """Let the transaction that begins see a single state of the star."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _refresh(connection: Connection, view: str) -> float:
    """Refresh the view; returns the seconds it took."""
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("REFRESH MATERIALIZED VIEW CONCURRENTLY {}").format(sql.Identifier("marts", view))
        )
    return round(time.monotonic() - started, 3)


def _rows(connection: Connection, view: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("marts", view)))
        (rows,) = cursor.fetchone() or (0,)
        return int(rows)


def _tie_out(connection: Connection, seconds: dict[str, float]) -> None:
    """Compare the views with the star.

    A view that was not refreshed but differs is refreshed first: somebody has changed the star outside the ledger.
    """
    wrong = _figures(connection)
    left = sorted({str(figure["view"]) for figure in wrong} - seconds.keys())
    if left:
        _log.warning("the star was changed outside a publish; refreshing its views", views=left)
        seconds |= {view: _refresh(connection, view) for view in left}
        wrong = _figures(connection)
    if wrong:
        lines = "\n".join(f"  - {_disagreement(figure)}" for figure in wrong[:10])
        more = f"\n  and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise TieOutError(
            f"{len(wrong)} figure(s) of the materialized views do not match the star:\n{lines}{more}",
            hint="the views are unchanged; compare sql/views with docs/DATA_MODEL.md",
        )


def _figures(connection: Connection) -> list[Mapping[str, object]]:
    """The figures in which a view disagrees with the star."""
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(sql_text("views", "tie_out"))
        return list(cursor)


def _disagreement(figure: Mapping[str, object]) -> str:
    where = " ".join(
        str(figure[name]) for name in ("retailer_id", "business_date", "currency") if figure[name]
    )
    rows = f"{figure['view_rows']} rows, star {figure['star_rows']}; " if figure["business_date"] else ""
    return f"{figure['view']}, {where}: {rows}money {figure['view_money']}, star {figure['star_money']}"


def _note(connection: Connection, views: tuple[ViewRefresh, ...], shown: list[HopCount]) -> Refreshed:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now(), (SELECT run_id FROM ops.publish ORDER BY publish_id DESC LIMIT 1)")
        refreshed_at, run_id = cursor.fetchone() or (None, None)
        execute_values(
            cursor,
            "INSERT INTO marts.freshness (view, refreshed_at, run_id, rows) VALUES %s"
            " ON CONFLICT (view) DO UPDATE SET refreshed_at = excluded.refreshed_at,"
            " run_id = excluded.run_id, rows = excluded.rows",
            [(view.view, refreshed_at, run_id, view.rows) for view in views],
        )
    return Refreshed(refreshed_at, run_id, views, tuple(shown))
