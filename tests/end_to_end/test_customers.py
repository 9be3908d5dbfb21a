"""Customers leave all that is stored, or get another pseudonym in it; no row and no cent changes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from retail.cli.local.demo import demo_environment
from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.config.secrets import Secret, Secrets
from retail.errors import CustomersLeftError, ErasureError
from retail.lake import layout
from retail.lake.storage import Storage, open_storage
from retail.landing import customers as landed
from retail.landing import erased, payloads, pepper
from retail.landing.payloads import Payload
from retail.pipeline import erase, rotate_pepper, runner
from retail.pipeline.erase import Certificate, names_of
from retail.pipeline.workspace import Workspace
from retail.runs import customers_note
from retail.sources.pii import next_pseudonym, pseudonym
from retail.star import customers as in_star
from retail.star.quarantine import acknowledged
from retail.star.quarantine import table as quarantine
from retail.warehouse import customers as in_postgresql
from tests.end_to_end.installation import Installation
from tests.s3 import S3Server
from tests.star.test_merge import ON_SAIL

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("customers")]

DAYS = [date(2017, 1, 5), date(2017, 1, 6)]
WALMART = "retailer_2"
PEPPER = Secret(demo_environment()["RETAIL_CUSTOMER_PEPPER"])
NEW = Secret("the pepper to change to, 32 bytes long")
JO, KIM = "jo@example.com", "kim@example.com"
NAME, OTHER = (pseudonym(PEPPER, WALMART, each) for each in (JO, KIM))


def order(day: date, number: int, customer: str | None, *, quantity: str = "1") -> dict[str, Any]:
    """An order of Walmart's as its page holds it."""
    at = int(datetime(day.year, day.month, day.day, 18, tzinfo=UTC).timestamp() * 1000)
    charge = {"chargeType": "PRODUCT", "chargeAmount": {"currency": "USD", "amount": Decimal("10.00")}}
    return {
        "purchaseOrderId": f"{day}-{number}",
        "customerEmailId": None if customer is None else pseudonym(PEPPER, WALMART, customer),
        "orderDate": at,
        "orderLines": {
            "orderLine": [
                {
                    "lineNumber": "1",
                    "item": {"sku": f"sku-{number}", "productName": "Mug"},
                    "charges": {"charge": [charge]},
                    "orderLineQuantity": {"amount": quantity},
                    "statusDate": at,
                    "orderLineStatuses": {
                        "orderLineStatus": [{"status": "Shipped", "statusQuantity": {"amount": quantity}}]
                    },
                }
            ]
        },
    }


def page(day: date, orders: list[dict[str, Any]], run_id: str = "r1") -> Payload:
    start = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
    return Payload(
        retailer_id=WALMART,
        run_id=run_id,
        walk=f"{run_id}/1",
        walk_page=1,
        logical_date=day.isoformat(),
        window_start=start.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        window_end=start.replace(day=day.day + 1).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        page=1,
        fetched_at="2017-01-20T00:00:00.000000Z",
        next_cursor=None,
        answer={"list": {"elements": {"order": [*orders]}}},
    )


def made_in(made: Installation, session: SparkSession) -> Workspace:
    """A lake and a database with both days."""
    workspace = Workspace(made.settings, Secrets(demo_environment()))
    workspace.__dict__["session"] = session
    pepper.require(workspace.storage, workspace.secrets)
    written(workspace.storage)
    run(workspace, *DAYS)
    return workspace


@pytest.fixture(scope="module")
def made(install: Callable[[str], Installation]) -> Installation:
    return install("customers")


@pytest.fixture(scope="module")
def work(made: Installation, session: SparkSession) -> Iterator[Workspace]:
    with made_in(made, session) as workspace:
        yield workspace


@dataclass
class Before:
    """Who and what was there before the erasure."""

    key: int
    figures: list[Any]
    customers: dict[str, int]
    in_lake: list[str]
    in_database: list[str]
    backup: dict[str, bytes]
    row: str


@pytest.fixture(scope="module")
def before(made: Installation, work: Workspace) -> Before:
    with made.postgresql() as cursor:
        cursor.execute("ANALYZE star.dim_customer, star.fact_sales, marts.mv_customer_value")
    (line,) = quarantine.each_line(work.storage)
    acknowledged.accept(
        work.storage,
        acknowledged.Acceptance(
            "2017-01-21T00:00:00Z", "no sale", 1, {"USD": "-7.00"},
            {(WALMART, DAYS[0]): {line.row: acknowledged.what_for(line.severity, line.reasons)}},
        ),
    )  # fmt: skip
    return Before(
        key_of(made, NAME),
        figures(made),
        customers(made),
        places(work.storage, NAME),
        in_database(made, NAME),
        {key: work.storage.read(key) for key in work.storage.list("payloads/")},
        line.row,
    )


@pytest.fixture(scope="module")
def certificate(before: Before, work: Workspace) -> Certificate:
    """Of the erasure of Jo, whom a first attempt found where nothing of ours puts a customer."""
    note = "quality/a_copy.txt"
    work.storage.write(note, NAME.encode())
    with pytest.raises(ErasureError) as caught:
        erased_of(work, JO)
    assert note in caught.value.message
    assert [*erase.certificates(work.storage)] == []
    work.storage.delete(note)
    return erased_of(work, f" {JO.upper()} ")


def run(
    work: Workspace, *days: date, tasks: tuple[str, ...] = ("land", "transform", "check", "refresh")
) -> None:
    runner.run(work, [(WALMART, day) for day in days], PlainReport(console()), tasks=tasks)


def erased_of(work: Workspace, customer: str) -> Certificate:
    names = names_of(customer, [WALMART, "retailer_3"], storage=work.storage, secrets=work.secrets)
    return erase.erase(work, names, PlainReport(console()), command="retail erase --resume")


def places(storage: Storage, text: str) -> list[str]:
    """Every object of the lake that holds the text: pages unpacked, each value of parquet read, log entries as text."""
    found = []
    for key in storage.list(""):
        data = storage.read(key)
        if key.endswith(".gz"):
            data = gzip.decompress(data)
        if key.endswith(".parquet"):
            data = "\n".join(str(row) for row in pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        if text.encode() in data:
            found.append(key)
    return found


def in_database(made: Installation, text: str) -> list[str]:
    """Every table and view of ours in PostgreSQL with a row that holds the text."""
    found = []
    with made.postgresql() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('star', 'marts', 'ops') AND c.relkind IN ('r', 'p', 'm', 'v')"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(
                f"SELECT count(*) FROM {schema}.{table} AS t WHERE t::text LIKE %s", (f"%{text}%",)
            )
            (rows,) = cursor.fetchone() or (0,)
            found += [f"{schema}.{table}"] * (rows > 0)
        cursor.execute(
            "SELECT tablename FROM pg_stats WHERE schemaname IN ('star', 'marts', 'ops')"
            " AND concat(most_common_vals::text, histogram_bounds::text) LIKE %s",
            (f"%{text}%",),
        )
        found += [f"statistics of {table}" for (table,) in cursor.fetchall()]
    return found


def key_of(made: Installation, name: str) -> int:
    with made.postgresql() as cursor:
        cursor.execute("SELECT customer_key FROM star.dim_customer WHERE customer_id = %s", (name,))
        (key,) = cursor.fetchone() or (0,)
        return int(key)


def figures(made: Installation) -> list[Any]:
    """What PostgreSQL shows of each sale, but for the customer."""
    with made.postgresql() as cursor:
        cursor.execute(
            "SELECT retailer_id, transaction_id, line_id, business_date, quantity, total_amount, currency"
            " FROM star.fact_sales ORDER BY 1, 2, 3"
        )
        return list(cursor.fetchall())


def customers(made: Installation) -> dict[str, int]:
    """Number of sales of each pseudonym, as the star in PostgreSQL has them."""
    with made.postgresql() as cursor:
        cursor.execute(
            "SELECT customer_id, count(*) FROM star.fact_sales JOIN star.dim_customer USING (customer_key) GROUP BY 1"
        )
        return {str(name): int(rows) for name, rows in cursor.fetchall()}


@ON_SAIL
def test_an_erased_customer_is_nowhere_and_every_sale_is_where_it_was(
    made: Installation, work: Workspace, before: Before, certificate: Certificate
) -> None:
    assert before.in_lake
    assert {*before.in_database} >= {
        *("star.dim_customer", "marts.mv_customer_value", "statistics of dim_customer")
    }
    assert before.customers == {NAME: 2, OTHER: 2, "unknown": 2}

    assert places(work.storage, NAME) == sorted([layout.ERASED, layout.erasure(certificate.run_id)])
    assert places(work.storage, str(before.key)) == []
    assert (in_database(made, NAME), in_database(made, str(before.key))) == ([], [])
    assert figures(made) == before.figures
    assert customers(made) == {OTHER: 2, "unknown": 4}


@ON_SAIL
def test_the_certificate_says_where_it_searched_and_what_it_changed(
    work: Workspace, certificate: Certificate
) -> None:
    assert certificate.found_after == []
    assert certificate.not_found == {"retailer_3": [pseudonym(PEPPER, "retailer_3", JO)]}
    assert certificate.changed == {
        "payloads/retailer_2/": 2, "raw/retailer_2/": 2, "quarantine": 1, "star/fact_sales": 2,
        "star/dim_customer": 1, "staged/dim_customer": 1, "staged/lines": 3, "staged/sales": 2,
    }  # fmt: skip
    assert {"postgresql star.dim_customer.customer_id", "postgresql star.fact_sales.customer_key"} < {
        *certificate.searched
    }
    assert JO not in json.dumps(asdict(certificate))
    assert [*erase.certificates(work.storage)] == [certificate]


@ON_SAIL
def test_an_accepted_line_stays_accepted_without_its_customer(
    work: Workspace, before: Before, certificate: Certificate
) -> None:
    del certificate
    assert quarantine.groups(work.storage) == []
    (after,) = quarantine.each_line(work.storage)
    assert after.row != before.row
    assert json.loads(after.value)["customer_id"] is None


@ON_SAIL
def test_a_later_fetch_and_a_page_from_a_backup_bring_no_link_back(
    made: Installation, work: Workspace, before: Before, certificate: Certificate
) -> None:
    own = sorted([layout.ERASED, layout.erasure(certificate.run_id)])
    cleaned = {key: work.storage.read(key) for key in before.backup}
    payloads.write(work.storage, page(DAYS[1], [order(DAYS[1], 1, JO), order(DAYS[1], 2, KIM)], "r2"))
    assert places(work.storage, NAME) == own
    for key, data in before.backup.items():
        work.storage.write(key, data)
    run(work, *DAYS)
    for key, data in cleaned.items():
        work.storage.write(key, data)

    assert in_database(made, NAME) == []
    assert places(work.storage, NAME) == own
    assert figures(made) == before.figures


class Stopped(BaseException):
    """A kill."""


def stopping_after(monkeypatch: pytest.MonkeyPatch, module: Any, step: str) -> None:
    """The process is killed once that step has done its work, and before anything else is written."""
    original = getattr(module, step)

    def stopped(*args: Any, **kwargs: Any) -> None:
        if step != "end":
            original(*args, **kwargs)
        raise Stopped

    monkeypatch.setattr(module, step, stopped)


@ON_SAIL
@pytest.mark.nightly
def test_an_erasure_that_is_stopped_anywhere_blocks_runs_and_is_resumed(
    install: Callable[[str], Installation], session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("erasure_stopped")
    steps = [
        (landed, "change"), (in_star, "unlink"), (erase, "keep_only_newest"), (erase, "publish_whole"),
        (in_postgresql, "vacuum"), (customers_note, "end"),
    ]  # fmt: skip
    with made_in(made, session) as work:
        before = figures(made)
        for module, step in steps:
            stopping_after(monkeypatch, module, step)
            with pytest.raises(Stopped):
                erased_of(work, NAME)
            monkeypatch.undo()
            with pytest.raises(CustomersLeftError):
                run(work, DAYS[1])
            with pytest.raises(CustomersLeftError):
                erased_of(work, KIM)
        certificate = erased_of(work, NAME)

        assert certificate.changed["payloads/retailer_2/"] == 2
        assert certificate.changed["star/fact_sales"] == 2
        assert (in_database(made, NAME), customers_note.read(work.storage)) == ([], None)
        assert figures(made) == before
        run(work, DAYS[1])


def written(storage: Storage) -> None:
    """The pages of both days: of Jo two sales and a refused line, of Kim two sales, of nobody two."""
    for day in DAYS:
        orders = [order(day, 1, JO), order(day, 2, KIM), order(day, 3, None)]
        if day == DAYS[0]:
            orders.append(order(day, 4, JO, quantity="-1"))
        payloads.write(storage, page(day, orders))


@pytest.mark.nightly
@pytest.mark.s3
def test_the_commands_with_a_lake_in_s3(install: Callable[[str], Installation], s3_server: S3Server) -> None:
    made, lake = install("customers_on_s3"), s3_server.new_lake()
    storage = open_storage(lake)
    pepper.require(storage, Secrets(demo_environment()))
    written(storage)
    variables = {
        "RETAIL_LAKE__URL": lake.url,
        "RETAIL_LAKE__S3_ENDPOINT": s3_server.endpoint,
        "RETAIL_LAKE__S3_PATH_STYLE": "true",
        "RETAIL_CUSTOMER_PEPPER": PEPPER.reveal(),
    }
    days = ("--from", str(DAYS[0]), "--to", str(DAYS[1]), "--only", WALMART)

    def said_by(*arguments: str, code: int = 0, **more: str) -> str:
        ended = made.retail(*arguments, **variables, **more)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    for step in ("land", "transform", "check", "refresh"):
        said_by(step, *days)
    before, key = figures(made), key_of(made, NAME)

    said = said_by("erase", "--customer", JO, "--retailer", WALMART)
    assert f"erased        {WALMART} {NAME}" in said
    assert "found after   nothing" in said
    certificates = [*storage.list(layout.ERASURES)]
    assert places(storage, NAME) == sorted([layout.ERASED, *certificates])
    assert places(storage, str(key)) == []
    assert in_database(made, NAME) == []

    said_by("pepper", "rotate", RETAIL_NEW_PEPPER=NEW.reveal())
    assert customers(made) == {next_pseudonym(NEW, WALMART, OTHER): 2, "unknown": 4}
    assert [each for each in places(storage, OTHER) if "ops/" not in each] == []
    assert figures(made) == before
    said_by("ingest", *days, code=2)
    said_by("erase", "--resume", code=2)


def with_peppers(work: Workspace, now: Secret, new: Secret | None = None) -> None:
    environment = {**demo_environment(), "RETAIL_CUSTOMER_PEPPER": now.reveal()}
    work.secrets = Secrets(environment | ({"RETAIL_NEW_PEPPER": new.reveal()} if new else {}))


ROTATION = [
    (landed, "change"), (quarantine, "change_texts"), (rotate_pepper, "rebuild_tables"),
    (rotate_pepper, "forget_versions"), (rotate_pepper, "require_figures"),
]  # fmt: skip


@ON_SAIL
@pytest.mark.parametrize("stops", [pytest.param(ROTATION, marks=pytest.mark.nightly, id="stopped"), []])
def test_a_rotation_gives_every_customer_one_new_pseudonym(
    stops: list[tuple[Any, str]],
    install: Callable[[str], Installation],
    session: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = install(f"rotation_{len(stops)}")
    new = [next_pseudonym(NEW, WALMART, name) for name in (NAME, OTHER)]
    lou = pseudonym(PEPPER, WALMART, "lou@example.com")
    with made_in(made, session) as work:
        erased.add(work.storage, [(WALMART, lou)])
        before, key = figures(made), key_of(made, NAME)
        with_peppers(work, PEPPER, NEW)
        for module, step in stops:
            stopping_after(monkeypatch, module, step)
            with pytest.raises(Stopped):
                rotate_pepper.rotate(work, PlainReport(console()))
            monkeypatch.undo()
            with pytest.raises(CustomersLeftError):
                run(work, DAYS[1])
        rotated = rotate_pepper.rotate(work, PlainReport(console()))

        assert rotated is not None
        assert rotated.rotations == 1
        assert rotated.changed == {"payloads/retailer_2/": 2, "raw/retailer_2/": 2, "quarantine": 1}
        assert figures(made) == before
        assert customers(made) == {new[0]: 2, new[1]: 2, "unknown": 2}
        for name in (NAME, OTHER, str(key)):
            assert in_database(made, name) == []
            assert places(work.storage, name) == []
        assert erased.of(work.storage, WALMART) == {next_pseudonym(NEW, WALMART, lou)}

        assert rotate_pepper.rotate(work, PlainReport(console())) is None
        with_peppers(work, NEW)
        given = pepper.with_earlier(work.storage, work.secrets).require("customer_pepper")
        assert pseudonym(given, WALMART, JO) == new[0]
        # Who knows only the earlier pseudonym finds the customer all the same.
        assert names_of(NAME, [WALMART], storage=work.storage, secrets=work.secrets) == [(WALMART, new[0])]
        if stops:
            run(work, *DAYS)
            assert customers(made) == {new[0]: 2, new[1]: 2, "unknown": 2}
