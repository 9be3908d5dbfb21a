"""A retailer that this repository knows nothing of needs one file and a block of configuration, as the docs say."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from retail.config.settings import home
from tests.end_to_end.installation import CONFIGURATION, Installation

# One installation for all of them.
pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("fourth_retailer")]

KEY = "corner-key-17"
DAY = ("--date", "2017-01-02")
SERVICE = "tests.end_to_end.corner_shop:CornerShop"
BLOCK = """
[retailers.corner_shop]
service = "{service}"
name = "Corner shop"
base_url = "{address}"
time_zone = "America/Denver"
options = {{ page_size = 2 }}
"""


def line(number: int, units: str, amount: float, **others: Any) -> dict[str, Any]:
    values = {"article": f"A{number}", "title": f"Thing {number}", "discount": 0, "tax": 0.1}
    return {"line": number, "units": units, "amount": amount, **values, **others}


def receipt(number: str, changed_at: str, *lines: dict[str, Any], **others: Any) -> dict[str, Any]:
    values = {"sold_at": changed_at, "currency": "USD", "till": "1", "member": None, "member_name": None}
    return {"number": number, "changed_at": changed_at, "lines": [*lines], **values, **others}


# Of 2 January in Denver, which is seven hours behind UTC, are all but the first and the last.
RECEIPTS = [
    receipt("R1", "2017-01-02T04:00:00Z", line(1, "1", 100.00)),
    receipt("R2", "2017-01-02T16:00:00Z", line(1, "2", 3.98, discount=0.5), line(2, "0.385", 1.15)),
    receipt("R3", "2017-01-02T17:00:00Z", line(1, "1", 1.99), member="M-77", member_name="Jo Doe"),
    receipt("R4", "2017-01-02T18:00:00Z", line(1, "-1", -1.99, tax=-0.1)),
    receipt("R5", "2017-01-02T19:00:00Z", line(1, "5", 9.95), void=True),
    receipt("R6", "2017-01-02T20:00:00Z", line(1, "9", 90.00), training=True),
    receipt("R7", "2017-01-03T06:30:00Z", line(1, "1", 0.30)),
    receipt("R8", "2017-01-03T07:00:00Z", line(1, "1", 200.00)),
]


class Shop(BaseHTTPRequestHandler):
    """The shop's API."""

    def do_GET(self) -> None:
        status, body = self._answer()
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self) -> tuple[int, dict[str, Any]]:
        if self.headers["X-Api-Key"] != KEY:
            return 401, {"error": "unknown key"}
        parts = urlsplit(self.path)
        if parts.path != "/v1/receipts":
            return 404, {"error": "no such page"}
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        begin, end = (datetime.fromisoformat(asked[name]) for name in ("changed_from", "changed_before"))
        found = [each for each in RECEIPTS if begin <= datetime.fromisoformat(each["changed_at"]) < end]
        start = int(asked.get("cursor", 0))
        behind = start + int(asked["limit"])
        following = str(behind) if behind < len(found) else None
        return 200, {"count": len(found), "receipts": found[start:behind], "next": following}

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def installation(shop: str, install: Callable[[str], Installation]) -> Installation:
    """An installation with this retailer alone. Nothing of the other three is in its configuration."""
    made = replace(install("corner_shop"), address=shop)
    ours, _, _ = CONFIGURATION.partition("[retailers.")
    made.folder.mkdir(parents=True)
    values = {"start": made.start, "folder": made.folder, "jars": "unused", "warehouse": made.warehouse}
    text = (ours + BLOCK).format(database="test_corner_shop", service=SERVICE, address=shop, **values)
    (made.folder / "test.toml").write_text(text, encoding="utf-8")
    return made


def ended(installation: Installation, *arguments: str) -> str:
    """What the program said, for it ended well."""
    variables = {"PYTHONPATH": str(home()), "RETAIL_CORNER_SHOP_API_KEY": KEY}
    done = installation.retail(*arguments, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def said(installation: Installation) -> str:
    """What the whole run of the day said."""
    return ended(installation, "run", *DAY)


def test_its_plan_is_told_and_nothing_is_fetched(installation: Installation) -> None:
    payloads = installation.folder / "lake" / "payloads"
    before = list(payloads.rglob("*.gz"))

    assert "corner_shop 1 6 3 0.0 0.0 120 calls a minute" in ended(installation, "ingest", "--plan", *DAY)

    assert list(payloads.rglob("*.gz")) == before


def test_its_sales_come_all_the_way_to_the_views(installation: Installation, said: str) -> None:
    assert "6 lines landed; skipped: 1 training" in said
    expected = {("corner_shop", "2017-01-02"): (6, Decimal("5.43"))}
    assert installation.delta_figures() == installation.postgresql_figures() == expected
    with installation.postgresql() as cursor:
        cursor.execute(
            "SELECT retailer_name, business_date::text, currency, fact_rows, lines, units, discount_amount,"
            " sales_amount, returns_amount, net_amount FROM marts.mv_daily_sales"
        )
        [day] = cursor.fetchall()
    assert day[:4] == ("Corner shop", "2017-01-02", "USD", 6)
    assert day[4:] == tuple(map(Decimal, ("4", "4.385", "0.50", "7.42", "-1.99", "5.43")))


def test_a_member_of_the_shop_is_a_pseudonym(installation: Installation, said: str) -> None:
    customers = {row["customer_id"] for row in installation.delta("star/dim_customer").to_pylist()}
    assert [len(customer) for customer in customers - {"unknown"}] == [64]
    pages = sorted((installation.folder / "lake" / "payloads").rglob("*.gz"))
    assert [b"Jo Doe" in gzip.decompress(page.read_bytes()) for page in pages] == [False] * 3


def test_a_key_that_is_missing_is_named_before_any_work(installation: Installation) -> None:
    done = installation.retail("ingest", *DAY, PYTHONPATH=str(home()))

    assert done.returncode == 2
    assert "RETAIL_CORNER_SHOP_API_KEY" in " ".join((done.stdout + done.stderr).split())
