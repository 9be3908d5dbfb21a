"""Faults that a test switches on: what each does to the next requests of one retailer."""

import time
from collections.abc import Callable

import pytest
import requests

AMAZON = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-06T03:00:00Z"}
WALMART = "?lastModifiedStartDate=2017-03-06T00:00:00Z&lastModifiedEndDate=2017-03-06T05:00:00Z"
SHOPIFY = """query Orders($search: String, $first: Int!, $after: String) {
  orders(first: $first, after: $after, query: $search, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor } nodes { id }
  }
}"""
SEARCH = "updated_at:>='2017-03-06T00:00:00Z' AND updated_at:<'2017-03-06T12:00:00Z'"
RETAILERS = ["retailer_1", "retailer_2", "retailer_3"]


@pytest.fixture(scope="module")
def shaky(own_simulator):
    return own_simulator("--clock", "2017-03-20T00:00:00Z")


@pytest.fixture(autouse=True)
def clear(shaky):
    shaky.session.delete(shaky.url + "/simulator/faults").raise_for_status()


@pytest.fixture(scope="module")
def ask(shaky) -> Callable[..., requests.Response]:
    """One page of a retailer, the first unless the query says otherwise."""
    tokens = [
        shaky.amazon_token().json()["access_token"],
        shaky.walmart_token().json()["access_token"],
        shaky.shopify_token().json()["access_token"],
    ]

    def page(retailer: str, *, cursor: str | None = None, size: int = 5) -> requests.Response:
        if retailer == "retailer_1":
            more = {} if cursor is None else {"paginationToken": cursor}
            return shaky.amazon(tokens[0], **AMAZON, maxResultsPerPage=size, **more)
        if retailer == "retailer_2":
            return shaky.walmart(cursor or f"{WALMART}&limit={size}", tokens[1])
        return shaky.shopify(SHOPIFY, tokens[2], search=SEARCH, first=size, after=cursor)

    return page


def switch_on(simulator, retailer, kind, **more):
    answer = simulator.post("/simulator/faults", json={"retailer": retailer, "kind": kind, **more})
    answer.raise_for_status()


def next_of(retailer, page):
    if retailer == "retailer_1":
        return page.get("pagination", {}).get("nextToken")
    if retailer == "retailer_2":
        return page["list"]["meta"]["nextCursor"]
    info = page["data"]["orders"]["pageInfo"]
    return info["endCursor"] if info["hasNextPage"] else None


@pytest.mark.parametrize("retailer", RETAILERS)
@pytest.mark.parametrize("kind", ["500", "503"])
def test_an_error_within_comes_as_often_as_asked_for_after_as_many_as_asked_for(shaky, ask, retailer, kind):
    switch_on(shaky, retailer, kind, after=1, times=2)
    assert [ask(retailer).status_code for _ in range(5)] == [200, int(kind), int(kind), 200, 200]


def test_faults_come_one_after_the_other(shaky, ask):
    switch_on(shaky, "retailer_1", "500")
    switch_on(shaky, "retailer_1", "503", after=1)
    assert [ask("retailer_1").status_code for _ in range(4)] == [500, 200, 503, 200]


def test_a_fault_touches_neither_tokens_nor_other_retailers(shaky, ask):
    switch_on(shaky, "retailer_1", "500")
    assert shaky.amazon_token().status_code == 200
    assert shaky.walmart_token().status_code == shaky.shopify_token().status_code == 200
    assert ask("retailer_2").status_code == ask("retailer_3").status_code == 200
    assert ask("retailer_1").status_code == 500


def test_cleared_faults_do_not_come(shaky, ask):
    switch_on(shaky, "retailer_2", "500", times=5)
    waiting = shaky.get("/simulator/faults").json()
    assert [one["kind"] for one in waiting["retailer_2"]] == ["500"]
    shaky.session.delete(shaky.url + "/simulator/faults")
    assert ask("retailer_2").status_code == 200


def test_too_many_requests_carries_each_retailers_own_hint_or_none(shaky, ask):
    for retailer in RETAILERS:
        switch_on(shaky, retailer, "429", times=2)
    amazon, walmart = ask("retailer_1"), ask("retailer_2")
    assert amazon.status_code == walmart.status_code == 429
    assert amazon.json()["errors"][0]["code"] == "QuotaExceeded"
    assert not {"Retry-After", "x-amzn-RateLimit-Limit"} & set(amazon.headers)
    assert walmart.headers["x-current-token-count"] == "0"
    assert int(walmart.headers["x-next-replenish-time"]) > 1_489_000_000_000
    shopify = [ask("retailer_3") for _ in range(2)]
    [by_status] = [answer for answer in shopify if answer.status_code == 429]
    [by_body] = [answer for answer in shopify if answer.status_code == 200]
    assert float(by_status.headers["Retry-After"]) > 0
    assert by_body.json()["errors"][0]["extensions"]["code"] == "THROTTLED"


def test_an_expired_token_is_refused_in_each_retailers_words(shaky, ask):
    for retailer in RETAILERS:
        switch_on(shaky, retailer, "expired_token")
    answers = {retailer: ask(retailer) for retailer in RETAILERS}
    assert [answer.status_code for answer in answers.values()] == [403, 400, 401]
    assert "expired" in answers["retailer_1"].text
    assert "INVALID_TOKEN" in answers["retailer_2"].text
    assert {ask(retailer).status_code for retailer in RETAILERS} == {200}


@pytest.mark.parametrize("retailer", RETAILERS)
def test_a_cut_off_body_is_shorter_than_it_says(shaky, ask, retailer):
    switch_on(shaky, retailer, "cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(retailer)
    assert ask(retailer).json()


@pytest.mark.parametrize("retailer", RETAILERS)
def test_broken_json_comes_whole_with_status_200(shaky, ask, retailer):
    switch_on(shaky, retailer, "broken_json")
    answer = ask(retailer)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert ask(retailer).json()


@pytest.mark.parametrize("retailer", RETAILERS)
def test_a_dropped_connection_has_no_answer(shaky, ask, retailer):
    switch_on(shaky, retailer, "drop")
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(retailer)
    assert ask(retailer).status_code == 200


def test_a_slow_answer_takes_as_long_as_asked_for(shaky, ask):
    switch_on(shaky, "retailer_2", "slow", seconds=0.7)
    started = time.monotonic()
    assert ask("retailer_2").status_code == 200
    assert time.monotonic() - started > 0.7


@pytest.mark.parametrize("retailer", RETAILERS)
def test_a_repeated_page_is_the_one_before(shaky, ask, retailer):
    first = ask(retailer)
    switch_on(shaky, retailer, "repeated_page")
    cursor = next_of(retailer, first.json())
    assert ask(retailer, cursor=cursor).text == first.text
    assert ask(retailer, cursor=cursor).text != first.text


@pytest.mark.parametrize("retailer", RETAILERS)
@pytest.mark.parametrize("size", [5, 100])
def test_an_endless_cursor_never_ends(shaky, ask, retailer, size):
    switch_on(shaky, retailer, "endless_cursor")
    cursor, pages = None, []
    for _ in range(40):
        page = ask(retailer, cursor=cursor, size=size).json()
        pages.append(page)
        cursor = next_of(retailer, page)
        assert cursor
    assert pages[-1] == pages[-2]
    assert pages[0] != pages[-1] or size == 100


def test_an_endless_cursor_never_ends_in_amazons_ledger_either(shaky):
    switch_on(shaky, "retailer_1", "endless_cursor")
    query = {"postedAfter": "2017-03-06T00:00:00Z"}
    first = shaky.amazon_transactions_page(**query).json()["payload"]["nextToken"]
    assert first
    assert shaky.amazon_transactions_page(**query, nextToken=first).json()["payload"]["nextToken"] == first


def test_what_is_no_fault_is_refused(shaky):
    for wrong in (
        {"retailer": "retailer_4", "kind": "500"},
        {"retailer": "retailer_1", "kind": "flood"},
        {"retailer": "retailer_1", "kind": "500", "times": 0},
        {"retailer": "retailer_1", "kind": "slow", "seconds": 3600},
        {"retailer": "retailer_1", "kind": "500", "often": 1},
        [],
    ):
        assert shaky.post("/simulator/faults", json=wrong).status_code == 400


def test_a_dropped_or_cut_connection_leaves_no_trace_on_stderr(launch, capfd):
    running = launch("--clock", "2017-03-20T00:00:00Z")
    for kind in ("drop", "cut"):
        switch_on(running, "retailer_1", kind)
        with pytest.raises(requests.exceptions.RequestException):
            running.amazon(**AMAZON)
    assert running.amazon(**AMAZON).status_code == 200
    assert capfd.readouterr().err == ""
