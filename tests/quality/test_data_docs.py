"""Data Docs: every run's suites are kept; the pages stand alone and hold no value of a row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from structlog.testing import capture_logs
from tests.quality.conftest import WriteSuite

from retail.lake.storage.local import LocalStorage
from retail.quality.suites import data_docs, validation

ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)
SCHEMA = "customer_key long, retailer_id string, customer_id string"
GOOD = [(1, "retailer_1", "a" * 64)]
BAD = [*GOOD, (2, "retailer_1", "ann@example.com")]


def validated(session: SparkSession, rows: list[tuple[int, str, str]]) -> list[validation.Validation]:
    frame = session.createDataFrame(rows, SCHEMA)
    return [validation.validate("dim_customer", frame, named_by=("customer_key",))]


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "lake")


@pytest.mark.slow
@ON_SAIL
def test_a_good_run_keeps_its_results_and_the_pages_are_made_when_asked_for(
    session: SparkSession, lake: LocalStorage
) -> None:
    data_docs.keep(lake, "run-1", "check", validated(session, GOOD))
    assert list(lake.list("quality/data_docs/")) == []
    kept = json.loads(lake.read("quality/validations/run-1/check.json"))
    assert [each["suite"] for each in kept["validations"]] == ["dim_customer"]
    assert data_docs.build(lake) == 1
    page = lake.read("quality/data_docs/run-1/check-dim_customer.html").decode()
    assert "customer_id" in page and "0% unexpected" in page


@ON_SAIL
def test_a_critical_failure_makes_its_pages_at_once_without_the_value_that_failed(
    session: SparkSession, lake: LocalStorage
) -> None:
    data_docs.keep(lake, "run-1", "check", validated(session, GOOD))
    data_docs.keep(lake, "run-2", "check", validated(session, BAD))
    assert list(lake.list("quality/data_docs/")) == [
        data_docs.INDEX, "quality/data_docs/run-2/check-dim_customer.html",
    ]  # fmt: skip
    index = lake.read(data_docs.INDEX).decode()
    assert index.index("run-2") < index.index("run-1")
    assert 'href="run-2/check-dim_customer.html"' in index
    assert 'href="run-1' not in index  # it has no page yet
    everything = "".join(lake.read(key).decode() for key in lake.list("quality/"))
    assert "unexpected_count 1, element_count 2: 2" in index
    assert "ann" not in everything


@ON_SAIL
def test_no_page_asks_another_host_for_anything(session: SparkSession, lake: LocalStorage) -> None:
    data_docs.keep(lake, "run-1", "check", validated(session, BAD))
    for key in lake.list("quality/data_docs/"):
        page = lake.read(key).decode()
        assert "<script" not in page
        assert not re.search(r"(src|href)=.https?:", page)


@ON_SAIL
def test_what_looks_like_html_is_shown_as_text(session: SparkSession, lake: LocalStorage) -> None:
    data_docs.keep(lake, "run-1", "check", validated(session, BAD))
    kept = lake.read("quality/validations/run-1/check.json").decode()
    tag = "<img src=x onerror=alert(1)>"
    values = json.loads(kept.replace("customer_id", tag))
    values["judged_at"] = values["step"] = tag
    lake.write("quality/validations/run-1/check.json", json.dumps(values).encode())

    assert data_docs.build(lake) == 1

    pages = [lake.read(key).decode() for key in lake.list("quality/data_docs/")]
    assert [page for page in pages if "<img" in page] == []
    assert [page for page in pages if "< img" in page] != []
    assert [page for page in pages if "default-src 'none'" not in page] == []


@ON_SAIL
def test_a_file_of_validations_that_cannot_be_read_keeps_no_page_from_being_made(
    session: SparkSession, lake: LocalStorage
) -> None:
    bad = validated(session, BAD)
    for number, text in enumerate(("{", "[]", '{"validations": [{"failures": [{}]}]}')):
        lake.write(f"quality/validations/run-0{number}/check.json", text.encode())
    data_docs.keep(lake, "run-1", "check", bad)
    index = lake.read(data_docs.INDEX).decode()
    assert 'href="run-1/check-dim_customer.html"' in index
    assert "run-00" not in index


@ON_SAIL
def test_pages_that_cannot_be_made_hide_no_failure(
    session: SparkSession, lake: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no template")

    monkeypatch.setattr(data_docs, "_render", broken)
    with capture_logs() as logs:
        data_docs.keep(lake, "run-1", "check", validated(session, BAD))
    assert [(each["log_level"], each["error"]) for each in logs] == [("warning", "no template")]
    assert list(lake.list("quality/validations/")) == ["quality/validations/run-1/check.json"]


@ON_SAIL
def test_the_words_of_an_engine_come_without_the_value_that_they_quote(
    session: SparkSession, lake: LocalStorage, suite: WriteSuite
) -> None:
    suite("dim_customer.cast", {
        "type": "unexpected_rows_expectation", "severity": "critical",
        "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE CAST(customer_id AS INT) > 1"},
    })  # fmt: skip
    frame = session.createDataFrame([(1, "retailer_1", "ann's@example.com")], SCHEMA)
    found = validation.validate("dim_customer.cast", frame, named_by=("customer_key",))
    data_docs.keep(lake, "run-1", "check", [found])
    page = lake.read("quality/data_docs/run-1/check-dim_customer.cast.html").decode()
    assert "Cannot cast" in found.failures[0].observed and "Cannot cast" in page
    everything = "".join(lake.read(key).decode() for key in lake.list("quality/"))
    assert "example.com" not in everything + str(found.failures)


@ON_SAIL
def test_only_the_newest_runs_are_listed(session: SparkSession, lake: LocalStorage) -> None:
    found = validated(session, GOOD)
    for number in range(32):
        data_docs.keep(lake, f"run-{number:02}", "check", found)
    assert data_docs.build(lake, run_ids=[]) == 0
    index = lake.read(data_docs.INDEX).decode()
    assert ("run-02" in index, "run-01" in index) == (True, False)
