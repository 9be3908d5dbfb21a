"""Numbered changes of the schema, `sql/migrations/NNNN_title.sql`, and the record of those applied to a database.

A migration that was applied anywhere is never edited: its checksum is in `ops.migration`. See docs/POSTGRESQL.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from psycopg2.extras import execute_values

from retail.errors import WarehouseError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NAME: Final = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_RECREATES_VIEWS: Final = "-- views are made anew"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Migration:
    """One change. Its number is the schema version after it.

    `recreates_views`: it changes what views read, which PostgreSQL refuses while the views exist; the file says so in
    a line `-- views are made anew`.
    """

    number: int
    name: str
    checksum: str
    recreates_views: bool = False


def applied_by() -> str:
    """Recorded as the one who applied something: our own version."""
    return version("retail-lakehouse")


def checksum(file: Path) -> str:
    """SHA-256 of a text file, the same whatever its line endings."""
    return hashlib.sha256(file.read_text(encoding="utf-8").encode()).hexdigest()


def known(folder: Path) -> list[Migration]:
    """The migrations of this version, in order. Raises WarehouseError if the numbers are not 1, 2, 3 and so on."""
    found = []
    for number, file in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _NAME.fullmatch(file.name)
        if match is None or int(match[1]) != number:
            raise WarehouseError(
                f"{file.name} is not migration {number:04} of {folder}",
                hint=f"name it {number:04}_title.sql, in lower case: numbers start at 0001 and have no gaps",
            )
        recreates_views = _RECREATES_VIEWS in file.read_text(encoding="utf-8").splitlines()
        found.append(Migration(number, file.name, checksum(file), recreates_views))
    if not found:
        raise WarehouseError(
            f"{folder} has no migrations", hint="set RETAIL_HOME to the folder that holds conf/ and sql/"
        )
    return found


def pending(ours: Sequence[Migration], applied: Sequence[Migration]) -> list[Migration]:
    """Those of `ours` that a database with the migrations `applied` still needs.

    Raises WarehouseError if the database had a different migration with the same number, or is newer than this code.
    """
    newest = len(ours)
    if applied and applied[-1].number > newest:
        raise WarehouseError(
            f"the database's schema has version {applied[-1].number} ({applied[-1].name}); this retail-lakehouse"
            f" {applied_by()} supports versions up to {newest}",
            hint="install the version that migrated it, or a newer one; nothing was changed",
        )
    for migration in applied:
        mine = ours[migration.number - 1]
        if mine.checksum != migration.checksum:
            raise WarehouseError(
                f"sql/migrations/{mine.name} differs from this database's migration {migration.number}"
                f" ({migration.name}): its checksum is {mine.checksum[:12]},"
                f" the applied one's {migration.checksum[:12]}",
                hint=f"restore the file, and put the change into a new migration, {newest + 1:04}_title.sql",
            )
    numbers = {migration.number for migration in applied}
    return [migration for migration in ours if migration.number not in numbers]


def apply(connection: Connection, folder: Path, migrations: Sequence[Migration]) -> None:
    """Apply them in order, and record them once all are applied. Within the caller's transaction."""
    for migration in migrations:
        with connection.cursor() as cursor:
            cursor.execute((folder / migration.name).read_text(encoding="utf-8"))
        _log.info("migration applied", migration=migration.name)
    record(connection, migrations)


def record(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Record that the database has had them."""
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO ops.migration (number, name, checksum, applied_by) VALUES %s",
            [(each.number, each.name, each.checksum, applied_by()) for each in migrations],
        )
