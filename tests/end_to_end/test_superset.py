"""The dashboard of bi/superset in a real Superset, over the views of a real PostgreSQL, as BI's reader.

Needs `make superset`, and is left out where that was not asked for.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import pytest

from retail.config.settings import home
from retail.warehouse.embedded import server as embedded
from tests import dashboards
from tests.end_to_end.installation import Installation
from tests.superset import served
from tests.superset.served import Superset
from tests.warehouse import servers
from tests.warehouse.conftest import temporary_folder
from tests.warehouse.tls import Authority, with_tls

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.superset,
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(not served.is_installed(), reason="Superset is not here: `make superset` installs it"),
]

Chart = dict[str, Any]
CURRENCY: Final = "CAD"

# What a chart shows of one currency, asked of the views by hand. A month is the number of its first day's milliseconds.
MONTH: Final = "(extract(epoch FROM month_start) * 1000)::bigint"
ASKED: Final = {
    "Net sales": """
        SELECT sum(net_amount) FROM marts.mv_daily_sales WHERE currency = %s""",
    "Return rate": """
        SELECT -sum(returns_amount) / sum(sales_amount) FROM marts.mv_daily_sales WHERE currency = %s""",
    "Net sales by month and retailer": f"""
        SELECT {MONTH}, retailer_name, net_amount FROM marts.mv_monthly_sales WHERE currency = %s""",
    "Each retailer's share of net sales": f"""
        SELECT {MONTH}, retailer_name, share_percent / 100 FROM marts.mv_retailer_comparison WHERE currency = %s""",
    "Average basket by retailer": f"""
        SELECT {MONTH}, retailer_name, sales_amount / nullif(transactions, 0)
        FROM marts.mv_retailer_comparison WHERE currency = %s""",
    "Top products": """
        SELECT net_rank, product_id, product_name, category, retailer_name, units, net_amount, returns_amount, currency
        FROM marts.mv_product_performance JOIN star.dim_retailer USING (retailer_id)
        WHERE net_rank <= 50 AND currency = %s""",
    "Top stores": """
        SELECT store_name || ' (' || store_id || '), ' || retailer_name, net_amount
        FROM marts.mv_store_performance JOIN star.dim_retailer USING (retailer_id)
        WHERE net_rank <= 5 AND currency = %s""",
    "Top categories": """
        SELECT category || ', ' || retailer_name, sum(net_amount) AS net_amount
        FROM marts.mv_product_performance JOIN star.dim_retailer USING (retailer_id)
        WHERE category IS NOT NULL AND currency = %s GROUP BY 1 ORDER BY 2 DESC LIMIT 15""",
    "Recency and frequency": """
        SELECT recency_score, frequency_score, count(*)
        FROM marts.mv_customer_value WHERE currency = %s GROUP BY 1, 2""",
}


@pytest.fixture(scope="module")
def reader(hard_lake: Installation) -> Iterator[tuple[str, str]]:
    """The address of PostgreSQL for the login of docs/BI_TOOLS.md, and its password. The database's days begin an
    hour before those of UTC."""
    password, database = secrets.token_hex(), hard_lake.settings.warehouse.database
    with embedded.running(hard_lake.settings.warehouse) as server, hard_lake.postgresql() as cursor:
        cursor.execute(f"ALTER DATABASE {database} SET timezone = 'Europe/Berlin'")
        cursor.execute(dashboards.statements(password))
        cursor.connection.commit()
        yield f"postgresql+psycopg2://{dashboards.LOGIN}@{server.host}:{server.port}/{database}", password
        cursor.execute(f"DROP ROLE {dashboards.LOGIN}")
        cursor.execute(f"ALTER DATABASE {database} RESET timezone")
        cursor.connection.commit()


@pytest.fixture(scope="module")
def superset(reader: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Superset with the dashboard in it."""
    folder = tmp_path_factory.mktemp("superset")
    uri, password = reader
    command = [sys.executable, home() / "bi" / "superset_zip.py", "--uri", uri, folder / "retail.zip"]
    assert subprocess.run(command, capture_output=True).returncode == 0  # type: ignore[arg-type]
    with served.running(folder) as running:
        running.load(folder / "retail.zip", password)
        yield running


@pytest.fixture(scope="module")
def charts(superset: Superset) -> dict[str, Chart]:
    """The charts by their titles."""
    return {chart["slice_name"]: chart for chart in superset.all("chart")}


def of_one_currency(chart: Chart) -> dict[str, Any]:
    """The chart's query context, as the dashboard asks it with its filter of currencies."""
    context: dict[str, Any] = json.loads(chart["query_context"])
    for query in context["queries"]:
        query.setdefault("filters", []).append({"col": "currency", "op": "IN", "val": [CURRENCY]})
    return context


def counted(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Rows without an order, numbers to eight places: Superset's are floats."""
    return Counter(
        tuple(round(Decimal(value), 8) if isinstance(value, Decimal | int) else value for value in row)
        for row in rows
    )


def test_every_chart_of_the_dashboard_shows_something(superset: Superset, charts: dict[str, Chart]) -> None:
    dashboard = superset.ask("GET", "dashboard/retail-lakehouse/charts")["result"]
    files = list((home() / "bi" / "superset" / "charts").glob("*.yaml"))
    assert {chart["slice_name"] for chart in dashboard} == set(charts)
    assert len(charts) == len(files)
    for title, chart in charts.items():
        answers = superset.ask("GET", f"chart/{chart['id']}/data/")["result"]
        assert [(title, answer["status"], answer["error"]) for answer in answers] == [
            (title, "success", None)
        ] * len(answers)
        assert all(answer["data"] for answer in answers), title


@pytest.mark.parametrize("title", ASKED)
def test_a_chart_shows_the_figures_of_its_view(
    title: str, superset: Superset, charts: dict[str, Chart], hard_lake: Installation
) -> None:
    [rows] = superset.data(of_one_currency(charts[title]))
    with hard_lake.postgresql() as cursor:
        cursor.execute(ASKED[title], (CURRENCY,))
        expected = cursor.fetchall()
    assert counted([tuple(row.values()) for row in rows]) == counted(expected)
    assert len(expected) > 0


def test_returns_stand_below_zero_on_their_own_day(
    superset: Superset, charts: dict[str, Chart], hard_lake: Installation
) -> None:
    sold, net = superset.data(of_one_currency(charts["Sales, returns and net, day by day"]))
    shown = {row["business_date"]: (row["sales"], row["returns"]) for row in sold}
    with hard_lake.postgresql() as cursor:
        cursor.execute(
            "SELECT (extract(epoch FROM business_date) * 1000)::bigint,"
            " coalesce(sum(total_amount) FILTER (WHERE record_type = 'sale'), 0),"
            " coalesce(sum(total_amount) FILTER (WHERE record_type <> 'sale'), 0)"
            " FROM star.fact_sales WHERE currency = %s GROUP BY 1",
            (CURRENCY,),
        )
        expected = {day: (sales, returns) for day, sales, returns in cursor.fetchall()}
    assert shown == expected
    assert {row["business_date"]: row["net_sales"] for row in net} == {
        day: sum(both) for day, both in expected.items()
    }
    assert min(returns for _, returns in expected.values()) < 0


def test_no_metric_adds_amounts_of_two_currencies(superset: Superset) -> None:
    asked = 0
    for dataset in superset.all("dataset"):
        money = [metric["metric_name"] for metric in dataset["metrics"] if "AUTO" in str(metric["currency"])]
        if not money:
            continue
        context = {
            "datasource": {"id": dataset["id"], "type": "table"},
            "queries": [{"metrics": money}, {"metrics": money, "columns": ["currency"]}],
        }
        [[together], apart] = superset.data(context)
        assert together == dict.fromkeys(money), dataset["table_name"]
        assert len(apart) > 1
        assert any(row[name] is not None for row in apart for name in money)
        asked += 1
    assert asked == 6


def test_each_filter_asks_a_column_that_is_there(superset: Superset) -> None:
    told = json.loads(superset.ask("GET", "dashboard/retail-lakehouse")["result"]["json_metadata"])
    targets = [one["targets"][0] for one in told["native_filter_configuration"] if one["targets"][0]]
    found = {}
    for target in targets:
        name = target["column"]["name"]
        context = {
            "datasource": {"id": target["datasetId"], "type": "table"},
            "queries": [{"columns": [name]}],
        }
        [rows] = superset.data(context)
        found[name] = {row[name] for row in rows}
    assert found["retailer_name"] == {"Amazon US", "Walmart US", "Shopify store"}
    assert CURRENCY in found["currency"]


def test_superset_lists_the_views_without_custom_sql(superset: Superset) -> None:
    [database] = superset.all("database")
    listed = superset.ask(
        "GET", f"database/{database['id']}/tables/", params={"q": "(schema_name:marts,force:!t)"}
    )
    views = {path.stem for path in (home() / "sql" / "views").glob("mv_*.sql")}
    assert views < {table["value"] for table in listed["result"]}


def test_superset_holds_the_server_to_its_certificate(superset: Superset) -> None:
    with temporary_folder() as folder:
        ours, other = Authority(folder, "ours"), Authority(folder, "other")
        files = ours.issue(folder, host="localhost")
        with servers.started(with_tls(), folder / "server", options={"ssl": "on"}, files=files) as server:

            def connects(trusted: Authority) -> Any:
                login = f"{server.user}:{quote(servers.PASSWORD)}"
                uri = f"postgresql+psycopg2://{login}@localhost:{server.port}/postgres"
                uri += f"?sslmode=verify-full&sslrootcert={quote(str(trusted.file))}"
                return superset.ask("POST", "database/test_connection/", json={"sqlalchemy_uri": uri})

            assert connects(ours) == {"message": "OK"}
            with pytest.raises(AssertionError, match="certificate verify failed"):
                connects(other)
