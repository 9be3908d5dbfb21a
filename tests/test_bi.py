"""What bi/superset names is there: each column, each metric, each filter, and a chart of each view.

No Superset is needed for this. A real one is asked by end_to_end/test_superset.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
import sqlglot
import yaml
from sqlglot import exp

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "bi" / "superset"
VIEWS: Final = sorted(file.stem for file in (ROOT / "sql" / "views").glob("mv_*.sql"))
FRESHNESS: Final = ROOT / "sql" / "star" / "31_freshness.sql"
ONE_CURRENCY: Final = "CASE WHEN min(currency) = max(currency) THEN "
ONE_ROW: Final = "CASE WHEN count(*) = 1 THEN "

Document = dict[str, Any]


@cache
def documents(kind: str) -> dict[str, Document]:
    """The YAML files of a kind, by their names."""
    return {
        file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted((SOURCE / kind).rglob("*.yaml"))
    }


DATASETS: Final = documents("datasets")
CHARTS: Final = documents("charts")
DASHBOARD: Final = documents("dashboards")["retail"]


def told_columns(file: Path) -> dict[str, str]:
    """The columns of a view or table with their comments. That every column has one, test_docs.py sees to."""
    found = re.findall(
        r"^COMMENT ON COLUMN \S+\.(\w+) IS '((?:[^']|'')*)';$", file.read_text("utf-8"), re.MULTILINE
    )
    return {name: text.replace("''", "'") for name, text in found}


def columns_of(dataset: Document) -> dict[str, str]:
    """The columns that a dataset has by its view's files: those of a query have the retailer's name as well."""
    name = dataset["table_name"]
    found = told_columns(FRESHNESS if name == "freshness" else ROOT / "sql" / "views" / f"{name}.sql")
    if "sql" in dataset:
        found["retailer_name"] = told_columns(ROOT / "sql" / "star" / "14_dim_retailer.sql")["retailer_name"]
    return found


def named(expression: str) -> set[str]:
    """The columns that an SQL expression names."""
    return {column.name for column in sqlglot.parse_one(expression, read="postgres").find_all(exp.Column)}


def dataset_of(chart: Document) -> Document:
    [found] = [dataset for dataset in DATASETS.values() if dataset["uuid"] == chart["dataset_uuid"]]
    return found


def asked_by_params(chart: Document) -> tuple[set[str], set[str]]:
    """The columns and metrics that a chart's settings name."""
    params = chart["params"]
    columns, metrics = set(), set()
    for name in ("x_axis", "groupby", "groupby_b", "all_columns"):
        columns |= set(listed(params.get(name)))
    columns |= {
        rule["subject"] for name in ("adhoc_filters", "adhoc_filters_b") for rule in params.get(name, [])
    }
    columns |= {json.loads(order)[0] for order in params.get("order_by_cols", [])}
    columns |= set(params.get("column_config", {}))
    for name in ("metric", "metrics", "metrics_b", "x_axis_sort"):
        metrics |= set(listed(params.get(name)))
    return columns, metrics


def asked_by_context(chart: Document) -> tuple[set[str], set[str]]:
    """The columns and metrics that a chart's saved query names, which the API and reports ask."""
    columns, metrics = set(), set()
    for query in json.loads(chart["query_context"])["queries"]:
        metrics |= set(query.get("metrics", []))
        for column in query.get("columns", []):
            columns.add(column["sqlExpression"] if isinstance(column, dict) else column)
        columns |= {rule["col"] for rule in query.get("filters", [])} | set(query.get("series_columns", []))
        columns |= {name for name, _ in query.get("orderby", [])} - metrics
    return columns, metrics


def listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def test_every_view_has_a_chart_in_the_dashboard() -> None:
    assert {chart["uuid"] for chart in CHARTS.values()} == {part["uuid"] for part in placed_charts()}
    shown = {dataset_of(chart)["table_name"] for chart in CHARTS.values()}
    assert shown == {*VIEWS, "freshness"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_has_the_columns_of_its_view_with_their_comments(name: str) -> None:
    dataset = DATASETS[name]
    listed_columns = {
        column["column_name"]: column["description"]
        for column in dataset["columns"]
        if "expression" not in column
    }
    assert listed_columns == columns_of(dataset)
    assert dataset.get("main_dttm_col") in {*listed_columns, None}
    assert dataset["schema"] == "marts"


@pytest.mark.parametrize("name", DATASETS)
def test_expressions_name_columns_that_the_view_has(name: str) -> None:
    dataset = DATASETS[name]
    expressions = [
        part["expression"] for part in dataset["metrics"] + dataset["columns"] if "expression" in part
    ]
    assert [text for text in expressions if named(text) - columns_of(dataset).keys()] == []


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if "sql" in dataset])
def test_a_query_adds_no_more_than_the_retailers_name(name: str) -> None:
    query = sqlglot.parse_one(DATASETS[name]["sql"], read="postgres")
    assert {f"{table.db}.{table.name}" for table in query.find_all(exp.Table)} == {
        f"marts.{name}",
        "star.dim_retailer",
    }
    assert query.sql("postgres").startswith("SELECT shown.*, dim_retailer.retailer_name FROM")


def divided(view: str) -> set[str]:
    """The columns of a view that are an average, a ratio, a rank or a score: no sum of them means anything."""
    text = (ROOT / "sql" / "views" / f"{view}.sql").read_text("utf-8")
    query = sqlglot.parse(text.partition(" AS\n")[2], read="postgres")[0]
    assert query
    kinds = (exp.Div, exp.Avg, exp.Window)
    return {alias.alias for alias in query.find_all(exp.Alias) if alias.this.find(*kinds)}


def adds_what_it_must_not(expression: str, *, divided: set[str]) -> bool:
    """Whether a metric adds amounts of two currencies, or several rows of what is no sum."""
    columns = named(expression)
    money = any(column.endswith("_amount") or column == "monetary" for column in columns)
    may_begin = ONE_ROW if columns & divided else (ONE_CURRENCY, ONE_ROW)
    held_back = expression.startswith(may_begin) and expression.endswith(" END")
    return (money or bool(columns & divided)) and not held_back


def test_what_is_divided_or_ranked_is_known() -> None:
    assert {view: divided(view) for view in VIEWS} == {
        "mv_daily_sales": {"average_basket"},
        "mv_monthly_sales": {"growth_percent"},
        "mv_product_performance": {"net_rank"},
        "mv_store_performance": {"average_basket", "net_rank"},
        "mv_retailer_comparison": {"share_percent", "growth_percent", "average_basket"},
        "mv_customer_value": {"average_basket", "recency_score", "frequency_score", "monetary_score"},
    }


@pytest.mark.parametrize("name", VIEWS)
def test_no_metric_adds_two_currencies_or_what_is_no_sum(name: str) -> None:
    found = divided(name)
    metrics = DATASETS[name]["metrics"]
    assert [one for one in metrics if adds_what_it_must_not(one["expression"], divided=found)] == []


@pytest.mark.parametrize(
    "expression",
    [
        "sum(net_amount)",
        "avg(average_basket)",
        f"{ONE_CURRENCY}avg(average_basket) END",
        f"{ONE_CURRENCY}max(share_percent) END",
        f"{ONE_CURRENCY}sum(sales_amount) END / count(*)",
    ],
)
def test_a_metric_that_adds_what_it_must_not_would_be_found(expression: str) -> None:
    assert adds_what_it_must_not(expression, divided=divided("mv_retailer_comparison"))


# What a metric's rows are of, by the column of its dataset's time: words of others would mislead.
TIMES: Final = {"business_date": "day", "month_start": "month", None: "over all time"}


@pytest.mark.parametrize("name", VIEWS)
def test_a_metric_is_told_as_of_the_days_months_or_all_time_that_its_rows_are_of(name: str) -> None:
    own = TIMES[DATASETS[name].get("main_dttm_col")]
    told = {
        metric["metric_name"]: metric["description"]
        for metric in DATASETS[name]["metrics"]
        if metric["metric_name"] in ("net_sales", "net_value", "returns", "returned_share")
    }
    assert told
    for text in told.values():
        assert [word for word in TIMES.values() if word in text] == [own]


# Two retailers with a store of the same name and id each, a name twice at one retailer, stores without a name, and
# categories of one name.
STORES: Final = [
    ("One", "s1", "Main Street"), ("One", "s2", "Main Street"), ("One", "s3", None), ("One", "s4", "s4"),
    ("One", "unknown", "Unknown store"), ("Two", "s1", "Main Street"), ("Two", "s3", None),
]  # fmt: skip
CATEGORIES: Final = [("One", "Tea"), ("One", "Coffee"), ("Two", "Tea")]


def labels(view: str, column: str, rows: Sequence[tuple[str | None, ...]], *names: str) -> list[str]:
    """What a column of a dataset's own makes of rows."""
    [found] = [one for one in DATASETS[view]["columns"] if one["column_name"] == column]
    given = ", ".join(f"({', '.join(['?::text'] * len(names))})" for _ in rows)
    query = f"SELECT {found['expression']} FROM (VALUES {given}) AS given ({', '.join(names)})"
    return [label for (label,) in duckdb.execute(query, [value for row in rows for value in row]).fetchall()]


def test_a_label_is_of_one_store_and_of_one_category_of_a_retailer() -> None:
    columns = ("retailer_name", "store_id", "store_name")
    of_all = labels("mv_store_performance", "store_of_retailer", STORES, *columns)
    assert len(set(of_all)) == len(STORES)
    assert of_all[:3] == ["Main Street (s1), One", "Main Street (s2), One", "s3, One"]
    first = [row for row in STORES if row[0] == "One"]
    assert len(set(labels("mv_store_performance", "store", first, *columns))) == len(first)
    categories = labels(
        "mv_product_performance",
        "category_of_retailer",
        CATEGORIES,
        "retailer_name",
        "category",
    )
    assert categories == ["Tea, One", "Coffee, One", "Tea, Two"]


# Names that are not an id's, and so may be of several things, are missing here on purpose.
GROUPED_BY: Final = {
    "business_date", "month_start", "retailer_name", "recency_score", "frequency_score",
    "store_of_retailer", "category_of_retailer",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CHARTS if CHARTS[name]["viz_type"] != "table"])
def test_a_chart_that_adds_rows_adds_only_those_of_one_thing(name: str) -> None:
    params = CHARTS[name]["params"]
    grouped = {one for part in ("x_axis", "groupby", "groupby_b") for one in listed(params.get(part))}
    assert grouped <= GROUPED_BY


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_asks_for_what_its_dataset_has(name: str) -> None:
    chart = CHARTS[name]
    dataset = dataset_of(chart)
    columns, metrics = asked_by_params(chart)
    assert columns <= {column["column_name"] for column in dataset["columns"]}
    assert metrics <= {metric["metric_name"] for metric in dataset["metrics"]}
    assert chart["viz_type"] == chart["params"]["viz_type"]
    # Superset adds the dataset's day to a saved query of its own accord.
    own_day = {dataset.get("main_dttm_col")}
    columns_of_query, metrics_of_query = asked_by_context(chart)
    assert (columns_of_query - own_day, metrics_of_query) == (columns - own_day, metrics)


FILTERS: Final = {one["name"]: one for one in DASHBOARD["metadata"]["native_filter_configuration"]}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_for_the_charts_that_have_its_column(name: str) -> None:
    rule = FILTERS[name]
    number = {part["uuid"]: part["chartId"] for part in placed_charts()}
    assert len(set(number.values())) == len(CHARTS)
    for chart in CHARTS.values():
        if rule["filterType"] == "filter_time":
            of_days = [
                one["operator"] == "TEMPORAL_RANGE" for one in chart["params"].get("adhoc_filters", [])
            ]
            has = any(of_days)
        else:
            has = rule["targets"][0]["column"]["name"] in columns_of(dataset_of(chart))
        assert has == (number[chart["uuid"]] not in rule["scope"]["excluded"]), chart["slice_name"]


def placed_charts() -> Iterator[Document]:
    for part in DASHBOARD["position"].values():
        if isinstance(part, dict) and part["type"] == "CHART":
            yield part["meta"]


def test_one_currency_is_chosen_from_the_start() -> None:
    rule = FILTERS["Currency"]
    [dataset] = [one for one in DATASETS.values() if one["uuid"] == rule["targets"][0]["datasetUuid"]]
    assert rule["sortMetric"] in {metric["metric_name"] for metric in dataset["metrics"]}
    assert rule["requiredFirst"]
    assert rule["controlValues"] == {
        "enableEmptyFilter": True, "defaultToFirstItem": True, "multiSelect": False, "searchAllOptions": False,
        "inverseSelection": False, "sortAscending": False,
    }  # fmt: skip
