"""Shopify's bulk operations as the service runs them, against a scripted shop."""

import json

import pytest
from tests.sources.test_shopify import WINDOW, page_of

from retail.errors import ConfigurationError, CursorExpiredError, ExtractError

OPERATION = "gid://shopify/BulkOperation/7"
FILE = "/file.jsonl"
EMPTY = {"pageInfo": {"hasNextPage": False}, "edges": []}


def counted(count):
    """The first page of a window that holds so many orders."""
    body = page_of({"id": "first"}, cursor="c1")
    return {"data": {**body["data"], "ordersCount": {"count": count, "precision": "EXACT"}}}


def begun(operation=OPERATION, code=None):
    found = {"id": operation, "status": "CREATED"} if code is None else None
    errors = [{"code": code, "field": None, "message": "said Shopify"}] if code else []
    return {"data": {"bulkOperationRunQuery": {"bulkOperation": found, "userErrors": errors}}}


def state(status, *, lines=(), url=None, error=None):
    roots = sum(b"__parentId" not in line for line in lines)
    counts = {"rootObjectCount": str(roots), "objectCount": str(len(lines))}
    found = {"id": OPERATION, "status": status, "errorCode": error, "url": url, **counts}
    return {"data": {"bulkOperation": found}}


def file_of(orders, *, lines=1):
    """The lines of a file: so many orders, each with so many line items."""
    for number in range(orders):
        yield json.dumps(
            {"id": f"o{number}", "updatedAt": "2017-01-05T10:00:00Z", "taxesIncluded": 1.10}
        ).encode()
        for item in range(lines):
            yield json.dumps({"id": f"o{number}-{item}", "__parentId": f"o{number}"}).encode()


@pytest.fixture
def shop(scripted, reply):
    """Scripted replies, of which those that are functions get the shop's own address."""

    def start(*bodies):
        def replies():
            for body in bodies:
                given = body(server.url + FILE) if callable(body) else body
                yield given if isinstance(given, reply) else reply(body=given)

        server = scripted(endless=replies())
        return server

    return start


def done(*lines):
    return lambda url: state("COMPLETED", lines=lines, url=url)


def ids(pages):
    return [order["id"] for page in pages for order in page.answer["data"]["orders"]["nodes"]]


def read(open_at, server, cursor=None, **options):
    service = open_at("retailer_3", server.url, options={"bulk_from_orders": 100, **options})
    return service.pages(WINDOW, cursor)


def test_a_window_of_many_orders_is_read_by_one_operation(shop, reply, open_at, time):
    lines = list(file_of(600, lines=2))
    server = shop(
        counted(100),
        begun(),
        state("CREATED"),
        state("RUNNING"),
        done(*lines),
        reply(body=b"\n".join(lines) + b"\n"),
    )

    pages = list(read(open_at, server))

    assert ids(pages) == [f"o{number}" for number in range(600)]
    assert [len(page.answer["data"]["orders"]["nodes"]) for page in pages] == [0, 250, 250, 100]
    first = pages[1].answer["data"]["orders"]["nodes"][0]
    assert first["lineItems"] == {"nodes": [{"id": "o0-0"}, {"id": "o0-1"}]}
    assert str(first["taxesIncluded"]) == "1.1"
    places = [page.next_cursor and json.loads(page.next_cursor) for page in pages]
    assert places == [*({"bulk": OPERATION, "done": n} for n in (0, 250, 500)), None]
    assert time.slept == [1.0, 2.0]
    run = json.loads(server.seen[1].body)
    assert "groupObjects: true" in run["query"]
    assert (
        "updated_at:>='2017-01-05T04:00:00Z' AND updated_at:<'2017-01-06T05:00:00Z'"
        in run["variables"]["query"]
    )


def test_the_token_is_not_sent_to_the_files_address(shop, reply, open_at):
    lines = list(file_of(1))
    server = shop(counted(100), begun(), done(*lines), reply(body=b"\n".join(lines)))

    list(read(open_at, server))

    asked = server.seen[-1]
    assert asked.path == FILE
    assert not {"x-shopify-access-token", "authorization", "cookie"} & asked.headers.keys()


@pytest.mark.parametrize("count", [0, 99, None])
def test_a_window_of_fewer_orders_is_read_by_pages(shop, open_at, count):
    first = counted(count) if count is not None else page_of({"id": "first"}, cursor="c1")
    server = shop(first, page_of({"id": "second"}))

    assert ids(read(open_at, server)) == ["first", "second"]


def test_without_a_limit_nothing_is_counted(shop, open_at):
    server = shop(page_of({"id": "first"}))

    list(read(open_at, server, bulk_from_orders=0))

    assert json.loads(server.seen[0].body)["variables"]["counted"] is False


def test_where_nothing_matches_there_is_no_file_and_one_last_page(shop, open_at):
    pages = list(read(open_at, shop(counted(100), begun(), state("COMPLETED"))))

    assert (ids(pages), pages[-1].next_cursor) == ([], None)


@pytest.mark.parametrize("code", ["LIMIT_REACHED", "OPERATION_IN_PROGRESS"])
def test_where_too_many_operations_run_the_window_is_read_by_pages(shop, open_at, code):
    server = shop(counted(100), begun(code=code), page_of({"id": "second"}))

    assert ids(read(open_at, server)) == ["first", "second"]


def test_an_operation_that_is_refused_is_an_error_with_shopifys_words(shop, open_at):
    with pytest.raises(ExtractError, match="said Shopify") as caught:
        list(read(open_at, shop(counted(100), begun(code="INVALID"))))

    assert "bulk_from_orders" in caught.value.hint


@pytest.mark.parametrize("place", [0, 250])
def test_a_run_that_was_killed_goes_on_in_the_file_of_the_same_operation(shop, reply, open_at, place):
    lines = list(file_of(300))
    server = shop(done(*lines), reply(body=b"\n".join(lines)))

    pages = list(read(open_at, server, json.dumps({"bulk": OPERATION, "done": place})))

    assert ids(pages) == [f"o{number}" for number in range(place, 300)]
    assert json.loads(server.seen[0].body)["variables"] == {"id": OPERATION}


def test_a_file_that_breaks_off_is_opened_again_and_no_order_comes_twice(shop, reply, open_at, time):
    lines = list(file_of(300, lines=3))
    content = b"\n".join(lines)
    server = shop(
        counted(100),
        begun(),
        done(*lines),
        reply(body=content, cut=len(content) // 2),
        done(*lines),
        reply(503, {}),
        done(*lines),
        reply(body=content),
    )

    pages = list(read(open_at, server))

    assert ids(pages) == [f"o{number}" for number in range(300)]
    orders = [order for page in pages for order in page.answer["data"]["orders"]["nodes"]]
    assert {len(order["lineItems"]["nodes"]) for order in orders} == {3}
    assert time.slept == [2.0, 4.0]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_file_that_ends_too_soon_is_never_taken_for_whole(shop, reply, open_at, missing):
    """At the end of a line, so that nothing but the count tells: a line item less, or an order less."""
    lines = list(file_of(10))
    short = reply(body=b"\n".join(lines[:-missing]))
    answers = [each for _ in range(3) for each in (done(*lines), short)]
    server = shop(counted(100), begun(), *answers)
    service = open_at("retailer_3", server.url, options={"bulk_from_orders": 100}, tries=3)

    with pytest.raises(ExtractError, match=f"it has {20 - missing} of 20 lines"):
        list(service.pages(WINDOW, None))


@pytest.mark.parametrize(
    "body", [b'{"id": "o1"}\n{"id": "i", "__parentId": "o9"}', b'{"id": "i", "__parentId": "o1"}']
)
def test_a_file_that_is_not_grouped_is_an_error(shop, reply, open_at, body):
    lines = body.split(b"\n")

    with pytest.raises(ExtractError, match="not grouped by order"):
        list(read(open_at, shop(counted(100), begun(), done(*lines), reply(body=body))))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (state("EXPIRED"), "no longer has bulk operation"),
        ({"data": {"bulkOperation": None}}, "no longer has bulk operation"),
        (state("FAILED", error="TIMEOUT"), "ended as FAILED: TIMEOUT"),
        (state("CANCELED"), "ended as CANCELED: no reason given"),
    ],
)
def test_an_operation_that_is_gone_or_failed_has_the_day_walked_from_its_start(
    shop, open_at, answer, message
):
    with pytest.raises(CursorExpiredError, match=message):
        list(read(open_at, shop(answer), json.dumps({"bulk": OPERATION, "done": 250})))


def test_an_operation_that_takes_too_long_is_an_error_and_is_gone_on_with_later(shop, open_at, time):
    server = shop(counted(100), begun(), *[state("RUNNING")] * 20)
    walk = read(open_at, server, bulk_wait_seconds=100)
    begun_page = next(walk)

    with pytest.raises(ExtractError, match="is RUNNING after 100 s") as caught:
        next(walk)

    assert "bulk_wait_seconds" in caught.value.hint
    assert json.loads(begun_page.next_cursor) == {"bulk": OPERATION, "done": 0}
    assert max(time.slept) == 30.0


def test_personal_data_of_a_file_is_not_kept(shop, reply, open_at):
    line = json.dumps(
        {
            "id": "gid://shopify/Order/1",
            "email": "ann@example.com",
            "customer": {"id": "gid://shopify/Customer/9", "firstName": "Ann"},
        }
    ).encode()
    server = shop(counted(100), begun(), done(line), reply(body=line))

    *_, page = read(open_at, server)

    kept = str(page.answer)
    assert [word for word in ("ann@", "Ann", "Customer/9") if word in kept] == []


def test_an_orders_ledger_is_asked_for_in_bulk_too(shop, reply, open_at):
    line = json.dumps({"id": "gid://shopify/Order/1", "edited": True}).encode()
    ledger = {"data": {"order": {"id": "gid://shopify/Order/1", "agreements": EMPTY}}}
    server = shop(counted(100), begun(), done(line), reply(body=line), ledger)

    *_, page = read(open_at, server)

    assert page.answer["data"]["orders"]["nodes"][0]["agreements"] == {"nodes": []}


def test_zero_orders_is_no_limit(open_at):
    with pytest.raises(ConfigurationError, match="bulk_from_orders"):
        open_at("retailer_3", "http://127.0.0.1:9", options={"bulk_from_orders": -1})
