"""`retail doctor` reports what a run would find, and a run finds the cheap part of it before it fetches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from retail.cli import main
from retail.cli.local.demo import demo_environment
from retail.warehouse.connection import Warehouse
from retail.warehouse.embedded import server as embedded
from tests.end_to_end.installation import Installation

pytestmark = pytest.mark.postgres

NOBODY = "http://127.0.0.1:9"
HOSTILE = {
    name: NOBODY for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())
}
HOSTILE |= {
    "PGHOSTADDR": "192.0.2.1",
    "PGSERVICE": "nobody",
    "PGOPTIONS": "-c default_transaction_read_only=on",
}
HOSTILE |= {
    "PGSSLMODE": "verify-full",
    "PGPASSFILE": "/nowhere",
    "AWS_PROFILE": "nobody",
    "AWS_ENDPOINT_URL": NOBODY,
}
BAD_RULE = '[[rule]]\nreason = "odd"\nwhen = "no_such_column > 1"\n'


@dataclass(frozen=True)
class Outside:
    """An installation whose PostgreSQL is a server by an address, with its owner's password."""

    made: Installation
    warehouse: Warehouse

    def retail(self, *arguments: str, **environment: str) -> Result:
        assert self.warehouse.password is not None
        variables = {
            "RETAIL_CONF": str(self.made.conf),
            "RETAIL_EXTRACT__TRIES": "1",
            "RETAIL_WAREHOUSE__EMBEDDED": "false",
            "RETAIL_WAREHOUSE__HOST": self.warehouse.host,
            "RETAIL_WAREHOUSE__PORT": str(self.warehouse.port),
            "RETAIL_WAREHOUSE__USER": self.warehouse.user,
            "RETAIL_WAREHOUSE_PASSWORD": self.warehouse.password.reveal(),
        }
        result = CliRunner(env=demo_environment() | variables | environment).invoke(main, arguments)
        structlog.reset_defaults()
        return result

    def doctor(self, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
        result = self.retail("doctor", "--json", **environment)
        found = json.loads(result.stdout)
        assert found["exit_code"] == result.exit_code
        return result.exit_code, {each["check"]: each for each in found["findings"]}

    def execute(self, statement: str) -> None:
        with self.warehouse.connect("prepare the test") as connection:
            connection.cursor().execute(statement)


@pytest.fixture(scope="module")
def outside(install: Callable[[str], Installation]) -> Iterator[Outside]:
    made = install("doctor")
    settings = made.settings.warehouse
    with embedded.running(settings) as server:
        yield Outside(
            made,
            Warehouse(server.host, server.port, settings.database, server.user, server.password, "disable"),
        )


def test_all_is_well_under_any_tool_s_variables_and_nothing_is_left_of_the_tries(outside: Outside) -> None:
    code, found = outside.doctor(**HOSTILE)
    assert (code, [each for each in found.values() if not each["ok"]]) == (0, [])
    tried = {
        "retailer retailer_1",
        "storage",
        "Delta tables",
        "deltalake in the lake",
        "engine in the lake",
        "PostgreSQL rights",
    }
    assert tried < found.keys()
    lake = outside.made.folder / "lake"
    assert [path for path in lake.rglob("*") if path.is_file() or path.name == "probe"] == []


def test_what_stops_a_run_is_found_with_where_and_what_next(outside: Outside) -> None:
    rules = outside.made.folder / "expectations" / "row_rules.toml"
    rules.parent.mkdir()
    rules.write_text(BAD_RULE)
    (rules.parent / "dim_store.json").write_text("{")
    try:
        code, found = outside.doctor(
            RETAIL_RETAILER_2_CLIENT_SECRET="wrong-secret",
            RETAIL_RETAILERS__RETAILER_3__BASE_URL="http://127.0.0.1:9",
            RETAIL_WAREHOUSE_PASSWORD="wrong-password",
        )
        (rules.parent / "dim_store.json").unlink()
        condition = outside.doctor()[1]["conditions of the rules"]
    finally:
        rules.unlink()
    wrong = {name: each for name, each in found.items() if not each["ok"]}
    assert code == 2
    assert {name: each["code"] for name, each in wrong.items()} == {
        "rules and suites": "configuration",
        "PostgreSQL": "warehouse-refused",
        "retailer retailer_2": "refused",
        "retailer retailer_3": "extract",
    }
    assert all(each["where"] and each["next"] for each in wrong.values())
    assert wrong["retailer retailer_3"]["where"] == "http://127.0.0.1:9"
    assert "dim_store.json" in wrong["rules and suites"]["what"]
    assert "wrong-" not in json.dumps(found)
    assert "no_such_column" in condition["what"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RETAIL_WAREHOUSE_PASSWORD": "wrong"}, "password authentication failed"),
        ({"RETAIL_WAREHOUSE__DATABASE": "nowhere"}, "does not exist"),
        (
            {"RETAIL_WAREHOUSE__USER": "clerk", "RETAIL_WAREHOUSE_PASSWORD": "of a clerk"},
            "GRANT CREATE ON DATABASE",
        ),
    ],
)
def test_a_login_that_cannot_publish_stops_a_run_before_it_fetches(
    environment: dict[str, str], said: str, outside: Outside
) -> None:
    if environment.get("RETAIL_WAREHOUSE__USER") == "clerk":
        outside.execute("CREATE ROLE clerk LOGIN PASSWORD 'of a clerk'")
    result = outside.retail("run", "--date", "2017-01-01", **environment)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not (outside.made.folder / "lake" / "ops" / "runs").exists()
    if "RETAIL_WAREHOUSE__USER" in environment:
        assert outside.doctor(**environment)[1]["PostgreSQL rights"]["exit_code"] == 2


def test_a_server_that_does_not_answer_stops_no_fetch(outside: Outside) -> None:
    result = outside.retail(
        "run", "--date", "2017-01-01", "--only", "retailer_3", "--until", "land", RETAIL_WAREHOUSE__PORT="1"
    )
    assert result.exit_code == 0, result.output
    assert (outside.made.folder / "lake" / "raw" / "retailer_3").is_dir()
