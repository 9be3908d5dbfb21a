"""A line is told where it is, also where a run has merged and not published it, and never where it is not yet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

from retail.cli.explain.render import show
from retail.cli.explain.trace import SHOWN_LINES, Found, explain
from retail.config.secrets import Secrets
from retail.lake.layout import raw_file
from retail.lake.storage import Storage
from retail.landing import payloads
from retail.pipeline.workspace import Workspace
from retail.star.quarantine import acknowledged, table
from retail.star.quarantine.listing import acceptance
from retail.warehouse.connection import Warehouse
from retail.warehouse.views import refresh
from tests.conftest import settings_for
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import Lake, Row, line

pytestmark = pytest.mark.postgres

DAY = date(2017, 1, 5)
KEY = 5_577_006_791_947_779_410  # 19 digits, as most are


@pytest.fixture
def workspace(lake: Lake, warehouse: Warehouse, tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(settings_for("sail", tmp_path), Secrets({})) as made:
        made.__dict__.update(storage=lake.storage, warehouse=warehouse)
        yield made


@pytest.fixture
def published(sold: Sold, query: Query) -> Callable[..., None]:
    """Puts lines into PostgreSQL, and run_1 into the ledger of publishes."""

    def put(*lines: Row) -> None:
        sold(*lines)
        query(
            "INSERT INTO ops.publish (run_id, published_by, tables, delta_versions)"
            " VALUES ('run_1', 'run_1', '{}', '{}') ON CONFLICT DO NOTHING"
        )

    return put


def told(found: Found) -> str:
    out = Console(file=io.StringIO(), width=250)
    show(out, found)
    return out.file.getvalue()  # type: ignore[attr-defined]


def keys(found: Found) -> list[tuple[int, bool, bool]]:
    """Of each line its sales_key, and whether it is in PostgreSQL and in Delta."""
    return [
        (each.line["sales_key"], each.postgresql is not None, each.delta is not None) for each in found.lines
    ]


def raw(storage: Storage, *texts: str) -> None:
    storage.write(raw_file("retailer_1", DAY), "\n".join(texts).encode())


@pytest.mark.parametrize("key", [KEY, -KEY, 2**63 - 1, -(2**63)])
def test_a_row_that_is_merged_and_not_published_is_found_by_its_sales_key(
    workspace: Workspace, lake: Lake, published: Callable[..., None], key: int
) -> None:
    published(line(1, "2017-01-05", "1"))
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(key, "2017-01-05", "2"))
    assert keys(explain(workspace, str(key))) == [(key, False, True)]


@pytest.mark.parametrize("name", [str(KEY), "t1"])
def test_a_row_whose_day_a_run_has_moved_is_found_where_it_is_now(
    workspace: Workspace, lake: Lake, published: Callable[..., None], name: str
) -> None:
    published(line(KEY, "2017-01-05", "1", transaction_id="t1"))
    lake.write("fact_sales", line(KEY, "2017-02-01", "1", transaction_id="t1"))
    found = explain(workspace, name)
    assert keys(found) == [(KEY, True, True)]
    assert "business_date: 2017-01-05 in PostgreSQL, 2017-02-01 in Delta" in told(found)


def test_a_transaction_s_lines_that_are_not_published_are_told_beside_the_others(
    workspace: Workspace, lake: Lake, published: Callable[..., None]
) -> None:
    first = line(1, "2017-01-05", "1", transaction_id="t")
    published(first)
    late = (line(n, day, "1", transaction_id="t") for n, day in ((2, "2017-01-05"), (3, "2017-02-01")))
    lake.write("fact_sales", first, *late)
    assert sorted(keys(explain(workspace, "t"))) == [(1, True, True), (2, False, True), (3, False, True)]


def test_the_view_is_said_to_hold_a_row_only_once_it_does(
    workspace: Workspace, lake: Lake, warehouse: Warehouse, query: Query, published: Callable[..., None]
) -> None:
    rows = [line(1, "2017-01-05", "1"), line(2, "2017-01-05", "2")]
    published(rows[0])
    lake.write("fact_sales", *rows)
    assert "not in the views yet: `retail refresh`" in told(explain(workspace, "t1"))
    refresh(warehouse)
    assert "(retailer_1, 2017-01-05, USD): one of 1 rows, net 1.0000" in told(explain(workspace, "t1"))
    assert "not in the views yet: it must be published first" in told(explain(workspace, "t2"))
    query("UPDATE ops.publish SET published_at = now()")
    assert "one of" not in told(explain(workspace, "t1"))


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\u0085", "\x0c", '"', "\\"])
def test_a_raw_line_is_found_whatever_character_is_in_the_lines(
    workspace: Workspace, lake: Lake, inside: str
) -> None:
    name = f"t{inside}1"
    record = {"retailer_id": "retailer_1", "transaction_id": name, "line_id": "1", "total_amount": "1"}
    lake.write("fact_sales", line(1, "2017-01-05", "1", transaction_id=name))
    raw(lake.storage, json.dumps(record | {"line_id": "0"}, ensure_ascii=False), json.dumps(record))
    (found,) = explain(workspace, name).lines
    assert found.raw is not None
    assert (found.raw.number, found.raw.record) == (2, record)
    raw(lake.storage, *(json.dumps(record | {"line_id": n}, ensure_ascii=False) for n in "01"))
    (found,) = explain(workspace, name).lines
    assert found.raw is not None
    assert found.raw.number == 2


@pytest.mark.parametrize("text", ["t1 {", '["t1"]', '"t1"', "[" * 100_000 + "t1", "t1\udcff"])
def test_a_raw_line_that_is_no_object_is_passed_over(workspace: Workspace, lake: Lake, text: str) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    record = {"retailer_id": "retailer_1", "transaction_id": "t1", "line_id": "1"}
    lake.storage.write(
        raw_file("retailer_1", DAY), f"{text}\n{json.dumps(record)}".encode(errors="surrogateescape")
    )
    (found,) = explain(workspace, "t1").lines
    assert found.raw is not None
    assert found.raw.number == 2


def refuse(lake: Lake, reasons: str, *transactions: str) -> None:
    """Put a line of each transaction, worth 5.00 USD, into quarantine in the place of what lies there."""
    rows = [
        {
            "logical_date": DAY, "from_retailer": "retailer_1", "transaction_id": name, "currency": "USD",
            "total_amount": Decimal("5.0000"), "reasons": reasons, "severity": "error", "warnings": "",
            "source_ref": "p#/1", "value": name, "run_id": "run_1",
        }
        for name in transactions
    ]  # fmt: skip
    write_deltalake(lake.storage.engine_path("quarantine"), pa.Table.from_pylist(rows), mode="overwrite")


def test_a_refused_line_that_was_accepted_is_told_with_when_with_what_and_why(
    workspace: Workspace, lake: Lake
) -> None:
    refuse(lake, "bad quantity", "t1", "t2", "t3")
    made = acceptance(
        [each for each in table.each_line(lake.storage) if each.value != "t3"],
        because="test sales [4711]",
        at=datetime(2017, 1, 9, 8, 14, tzinfo=UTC),
    )
    acknowledged.accept(lake.storage, made)
    refused = "in quarantine, retailer_1 2017-01-05: bad quantity; p#/1\n"
    said = "  accepted for good 2017-01-09 08:14 UTC: 2 rows, 10.00 USD, because: test sales [4711]\n"
    assert told(explain(workspace, "t1")) == refused + said
    assert told(explain(workspace, "t3")) == refused

    refuse(lake, "bad total_amount", "t1")  # which is not what it was accepted for
    assert "accepted" not in told(explain(workspace, "t1"))


@pytest.mark.parametrize("day", ["2017-13-01", "----------"])
def test_a_source_of_no_day_is_said_to_name_no_page(workspace: Workspace, lake: Lake, day: str) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1", source_ref=f"payloads/retailer_1/date={day}/p#/1"))
    assert "does not name a payload page" in told(explain(workspace, "t1"))


def test_many_lines_take_one_connection_and_one_reading_of_the_raw_file(
    workspace: Workspace, lake: Lake, published: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line(n, "2017-01-05", "1", transaction_id="t", line_id=str(n)) for n in range(1, 26)]
    published(*lines)
    lake.write("fact_sales", *lines)
    records = [{name: each[name] for name in ("retailer_id", "transaction_id", "line_id")} for each in lines]
    raw(lake.storage, *map(json.dumps, records))
    read, connected, pages = [], [], []
    storage_type, storage_read, connect = type(lake.storage), type(lake.storage).read, Warehouse.connect
    payloads_read = payloads.read

    def reading(storage: Storage, key: str) -> bytes:
        read.append(key)
        return storage_read(storage, key)

    def connecting(warehouse: Warehouse, doing: str) -> AbstractContextManager[object]:
        connected.append(doing)
        return connect(warehouse, doing)

    def paging(storage: Storage, key: str) -> payloads.Payload:
        pages.append(key)
        return payloads_read(storage, key)

    monkeypatch.setattr(storage_type, "read", reading)
    monkeypatch.setattr(Warehouse, "connect", connecting)
    monkeypatch.setattr(payloads, "read", paging)
    found = explain(workspace, "t")
    assert (len(found.lines), found.more) == (SHOWN_LINES, 5)
    assert read.count(raw_file("retailer_1", DAY)) == 1
    assert len(connected) == 1
    assert len(pages) == SHOWN_LINES
    assert "… and 5 more lines of it" in told(found)
