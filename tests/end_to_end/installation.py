"""The real program on a lake and a warehouse of its own, and what others read of what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg2
import pyarrow as pa
import structlog
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from retail.cli import main
from retail.cli.local.demo import demo_environment
from retail.config.settings import Settings, home, load_settings
from retail.lake.engine import without_session
from retail.warehouse.embedded import server as embedded
from tests import forked
from tests.conftest import JARS
from tests.forked import SECONDS_OF_A_COMMAND

Figures = dict[tuple[str, str], tuple[int, Decimal]]  # (retailer, business date) → rows, money

CONFIGURATION = """
engine = "sail"
start_date = {start}
[lake]
url = "{folder}/lake"
[spark]
master = "local[2]"
driver_memory = "2g"
shuffle_partitions = 2
jars_folder = "{jars}"
[extract]
master_calls = 0
[warehouse]
embedded = true
data_folder = "{warehouse}"
database = "{database}"
roles = "retail"  # shared by the databases of the tests' server
[retailers.retailer_1]
service = "amazon"
name = "Amazon US"
base_url = "{address}"
time_zone = "America/Los_Angeles"
look_back_hours = 0
options = {{ token_url = "{address}/auth/o2/token", marketplace_ids = ["ATVPDKIKX0DER"], seller_id = "A1EXAMPLE" }}
[retailers.retailer_2]
service = "walmart"
name = "Walmart US"
base_url = "{address}"
time_zone = "America/Chicago"
look_back_hours = 0
[retailers.retailer_3]
service = "shopify"
name = "Shopify store"
base_url = "{address}"
time_zone = "America/New_York"
look_back_hours = 0
"""


@dataclass(frozen=True)
class Installation:
    """A configuration file and the keys to go with it; `retail` runs the command in a process of its own."""

    folder: Path
    address: str
    warehouse: Path
    start: date

    @property
    def conf(self) -> Path:
        path = self.folder / "test.toml"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            text = CONFIGURATION.format(
                start=self.start, folder=self.folder, jars=JARS, warehouse=self.warehouse,
                database=f"test_{self.folder.name}".lower().replace("-", "_"), address=self.address,
            )  # fmt: skip
            path.write_text(text, encoding="utf-8")
        return path

    @property
    def settings(self) -> Settings:
        return load_settings(self.conf)

    def retail(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return forked.run(arguments, self._variables(environment), self.folder)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, *arguments], environment)

    def spark_submit(
        self, *arguments: str, master: str = "local[2]", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [str(home() / "spark-submit.sh"), "--master", master, *arguments]
        return self.run(command, {"RETAIL_PYTHON": sys.executable, **environment})

    def run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own, with the keys and the configuration."""
        variables = self._variables(environment)
        process = subprocess.Popen(
            command,
            env=variables,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said, failed = process.communicate(timeout=SECONDS_OF_A_COMMAND)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # at which Python shows where each of its threads is
            said, failed = process.communicate()
            raise AssertionError(
                f"{command} stood still for {SECONDS_OF_A_COMMAND} s:\n{said}{failed}"
            ) from None
        return subprocess.CompletedProcess(command, process.returncode, said, failed)

    def _variables(self, environment: dict[str, str]) -> dict[str, str]:
        variables = without_session(os.environ | demo_environment())
        return variables | {"RETAIL_CONF": str(self.conf), "PYTHONFAULTHANDLER": "1", **environment}

    def delta(self, table: str) -> pa.Table:
        """A Delta table of the lake, read by another implementation of Delta."""
        return DeltaTable(str(self.folder / "lake" / table)).to_pyarrow_table()

    def delta_figures(self) -> Figures:
        fact = self.delta("star/fact_sales")
        sums = fact.group_by(["retailer_id", "business_date"]).aggregate(
            [("sales_key", "count"), ("total_amount", "sum")]
        )
        return {
            (row["retailer_id"], str(row["business_date"])): (row["sales_key_count"], row["total_amount_sum"])
            for row in sums.to_pylist()
        }

    @contextmanager
    def postgresql(self) -> Iterator[psycopg2.extensions.cursor]:
        """A cursor in the warehouse, with nothing of our own between."""
        with embedded.running(self.settings.warehouse) as server:
            connection = psycopg2.connect(
                host=server.host, port=server.port, user=server.user, password=server.password.reveal(),
                dbname=self.settings.warehouse.database,
            )  # fmt: skip
            try:
                with connection.cursor() as cursor:
                    yield cursor
            finally:
                connection.close()

    def postgresql_figures(self, relation: str = "star.fact_sales") -> Figures:
        query = f"SELECT retailer_id, business_date::text, count(*), sum(total_amount) FROM {relation} GROUP BY 1, 2"
        with self.postgresql() as cursor:
            cursor.execute(query)
            return {(retailer, day): (rows, money) for retailer, day, rows, money in cursor.fetchall()}


CONTENT = {
    "star/fact_sales": ["changed_run_id", "source_ref", "fetch_order"],
    "star/dim_product": ["changed_run_id", "fetch_order"],
    "star/dim_customer": ["changed_run_id", "fetch_order"],
    "star/dim_store": ["changed_run_id", "fetch_order"],
    "star/dim_retailer": ["changed_run_id"],
    "star/dim_date": ["changed_run_id"],
}


def star_of(installation: Installation) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the Delta star, keys and hashes included; not which run and which payload wrote it."""
    star = {}
    for table, left_out in CONTENT.items():
        read = installation.delta(table)
        columns = sorted(set(read.column_names) - set(left_out))
        rows = zip(*(read[column].to_pylist() for column in columns), strict=True)
        star[table] = sorted(rows, key=str)
    return star


def make_older(installation: Installation) -> None:
    """Give the lake the form that the code before format 3 left: the order of versions was within the hash."""
    lake = installation.folder / "lake"
    for table in CONTENT:
        rows = installation.delta(table).to_pylist()
        for row in rows:
            mapping = row.pop("mapping_version", 0)
            row["content_hash"] = mapping * 2**52 + row["content_hash"] % 2**52
            row.pop("fetch_order", None)
        schema = installation.delta(table).schema
        kept = pa.schema([field for field in schema if field.name in rows[0]])
        write_deltalake(
            lake / table, pa.Table.from_pylist(rows, kept), mode="overwrite", schema_mode="overwrite"
        )
    (lake / "ops/format.json").write_text('{"format": 2}')


# These tell of runs, and of what was published in between.
OF_RUNS = ("marts.freshness", "marts.tie_out", "marts.restatement", "marts.restated_transaction")


def warehouse_of(installation: Installation) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the PostgreSQL star and of the views."""
    found = {}
    with installation.postgresql() as cursor:
        cursor.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('star', 'marts') AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition"
        )
        for (name,) in cursor.fetchall():
            if name in OF_RUNS:
                continue
            cursor.execute(f"SELECT * FROM {name}")
            keep = [
                i
                for i, c in enumerate(cursor.description or ())
                if c.name not in ("changed_run_id", "source_ref")
            ]
            found[name] = sorted((tuple(row[i] for i in keep) for row in cursor.fetchall()), key=str)
    return found


def told(installation: Installation, *arguments: str, code: int = 0, **environment: str) -> str:
    """What the command says, given in this process: there are many of them here."""
    variables = {"RETAIL_CONF": str(installation.conf), "RETAIL_EXTRACT__TRIES": "1", **environment}
    result = CliRunner(env=demo_environment() | variables).invoke(main, arguments)
    structlog.reset_defaults()
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())
