"""One login of its own, no administrator: the roles of `sql/roles.sql` are nowhere, and nothing asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from retail.cli.doctor import examine
from retail.config.secrets import Secret
from retail.config.settings import home
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from tests.warehouse import servers
from tests.warehouse.conftest import Write, temporary_folder

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def administrator() -> Iterator[Warehouse]:
    """A server of its own, for roles are those of all its databases; its database `ours` belongs to the login `one`."""
    with temporary_folder() as folder, servers.started(servers.programs(servers.major()), folder) as server:
        with server.connect("make a login") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE one LOGIN PASSWORD 'x'")
            cursor.execute("CREATE DATABASE ours OWNER one")
        yield replace(server, database="ours")


def test_a_database_without_the_roles_is_whole_until_they_are_made(
    administrator: Warehouse, write: Write
) -> None:
    one = replace(administrator, user="one", password=Secret("x"))
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(one)
    assert [each for each in logged if "role retail_owner is missing" in each.get("notice", "")]

    assert ddl.state(one).is_newest
    assert examine.schema_of(one).endswith(
        ", nothing pending; the optional roles of sql/roles.sql are not installed"
    )
    write("roles.sql", (home() / "sql" / "roles.sql").read_text(encoding="utf-8") + "-- changed\n")
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(one)
    assert logged == []
    assert ddl.state(one).is_newest
    assert [file.name for file in ddl.state(administrator).definitions] == ["roles.sql"]  # who may make them

    with administrator.connect("make the roles") as connection, connection.cursor() as cursor:
        cursor.execute((home() / "sql" / "roles.sql").read_text(encoding="utf-8"))
    assert examine.schema_of(one).endswith(": roles.sql")
    ddl.prepare(one)
    assert examine.schema_of(one).endswith(", nothing pending")

    write("roles.sql", "-- changed again\n")
    assert examine.schema_of(one).endswith(": roles.sql")
