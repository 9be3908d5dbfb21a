"""The planner's statistics on the star: updated after a large load, because the views are refreshed right after it.

Autovacuum does so too, some time later, but never for a partitioned table as a whole.
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

# The same as autovacuum's default.
_SHARE: Final = 0.1

_log = structlog.get_logger(__name__)


def renew(connection: Connection, written: Mapping[str, int]) -> None:
    """Analyze the tables in which enough rows were `written` to make their statistics outdated.

    The fact too, if many small loads have added up since. A table that somebody has locked is left for the next time.
    Must be a connection's last work: from then on it waits no longer than 2 s for a lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql_text("publish", "statistics"))
        outdated = [
            table
            for table, analyzed, partitions in sorted(cursor)
            if max(written.get(table, 0), abs((partitions or analyzed) - analyzed)) > _SHARE * analyzed
        ]
        cursor.execute("SET lock_timeout = '2s'")  # the rows are written; nobody should wait for statistics
        for table in outdated:
            try:
                cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("star", table)))
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
                _log.warning("statistics were not updated", table=table, why=str(error).strip())
