"""`sync.method = "jdbc"`: Spark's own tasks write into staging tables, and the star is the same as by COPY."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from pyspark.sql import SparkSession

from retail.config.settings import SyncSettings, WarehouseSettings
from retail.errors import ConfigurationError, WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish import jdbc
from retail.warehouse.publish.transaction import Method, Published, publish, published_runs
from tests.conftest import settings_for
from tests.warehouse.conftest import Query, database
from tests.warehouse.literals import Lake, Row, line

pytestmark = pytest.mark.postgres
ON_SPARK = pytest.mark.parametrize(
    "engine",
    [pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])],
    indirect=True,
    scope="session",
)

STAGING = "SELECT relname FROM pg_class WHERE relnamespace = 'ops'::regnamespace AND relname LIKE 'staged%'"
KEYS = "SELECT sales_key FROM star.fact_sales ORDER BY 1"
STAR = ("dim_customer", "dim_date", "dim_product", "dim_retailer", "dim_store", "fact_sales")


@dataclass(frozen=True)
class Publisher:
    session: SparkSession
    lake: Lake
    warehouse: Warehouse
    method: Method = "jdbc"

    def __call__(self, run_id: str) -> Published:
        return publish(
            self.session,
            self.lake.storage,
            self.warehouse,
            run_id=run_id,
            pending_run_ids=[run_id],
            months=["2017-01", "2017-02"],
            delta_versions=self.lake.versions,
            method=self.method,
        )


@pytest.fixture
def publishing(session: SparkSession, lake: Lake, warehouse: Warehouse) -> Publisher:
    return Publisher(session, lake, warehouse)


@ON_SPARK
def test_both_methods_give_the_same_tables(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, server: Warehouse
) -> None:
    other = replace(publishing, warehouse=database(server, template="template"), method="copy")
    lake.write("dim_product", *_awkward_products())
    lake.write("fact_sales", *_awkward_lines())
    first = [each("run_1") for each in (publishing, other)]
    lake.replace("fact_sales", "sales_key = 1", line(1, "2017-02-01", "7", changed_run_id="run_2"))
    lake.replace("fact_sales", "sales_key = 2", line(2, "2017-01-05", "-0.0001", changed_run_id="run_2"))
    second = [each("run_2") for each in (publishing, other)]

    assert first[0].tables == first[1].tables
    assert second[0].tables == second[1].tables
    assert second[0].restated_days == second[1].restated_days > 0
    (by_jdbc, by_copy) = (_everything(each) for each in (warehouse, other.warehouse))
    assert by_jdbc == by_copy
    assert len(by_jdbc["star.fact_sales"]) == len(_awkward_lines())


def _awkward_products() -> list[Row]:
    names = ['Ünï "quoted", \\N\nsecond line', "", "NULL", "nul \x00 in it", None, "\\.", "\t"]
    return [
        {
            "product_key": -(2**63) + n,
            "retailer_id": "retailer_1",
            "product_id": f"00{n}",
            "product_name": name,
        }
        for n, name in enumerate(names)
    ]


def _awkward_lines() -> list[Row]:
    moment = datetime(2017, 1, 5, 23, 59, 59, 999999, UTC)
    return [
        line(2**63 - 1, "2017-01-05", "123456789012.3456", quantity="-0.001", sold_at=moment),
        line(
            -(2**63), "2017-01-31", "0.0001", transaction_id="", updated_at=datetime(1969, 12, 31, tzinfo=UTC)
        ),
        line(1, "2017-01-05", "1") | {"discount_amount": None, "unit_price": None},
        line(2, "2017-01-05", "2", transaction_id="t1"),
        # In the hour that a clock in Europe skips, and the one that it has twice.
        line(3, "2017-02-01", "3", sold_at=datetime(2017, 3, 26, 1, 30, tzinfo=UTC)),
        line(4, "2017-02-01", "3", sold_at=datetime(2017, 10, 29, 0, 30, tzinfo=UTC)),
    ]


def _everything(warehouse: Warehouse) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    with warehouse.connect("test") as connection, connection.cursor() as cursor:
        for table in (*(f"star.{name}" for name in STAR), "marts.restated_transaction"):
            cursor.execute(f"SELECT * FROM {table} AS t ORDER BY t::text")
            found[table] = cursor.fetchall()  # type: ignore[assignment]
        cursor.execute("SELECT run_id, published_by, tables, delta_versions FROM ops.publish ORDER BY 1")
        found["ledger"] = cursor.fetchall()  # type: ignore[assignment]
    return found


@ON_SPARK
def test_a_publish_again_sends_the_same_and_changes_nothing(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(2, "2017-02-01", "2"))
    publishing("run_1")
    before = query("SELECT xmin::text, * FROM star.fact_sales ORDER BY sales_key")
    again = publishing("run_1")
    assert [(each.inserted, each.updated) for each in again.tables] == [(0, 0)] * len(STAR)
    assert query("SELECT xmin::text, * FROM star.fact_sales ORDER BY sales_key") == before


@ON_SPARK
def test_staging_is_unlogged_hidden_from_bi_and_gone_after(
    publishing: Publisher, lake: Lake, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    seen: list[tuple[object, ...]] = []
    real = jdbc.Sending._write

    def looking(self: jdbc.Sending, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        seen.extend(
            query(
                "SELECT relpersistence, relowner::regrole::text, obj_description(oid) LIKE '%%run_1%%',"
                " has_schema_privilege('retail_reader', relnamespace, 'USAGE'),"
                " has_table_privilege('retail_reader', oid, 'SELECT')"
                " FROM pg_class WHERE relname ~ %s AND relnamespace = 'ops'::regnamespace",
                "^staged_.*_fact_sales",
            )
        )

    monkeypatch.setattr(jdbc.Sending, "_write", looking)
    publishing("run_1")
    assert seen == [("u", "retail_owner", True, False, False)]
    assert query(STAGING) == []


@ON_SPARK
def test_what_a_killed_publish_left_goes_with_the_next(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    query("CREATE UNLOGGED TABLE ops.staged_0123456789ab_fact_sales (n integer)")
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    publishing("run_1")
    assert query(STAGING) == []
    assert query(KEYS) == [(1,)]


@ON_SPARK
def test_a_staging_table_in_which_a_lost_task_still_writes_stops_nobody(
    publishing: Publisher, lake: Lake, query: Query, warehouse: Warehouse
) -> None:
    query("CREATE UNLOGGED TABLE ops.staged_0123456789ab_fact_sales (n integer)")
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    with warehouse.connect("be the task") as task, task, structlog.testing.capture_logs() as told:
        task.cursor().execute("INSERT INTO ops.staged_0123456789ab_fact_sales VALUES (1)")
        publishing("run_1")
    assert [each["event"] for each in told] == ["a staging table is left to the next publish"]
    assert query(KEYS) == [(1,)]
    publishing("run_1")
    assert query(STAGING) == []


@ON_SPARK
def test_a_key_that_delta_holds_twice_is_refused_though_the_rows_are_equal(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", line(8, "2017-01-05", "1"), line(8, "2017-01-05", "1"))
    with pytest.raises(WarehouseError, match=r"star/fact_sales .*sales_key 8\b"):
        publishing("run_1")
    assert query(STAGING) == []


class Cut(threading.Thread):
    """A server before PostgreSQL that passes all on, but cuts the first connection that commits rows of the fact:
    before PostgreSQL hears of the commit, or behind it, before the client does."""

    def __init__(self, warehouse: Warehouse, *, behind: bool) -> None:
        super().__init__(daemon=True)
        self.to, self.behind = (warehouse.host, warehouse.port), behind
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.commits = 0
        self.turn = threading.Lock()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._questions, args=(client,), daemon=True).start()

    def _questions(self, client: socket.socket) -> None:
        server = socket.create_connection(self.to)
        committed = threading.Event()
        threading.Thread(target=self._answers, args=(server, client, committed), daemon=True).start()
        has_facts = False
        with suppress(OSError):
            while data := client.recv(1 << 16):
                has_facts = has_facts or (b"INSERT INTO" in data and b"_fact_sales" in data)
                if has_facts and b"COMMIT" in data and self._is_first():
                    if not self.behind:
                        break
                    committed.set()
                server.sendall(data)
        _cut(client, server)

    def _answers(self, server: socket.socket, client: socket.socket, committed: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if committed.is_set():
                    break
                client.sendall(data)
        _cut(client, server)

    def _is_first(self) -> bool:
        with self.turn:
            self.commits += 1
            return self.commits == 1


def _cut(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut(warehouse: Warehouse, *, behind: bool) -> Iterator[Cut]:
    proxy = Cut(warehouse, behind=behind)
    proxy.start()
    with closing(proxy.listener):
        yield proxy


@ON_SPARK
@pytest.mark.parametrize("behind", [False, True], ids=["before its commit", "behind its commit"])
def test_a_task_that_loses_its_connection_is_tried_again_and_doubles_no_row(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query, behind: bool
) -> None:
    lines = [line(key, "2017-01-05", "1") for key in range(20)]
    lake.write("fact_sales", *lines, line(20, "2017-02-01", "1"))
    with cut(warehouse, behind=behind) as proxy, structlog.testing.capture_logs() as told:
        through = replace(warehouse, host="127.0.0.1", port=proxy.port)
        published = replace(publishing, warehouse=through)("run_1")
        assert proxy.commits > 1, "no task was tried again"
    twice = [each["taken_out"] for each in told if each["event"] == "a task of Spark wrote its rows twice"]
    assert bool(twice) == behind
    assert published.tables[-1].sent == published.tables[-1].inserted == 21
    assert query(KEYS) == [(key,) for key in range(21)]


@ON_SPARK
def test_a_server_that_refuses_the_rows_is_told_without_rows_and_password(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1", transaction_id="of a customer"))
    real = jdbc.Sending._write

    def too_narrow(self: jdbc.Sending, *args: object) -> None:
        for (name,) in query(STAGING):
            query(f"ALTER TABLE ops.{name} ADD CHECK (changed_run_id <> 'run_1')")
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(jdbc.Sending, "_write", too_narrow)
    with pytest.raises(
        WarehouseError, match=r"could not write the rows of star/\w+ to .*violates check"
    ) as refused:
        publishing("run_1")
    assert "nothing was published" in refused.value.hint
    assert "of a customer" not in str(refused.value)
    assert published_runs(warehouse) == set()
    assert query(STAGING) == []


def test_the_way_by_jdbc_is_refused_before_any_work_where_it_cannot_be_had(tmp_path: Path) -> None:
    by_jdbc = {"sync": SyncSettings(method="jdbc")}
    on_sail = settings_for("sail", tmp_path)
    on_spark = settings_for("spark", tmp_path).model_copy(update=by_jdbc)
    jdbc.require(on_sail)
    jdbc.require(on_spark)
    with pytest.raises(ConfigurationError, match=r'sync\.method: .* needs Spark, and engine is "sail"'):
        jdbc.require(on_sail.model_copy(update=by_jdbc))
    by_socket = {"warehouse": WarehouseSettings(host="/var/run/postgresql")}
    with pytest.raises(ConfigurationError, match=r"warehouse\.host: JDBC cannot use a socket"):
        jdbc.require(on_spark.model_copy(update=by_socket))
