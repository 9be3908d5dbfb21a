"""A file of a bulk operation is asked for where the configuration says, and nowhere else."""

from __future__ import annotations

import json

import pytest
from tests.sources.test_shopify_bulk import begun, counted, done, file_of, shop, state  # noqa: F401 - a fixture
from tests.sources.test_shopify_bulk import read as read_bulk

from retail.errors import AnswerLimitError, ExtractError, ForbiddenAddressError
from retail.sources.http.addresses import require_allowed
from retail.sources.shopify import bulk
from retail.sources.shopify.service import STORAGE

SHOP = "https://store.myshopify.com"
FORBIDDEN = [
    "http://storage.googleapis.com/f", "https://evil.example.com/f", "https://storage.googleapis.com.evil.example/f",
    "https://evil-storage.googleapis.com/f", "https://storage.googleapis.com@evil.example.com/f",
    "https://user:pass@storage.googleapis.com/f", "https://storage.googleapis.com:22/f", "https://169.254.169.254/f",
    "https://[fd00:ec2::254]/f", "https://10.0.0.1/f", "https://localhost/f", "http://127.0.0.1/f", "file:///etc/passwd",
    "ftp://storage.googleapis.com/f", "//storage.googleapis.com/f", "storage.googleapis.com/f", "", None,
    "https://storage.googleapis.com:99999999/f", "https://[/f", "https://storage.googleapis.com\\@evil.example.com/f",
]  # fmt: skip


def allowed(url, base_url=SHOP):
    return require_allowed(url, base_url=base_url, hosts=[STORAGE], retailer_id="shop", option="bulk_hosts")


@pytest.mark.parametrize("url", FORBIDDEN)
def test_an_address_elsewhere_is_not_asked(url):
    with pytest.raises(ForbiddenAddressError) as caught:
        allowed(url)

    assert caught.value.code == "forbidden-address"
    assert "bulk_hosts" in caught.value.hint
    assert "pass@" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["https://storage.googleapis.com/f?X=1", "https://STORAGE.googleapis.com:443/f", f"{SHOP}/f"]
)
def test_the_storage_and_the_shop_itself_are(url):
    assert allowed(url) == url


def test_only_the_simulator_may_be_on_this_machine():
    assert allowed("http://127.0.0.1:8080/f", "http://127.0.0.1:8080") == "http://127.0.0.1:8080/f"
    for elsewhere in ("http://127.0.0.1:22/f", "http://10.0.0.1:8080/f", "https://storage.googleapis.com/f"):
        with pytest.raises(ForbiddenAddressError):
            allowed(elsewhere, "http://127.0.0.1:8080")


def test_a_file_elsewhere_is_not_asked_for(shop, scripted, reply, open_at):  # noqa: F811
    elsewhere = scripted(reply(body=b""))
    server = shop(
        counted(100), begun(), state("COMPLETED", lines=list(file_of(1)), url=f"{elsewhere.url}/file")
    )

    with pytest.raises(ForbiddenAddressError):
        list(read_bulk(open_at, server))

    assert elsewhere.seen == []


def test_a_file_that_redirects_is_not_followed(shop, scripted, reply, open_at):  # noqa: F811
    elsewhere = scripted(reply(body=b"\n".join(file_of(1))))
    moved = reply(302, b"", headers={"Location": f"{elsewhere.url}/file"})
    lines = list(file_of(1))
    server = shop(counted(100), begun(), *[each for _ in range(6) for each in (done(*lines), moved)])

    with pytest.raises(ExtractError, match="HTTP 302"):
        list(read_bulk(open_at, server))

    assert elsewhere.seen == []


@pytest.mark.parametrize("count", [None, "many", {}, "-1", True, "NaN"])
def test_an_operation_without_its_counts_is_no_day_without_sales(shop, open_at, count):  # noqa: F811
    answer = state("COMPLETED")
    answer["data"]["bulkOperation"]["rootObjectCount"] = count

    with pytest.raises(ExtractError, match="does not say how many"):
        list(read_bulk(open_at, shop(counted(100), begun(), answer)))


def test_a_file_of_more_lines_than_it_says_is_not_read_on(shop, reply, open_at):  # noqa: F811
    lines = list(file_of(3))
    long = reply(body=b"\n".join([*lines, *file_of(9)]))
    server = shop(counted(100), begun(), *[each for _ in range(6) for each in (done(*lines), long)])

    with pytest.raises(ExtractError, match="it has more than 6 lines"):
        list(read_bulk(open_at, server))


@pytest.mark.parametrize("what", ["line", "order", "file"])
def test_a_line_an_order_and_a_file_have_an_end(shop, reply, open_at, monkeypatch, what):  # noqa: F811
    lines = list(file_of(1, lines=2_000))
    monkeypatch.setattr(
        bulk, {"line": "MOST_BYTES", "order": "PAGE_BYTES", "file": "_MOST_FILE_BYTES"}[what], 9_999
    )
    if what == "line":
        lines = [json.dumps({"id": "o0", "note": "x" * 99_999}).encode()]
    server = shop(counted(100), begun(), done(*lines), reply(body=b"\n".join(lines)))

    with pytest.raises(AnswerLimitError):
        list(read_bulk(open_at, server))


def test_a_page_of_large_orders_ends_sooner_and_is_resumed_by_its_orders(shop, reply, open_at, monkeypatch):  # noqa: F811
    monkeypatch.setattr(bulk, "PAGE_BYTES", 500)
    lines = list(file_of(30))
    server = shop(counted(100), begun(), done(*lines), reply(body=b"\r\n".join(lines)))

    pages = list(read_bulk(open_at, server))

    found = [order["id"] for page in pages for order in page.answer["data"]["orders"]["nodes"]]
    assert found == [f"o{number}" for number in range(30)]
    assert 4 < len(pages) < 30
    assert json.loads(pages[1].next_cursor)["done"] == len(pages[1].answer["data"]["orders"]["nodes"])
