"""What bi/superset names is there: each column, each metric, each filter, and a chart of each view.

No Superset is needed for this. A real one is asked by end_to_end/test_superset.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

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


@pytest.mark.parametrize("name", DATASETS)
def test_a_metric_of_amounts_holds_back_where_currencies_meet(name: str) -> None:
    """Shares and growth, which are no sums, hold back where there is more than one row."""
    for metric in DATASETS[name]["metrics"]:
        columns = named(metric["expression"])
        if any(column.endswith(("_amount", "_percent")) or column == "monetary" for column in columns):
            assert metric["expression"].startswith((ONE_CURRENCY, ONE_ROW)), metric["metric_name"]
            assert metric["expression"].endswith(" END")


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


def zipped(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bi" / "superset_zip.py"), *arguments, str(target)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_zip_file_holds_every_file_and_the_address_but_no_password(tmp_path: Path) -> None:
    address = (
        "postgresql+psycopg2://bi@db.example.com:6432/shop?sslmode=verify-full&sslrootcert=/etc/ssl/ca.crt"
    )
    done = zipped(tmp_path / "retail.zip", "--uri", address)
    assert done.returncode == 0, done.stderr
    with ZipFile(tmp_path / "retail.zip") as archive:
        written = {name: archive.read(name).decode() for name in archive.namelist()}
    files = {f"retail/{file.relative_to(SOURCE).as_posix()}": file for file in SOURCE.rglob("*.yaml")}
    assert written.keys() == files.keys()
    database = yaml.safe_load(written.pop("retail/databases/retail.yaml"))
    assert database["sqlalchemy_uri"] == address.replace("bi@", "bi:XXXXXXXXXX@")
    assert all(text == files[name].read_text("utf-8") for name, text in written.items())


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://bi:geheim@db.example.com/shop", "leave the password out"),
        ("mysql://bi@db.example.com/shop", "is not like postgresql"),
        ("db.example.com", "is not like postgresql"),
    ],
)
def test_an_address_that_will_not_do_is_refused(address: str, told: str, tmp_path: Path) -> None:
    done = zipped(tmp_path / "retail.zip", "--uri", address)
    assert done.returncode == 2
    assert told in done.stderr
    assert "geheim" not in done.stderr
    assert not (tmp_path / "retail.zip").exists()


def test_the_source_asks_for_its_password_and_for_a_certificate() -> None:
    address = documents("databases")["retail"]["sqlalchemy_uri"]
    assert ":XXXXXXXXXX@" in address
    assert "sslmode=verify-full" in address
