"""What the planner knows of the star: brought up to date behind a large load, for the views are refreshed right after.

Autovacuum does it too, some time later, and never for a table in partitions as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import psycopg2
import structlog
from psycopg2 import sql

from retail.config.settings import sql_text

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# As autovacuum's own default.
_SHARE: Final = 0.1

_log = structlog.get_logger(__name__)


def renew(connection: Connection, written: Mapping[str, int]) -> None:
    """Analyze the tables in which so many rows were `written` that their statistics tell of another table.

    The fact too where many small loads have come together since. A table that somebody holds is left for the next time.
    For a connection's last work: it waits no longer than 2 s for a lock from then on.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql_text("publish", "statistics"))
        outdated = [
            table
            for table, analyzed, partitions in sorted(cursor)
            if max(written.get(table, 0), abs((partitions or analyzed) - analyzed)) > _SHARE * analyzed
        ]
        cursor.execute("SET lock_timeout = '2s'")  # the rows are there; nobody waits for statistics
        for table in outdated:
            try:
                cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("star", table)))
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
                _log.warning("statistics are left as they are", table=table, why=str(error).strip())
