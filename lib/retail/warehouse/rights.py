"""What the pipeline's login may do in PostgreSQL, looked at before there is anything to lose."""

from __future__ import annotations

from retail.config.settings import sql_text
from retail.warehouse import server_checks
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl


def lacking(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Each right that a publish needs and this login lacks, and what would grant it. Raises WarehouseError."""
    with warehouse.connect("look at the login's rights") as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '10s'")
        cursor.execute(sql_text("doctor", "rights"))
        return [(f"{warehouse.user} {what}", remedy) for what, remedy in cursor.fetchall()]


def require_writable(warehouse: Warehouse) -> None:
    """Raise WarehouseError if the server is read-only. It may not stay so: a run finds that out when it publishes."""
    with warehouse.connect("look whether the server takes changes") as connection:
        server_checks.require_writable(connection, where=warehouse.dsn())


def lacking_for_schema(warehouse: Warehouse) -> list[tuple[str, str]]:
    """The same of a change of the schema, if one is pending. Raises WarehouseError."""
    if may_create(warehouse):
        return []
    pending = [migration.name for migration in ddl.state(warehouse).migrations]
    what = f"{warehouse.user} may not change schema star, and the next publish applies {', '.join(pending)}"
    return (
        [(what, f"GRANT {warehouse.role('owner')} TO {warehouse.user}, or publish once as an owner")]
        if pending
        else []
    )


def may_create(warehouse: Warehouse) -> bool:
    """Whether the login may create tables in `star`, as a new month's partition is. Raises WarehouseError."""
    with warehouse.connect("look at the login's rights") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(bool_and(has_schema_privilege(oid, 'CREATE')), true)"
            " FROM pg_namespace WHERE nspname = 'star'"
        )
        return cursor.fetchone() == (True,)
