"""Whoever reads the lake sees PostgreSQL's figures: by Athena's SQL, Sail, Spark, and libraries of others.

Athena itself cannot be had here: sqlglot turns its SQL into DuckDB's.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest
import sqlglot
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from sqlglot import exp

from retail.config.secrets import Secrets
from retail.config.settings import home
from retail.lake import external_tables
from retail.lake.engine import jars, without_session
from retail.pipeline.workspace import Workspace
from retail.star import TABLES
from tests.conftest import needs_java
from tests.end_to_end.conftest import VIEWS, Shown
from tests.end_to_end.installation import Installation

# One worker for all: its installation is made once.
pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("spark")]

Figures = dict[tuple[str, str, str], tuple[int, Decimal]]  # (retailer, business date, currency) → rows, money


@pytest.fixture(scope="module")
def figures(hard_lake: Installation) -> Figures:
    """What PostgreSQL's star says."""
    with hard_lake.postgresql() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date::text, currency, count(*), sum(total_amount)"
            " FROM star.fact_sales GROUP BY 1, 2, 3"
        )
        return figures_of(cursor.fetchall())


def figures_of(rows: list[tuple[Any, ...]]) -> Figures:
    return {
        (retailer, str(day), currency): (count, Decimal(money))
        for retailer, day, currency, count, money in rows
    }


def test_the_figures_are_hard(shown: dict[str, Shown]) -> None:
    columns, rows = shown["mv_monthly_sales"]
    growth = {row[columns.index("growth_percent")] for row in rows}
    assert {None, Decimal("-0.01"), Decimal("0.00")} < growth
    columns, rows = shown["mv_daily_sales"]
    baskets = {(row[columns.index("currency")], row[columns.index("average_basket")]) for row in rows}
    assert {("EUR", Decimal("0.0001")), ("JPY", Decimal("0.0000")), ("GBP", None)} < baskets


@pytest.fixture(scope="module")
def duck(hard_lake: Installation) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the Delta tables, as the deltalake package hands them over, and a division as Trino's."""
    with duckdb.connect() as connection:
        for table in TABLES:
            dataset = DeltaTable(str(hard_lake.folder / "lake" / table.path)).to_pyarrow_dataset()
            connection.register(table.name, dataset)
        connection.create_function("divided", divided, ["DECIMAL(38,14)", "DECIMAL(38,4)"], "DECIMAL(38,14)")
        yield connection


def divided(dividend: Decimal, divisor: Decimal) -> Decimal:
    """DuckDB itself would answer with a float."""
    return (dividend / divisor).quantize(Decimal("1e-14"), ROUND_HALF_UP)


def in_duckdb(statement: str) -> str:
    """Athena's CREATE VIEW as a query of DuckDB; `/` of two integers is one, of decimals a decimal."""
    query = sqlglot.parse_one(statement, dialect="athena").expression

    def divide(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Div):
            return node
        if any(column.name.endswith("_rank") for column in node.this.find_all(exp.Column)):
            return exp.IntDiv(this=node.this, expression=node.expression)
        # Else Trino would give the quotient too few places, and round it twice.
        assert isinstance(node.this, exp.Cast) and node.this.to.sql() == "DECIMAL(32, 14)"
        return exp.func("divided", node.this, node.expression)  # type: ignore[return-value]

    return str(query.transform(divide).sql(dialect="duckdb"))


@pytest.mark.parametrize("view", VIEWS)
def test_athena_s_views_show_what_postgresql_s_show(
    view: str, duck: duckdb.DuckDBPyConnection, shown: dict[str, Shown]
) -> None:
    answer = duck.sql(in_duckdb((home() / "sql" / "athena" / f"{view}.sql").read_text(encoding="utf-8")))
    assert (answer.columns, Counter(answer.fetchall())) == shown[view]


@pytest.fixture(scope="module")
def asked(session: SparkSession, hard_lake: Installation) -> SparkSession:
    """A session of either engine that the lake was registered in."""
    with Workspace(hard_lake.settings, Secrets({})) as work:
        external_tables.register(session, hard_lake.settings, work.storage)
    return session


@pytest.mark.parametrize("view", VIEWS)
def test_spark_s_views_show_what_postgresql_s_show(
    view: str, asked: SparkSession, shown: dict[str, Shown]
) -> None:
    answer = asked.table(view)
    assert (answer.columns, Counter(tuple(row) for row in answer.collect())) == shown[view]


def test_the_raw_files_of_all_retailers_are_one_table(asked: SparkSession, figures: Figures) -> None:
    money = "sum(CAST(total_amount AS decimal(18, 4)))"
    query = f"SELECT retailer, business_date, currency, count(*), {money} FROM raw_sales GROUP BY 1, 2, 3"
    assert figures_of([tuple(row) for row in asked.sql(query).collect()]) == figures
    days = asked.sql("SELECT DISTINCT year, month, day FROM raw_sales").collect()
    assert [tuple(row) for row in days] == [("2017", "05", "05")]  # as Athena has them


def test_duckdb_reads_the_fact(duck: duckdb.DuckDBPyConnection, figures: Figures) -> None:
    found = duck.sql(
        "SELECT retailer_id, business_date, currency, count(*), sum(total_amount) FROM fact_sales GROUP BY ALL"
    )
    assert figures_of(found.fetchall()) == figures


def test_polars_reads_the_fact(hard_lake: Installation, figures: Figures) -> None:
    fact = polars.scan_delta(str(hard_lake.folder / "lake" / "star" / "fact_sales"))
    groups = fact.group_by("retailer_id", "business_date", "currency")
    found = groups.agg(polars.len(), polars.col("total_amount").sum()).collect()
    assert figures_of(found.rows()) == figures


def test_pandas_reads_the_fact(hard_lake: Installation, figures: Figures) -> None:
    fact = DeltaTable(str(hard_lake.folder / "lake" / "star" / "fact_sales")).to_pandas()
    groups = fact.groupby(["retailer_id", "business_date", "currency"])["total_amount"]
    found = groups.agg(["count", "sum"]).reset_index()
    assert figures_of(list(found.itertuples(index=False, name=None))) == figures


# Spark with Delta, as its own documentation has it; of this project it gets the statements, and no line of code.
A_STRANGER = """
import json, sys
from pyspark.sql import SparkSession
jars, fact = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[2]").config("spark.jars", jars)
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.shuffle.partitions", "2").config("spark.databricks.delta.snapshotPartitions", "2")
    .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").getOrCreate()
)
spark.read.format("delta").load(fact).createOrReplaceTempView("fact")
group = "SELECT retailer_id, business_date, currency, count(*), sum(total_amount) FROM fact GROUP BY 1, 2, 3"
rows = [[str(value) for value in row] for row in spark.sql(group).collect()]
for statement in sys.stdin.read().split(";\\n")[:-1]:
    spark.sql(statement)
basket = spark.sql("SELECT count(*), sum(average_basket) FROM mv_daily_sales").collect()
print(json.dumps([rows, [str(value) for value in basket[0]]]))
"""


@pytest.mark.spark
@pytest.mark.nightly
def test_a_spark_that_knows_nothing_of_us_reads_the_fact_and_the_views(
    hard_lake: Installation, figures: Figures, shown: dict[str, Shown]
) -> None:
    needs_java()
    printed = hard_lake.retail("sql", "--print", "spark")
    assert printed.returncode == 0, printed.stderr
    delta_jars = ",".join(map(str, jars(hard_lake.settings)))
    fact = str(hard_lake.folder / "lake" / "star" / "fact_sales")
    ended = subprocess.run(
        [sys.executable, "-c", A_STRANGER, delta_jars, fact],
        input=printed.stdout, env=without_session(os.environ), capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    rows, (days, baskets) = json.loads(ended.stdout)
    assert figures_of([(*names, int(count), money) for *names, count, money in rows]) == figures
    columns, of_days = shown["mv_daily_sales"]
    all_baskets = sum(row[columns.index("average_basket")] or 0 for row in of_days)
    assert (int(days), Decimal(baskets)) == (of_days.total(), all_baskets)


def test_a_statement_is_answered_to_the_last_digit_and_a_file_until_one_fails(
    hard_lake: Installation, tmp_path: Path
) -> None:
    query = "SELECT average_basket, customer_id AS c, NULL AS c FROM mv_customer_value WHERE currency = 'EUR'"
    answered = hard_lake.retail("sql", f"{query} AND retailer_id = 'retailer_1'")
    assert answered.returncode == 0, answered.stderr
    lines = [line.split() for line in answered.stdout.splitlines()]
    assert lines == [["average_basket", "c", "c"], ["0.0001", f"{0:064x}", "–"], ["(1", "row)"]]

    file = tmp_path / "file.sql"
    file.write_text(
        "SELECT timestamp '2017-03-12 02:30:00' AS t, '[a]' AS s; SELECT x FROM fact_sales; SELECT 3"
    )
    with file.open() as given:
        command = [sys.executable, "-m", "retail.cli", "--conf", str(hard_lake.conf), "sql", "--csv"]
        environment = {**without_session(os.environ), "TZ": "America/New_York"}
        failed = subprocess.run(command, stdin=given, env=environment, capture_output=True, text=True)
    assert failed.stdout == "t,s\n2017-03-12 02:30:00,[a]\n"
    assert failed.returncode == 1
    assert failed.stderr.startswith("retail: [engine] SELECT x FROM fact_sales: ")
    assert "Traceback" not in failed.stderr


def test_the_prompt_goes_on_after_an_error_and_over_lines_and_writes_nothing(hard_lake: Installation) -> None:
    before = DeltaTable(str(hard_lake.folder / "lake" / "star" / "fact_sales")).version()
    typed = r"""\d
SELECT nonsense;
DELETE FROM fact_sales;
\d dim_store
SELECT count(*) AS n, -- over
'lines;' AS t FROM fact_sales;
\q
"""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    command = [sys.executable, "-m", "retail.cli", "--conf", str(hard_lake.conf), "sql"]
    environment = without_session(os.environ)
    ended = subprocess.run(
        command, stdin=theirs, env=environment, capture_output=True, text=True, timeout=300
    )
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 0, ended.stderr
    assert "mv_store_performance" in ended.stdout
    assert "not run: DELETE FROM fact_sales" in ended.stdout
    assert "SELECT nonsense: " in ended.stdout
    assert "store_region" in ended.stdout
    assert any(line.split() == ["687", "lines;"] for line in ended.stdout.splitlines())
    assert DeltaTable(str(hard_lake.folder / "lake" / "star" / "fact_sales")).version() == before
