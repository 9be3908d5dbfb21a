"""A clock that runs ahead here: the retailer's own says that the day is not over, and none of it is taken."""

from datetime import UTC, date, datetime

import pytest

from retail.errors import ExtractError, RefusedError
from retail.landing.fetch import extract
from retail.sources.window import Window

DAY = date(2017, 1, 9)
# To the clock of these tests, 2017-01-10 at noon, it is over.
WINDOW = Window(DAY, datetime(2017, 1, 9, 5, tzinfo=UTC), datetime(2017, 1, 10, 6, tzinfo=UTC))
AT_THE_END = "Tue, 10 Jan 2017 06:00:00 GMT"
A_SECOND_BEFORE = "Tue, 10 Jan 2017 05:59:59 GMT"

SEVEN_HOURS_AGO = "Tue, 10 Jan 2017 05:00:00 GMT"
TOLD = (
    "the day that ends at 2017-01-10 06:00 UTC is not over; "
    "the retailer's clock says 2017-01-10 05:00:00, this machine's 2017-01-10 12:00:00"
)

NOTHING_FOUND = (404, {"error": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]})
NO_ORDER = {"list": {"meta": {"totalCount": 0}, "elements": {"order": []}}}
EMPTY = {
    "retailer_1": (200, {"orders": []}),
    "retailer_2": NOTHING_FOUND,
    "retailer_3": (
        200,
        {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}},
    ),
}


def answers(reply, retailer_id, said):
    """Every page of a day without orders; Walmart is asked for four lists."""
    return [reply(*EMPTY[retailer_id], headers={"Date": said}) for _ in range(4)]


@pytest.mark.parametrize("retailer_id", EMPTY)
def test_a_day_that_is_not_over_by_the_retailers_clock_leaves_no_page(
    scripted, reply, open_at, lake, retailer_id
):
    server = scripted(*answers(reply, retailer_id, SEVEN_HOURS_AGO))
    which = {"retailer_id": retailer_id, "window": WINDOW, "run_id": "r1"}

    with pytest.raises(ExtractError) as caught:
        extract(open_at(retailer_id, server.url), lake, **which)

    assert caught.value.message == f"{retailer_id}: {TOLD}"
    assert "correct this machine's clock" in caught.value.hint
    assert len(server.seen) == 1
    assert list(lake.list("payloads/")) == []


@pytest.mark.parametrize("retailer_id", EMPTY)
def test_it_is_over_to_the_second(scripted, reply, open_at, retailer_id):
    over, not_over = (
        open_at(retailer_id, scripted(*answers(reply, retailer_id, said)).url)
        for said in (AT_THE_END, A_SECOND_BEFORE)
    )

    assert list(over.pages(WINDOW, None))
    with pytest.raises(ExtractError, match="2017-01-10 05:59:59"):
        list(not_over.pages(WINDOW, None))


def test_a_list_of_walmarts_that_has_orders_is_not_taken_either(scripted, reply, open_at):
    server = scripted(reply(body=NO_ORDER, headers={"Date": SEVEN_HOURS_AGO}))

    with pytest.raises(ExtractError, match=r"2017-01-10 06:00 .*2017-01-10 05:00:00"):
        list(open_at("retailer_2", server.url).pages(WINDOW, None))


@pytest.mark.parametrize("cursor", [None, "t1"])
def test_amazon_that_refuses_such_a_time_without_a_reason_is_told_with_it(scripted, reply, open_at, cursor):
    server = scripted(reply(400, {"errors": [{"code": "InvalidInput"}]}, headers={"Date": SEVEN_HOURS_AGO}))

    with pytest.raises(ExtractError) as caught:
        list(open_at("retailer_1", server.url).pages(WINDOW, cursor))

    assert caught.value.message == f"retailer_1: {TOLD}"


def test_what_amazon_refuses_for_another_reason_is_told_as_before(scripted, reply, open_at):
    wrong = reply(403, {"errors": [{"code": "AccessDenied"}]}, headers={"Date": SEVEN_HOURS_AGO})
    late = reply(400, {"errors": [{"code": "InvalidInput"}]}, headers={"Date": AT_THE_END})

    for refusal, status in ((wrong, 403), (late, 400)):
        with pytest.raises(RefusedError) as caught:
            list(open_at("retailer_1", scripted(refusal).url).pages(WINDOW, None))
        assert caught.value.status == status
