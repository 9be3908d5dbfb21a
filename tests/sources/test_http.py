"""What one question to a retailer survives, asked through the Amazon service of a scripted server."""

import socket
from datetime import UTC, date, datetime

import pytest
from structlog.testing import capture_logs

from retail.errors import ExtractError, RefusedError
from retail.sources.http.messages import retry_after
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
EMPTY = {"orders": []}
EXPIRED = {
    "errors": [{"code": "Unauthorized", "message": "denied", "details": "The access token has expired."}]
}


def first_page(service):
    return next(service.pages(WINDOW, None)).answer


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_asked_again_and_the_page_is_there(scripted, reply, open_at, time, status):
    server = scripted(reply(status, {"errors": []}), reply(body=EMPTY))

    assert first_page(open_at("retailer_1", server.url)) == EMPTY
    assert len(server.seen) == 2
    assert len(time.slept) == 1


def test_each_wait_is_longer_than_the_one_before(scripted, reply, open_at, time):
    server = scripted(*[reply(500)] * 4, reply(body=EMPTY))

    first_page(open_at("retailer_1", server.url))

    assert all(
        at_least <= slept <= at_least + 1 for at_least, slept in zip((1, 2, 4, 8), time.slept, strict=True)
    )


def test_a_429_waits_as_long_as_retry_after_says(scripted, reply, open_at, time):
    server = scripted(reply(429, headers={"Retry-After": "17"}), reply(body=EMPTY))

    first_page(open_at("retailer_1", server.url))

    assert [17 <= slept <= 18 for slept in time.slept] == [True]


def test_retry_after_may_be_a_date():
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert retry_after({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, now) == 30
    assert retry_after({"Retry-After": "Mon, 23 Nov 2026 11:00:00 GMT"}, now) == 0
    assert retry_after({"Retry-After": "soon"}, now) is None
    assert retry_after({}, now) is None


def test_a_cut_off_body_is_asked_for_again(scripted, reply, open_at):
    server = scripted(reply(body=EMPTY, cut=4), reply(body=EMPTY))

    assert first_page(open_at("retailer_1", server.url)) == EMPTY


def test_broken_json_is_asked_for_again(scripted, reply, open_at):
    server = scripted(reply(body=b'{"orders": ['), reply(body=b""), reply(body=EMPTY))

    assert first_page(open_at("retailer_1", server.url)) == EMPTY
    assert len(server.seen) == 3


def test_a_server_that_is_not_there_is_an_extract_error_that_says_what_to_do(scripted, open_at):
    server = scripted()
    server.stop()

    with pytest.raises(ExtractError, match=r"gave up after 3 tries .* the connection broke") as caught:
        first_page(open_at("retailer_1", server.url, tries=3))

    assert "run the same command again later; it continues after the last stored page" in caught.value.hint


def test_a_server_that_never_answers_is_given_up_after_the_timeout(open_at):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(ExtractError, match=r"no answer within 0\.1 s"):
            first_page(open_at("retailer_1", address, timeout_seconds=0.1, tries=2))


def test_after_the_last_try_the_error_names_retailer_question_and_last_status(scripted, reply, open_at):
    server = scripted(*[reply(503, {"errors": [{"message": "over capacity"}]})] * 6)

    with pytest.raises(ExtractError) as caught:
        first_page(open_at("retailer_1", server.url))

    message = caught.value.message
    assert message.startswith(f"retailer_1: GET {server.url}/orders/2026-01-01/orders: gave up after 6 tries")
    assert "HTTP 503" in message
    assert "over capacity" in message
    assert "lastUpdatedAfter" not in message


def test_a_wait_beyond_the_budget_is_not_begun(scripted, reply, open_at, time):
    server = scripted(reply(429, headers={"Retry-After": "3600"}))

    with pytest.raises(ExtractError, match="asks for a wait of 3600 s"):
        first_page(open_at("retailer_1", server.url, retry_budget_seconds=300))

    assert time.slept == []


def test_the_budget_of_seconds_ends_the_tries(scripted, reply, open_at, time):
    server = scripted(*[reply(503, headers={"Retry-After": "40"})] * 9)

    with pytest.raises(ExtractError):
        first_page(open_at("retailer_1", server.url, retry_budget_seconds=100, tries=9))

    assert len(server.seen) == 3
    assert time.passed <= 100


def test_an_expired_token_is_refreshed_once_and_the_same_page_asked_again(scripted, reply, open_at, time):
    server = scripted(reply(403, EXPIRED), reply(body=EMPTY))

    assert first_page(open_at("retailer_1", server.url)) == EMPTY
    assert server.tokens == 2
    assert [seen.headers["x-amz-access-token"] for seen in server.seen] == [
        "access-token-1",
        "access-token-2",
    ]
    assert server.seen[0].query == server.seen[1].query
    assert time.slept == []


def test_a_token_refused_again_is_an_error_that_names_the_secrets(scripted, reply, open_at):
    server = scripted(reply(403, EXPIRED), reply(403, EXPIRED))

    with pytest.raises(RefusedError) as caught:
        first_page(open_at("retailer_1", server.url))

    assert caught.value.status == 403
    assert server.tokens == 2
    assert "RETAIL_RETAILER_1_" in caught.value.hint


def test_every_question_says_which_program_asks(scripted, reply, open_at):
    server = scripted(reply(body=EMPTY))

    first_page(open_at("retailer_1", server.url))

    assert server.seen[0].headers["user-agent"].startswith("retail-lakehouse/")
    assert server.seen[0].headers["user-agent"].endswith("(Language=Python)")


def test_one_token_serves_all_pages_until_a_minute_before_its_end(scripted, reply, open_at, time):
    pages = [reply(body={"orders": [{"orderId": n}], "pagination": {"nextToken": f"t{n}"}}) for n in range(4)]
    server = scripted(*pages)
    service = open_at("retailer_1", server.url)

    pages = service.pages(WINDOW, None)
    next(pages), next(pages)
    time.passed += 3539
    next(pages)
    assert server.tokens == 1
    time.passed += 1
    next(pages)
    assert server.tokens == 2


def test_wrong_credentials_are_not_tried_again(scripted, reply, open_at, time):
    refusal = reply(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
    server = scripted(tokens=[refusal] * 9)

    with pytest.raises(ExtractError, match="invalid_client") as caught:
        first_page(open_at("retailer_1", server.url))

    assert server.tokens == 1
    assert time.slept == []
    assert "RETAIL_RETAILER_1_" in caught.value.hint


def test_the_token_service_is_asked_again_too(scripted, reply, open_at):
    server = scripted(reply(body=EMPTY), tokens=[reply(500), reply(200, b"<html>")])

    assert first_page(open_at("retailer_1", server.url)) == EMPTY
    assert server.tokens == 3


def test_a_bad_request_is_not_asked_again_and_says_what_the_retailer_said(scripted, reply, open_at):
    wrong = {"errors": [{"code": "InvalidInput", "message": "marketplaceIds is wrong"}]}
    server = scripted(reply(400, wrong))

    with pytest.raises(ExtractError, match=r"HTTP 400 .*marketplaceIds is wrong"):
        first_page(open_at("retailer_1", server.url))

    assert len(server.seen) == 1


def test_a_redirect_is_not_followed_so_the_token_goes_nowhere_else(scripted, reply, open_at):
    elsewhere = scripted(reply(body=EMPTY))
    server = scripted(reply(302, headers={"Location": f"{elsewhere.url}/orders"}))

    with pytest.raises(ExtractError, match="HTTP 302") as caught:
        first_page(open_at("retailer_1", server.url))

    assert elsewhere.seen == []
    assert "base_url" in caught.value.hint


def test_no_secret_is_shown_even_where_the_retailer_repeats_it(scripted, reply, open_at, secret_values):
    echo = {"error": " ".join([*secret_values, "access-token-1", "jo@example.com"])}
    server = scripted(reply(500, echo), reply(400, echo))

    with capture_logs() as logs, pytest.raises(ExtractError) as caught:
        first_page(open_at("retailer_1", server.url))

    shown = f"{caught.value} {logs}"
    assert len(logs) == 1
    own = [value for value in secret_values if value.startswith(("amzn", "Atzr"))]
    assert [value for value in [*own, "access-token-1", "jo@example.com"] if value in shown] == []


def test_a_password_in_netrc_does_not_take_the_place_of_our_header(
    scripted, reply, open_at, tmp_path, monkeypatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    server = scripted(reply(body=EMPTY))

    first_page(open_at("retailer_1", server.url))

    assert "authorization" not in server.seen[0].headers


def test_a_429_without_a_hint_waits_longer_each_time(scripted, reply, open_at, time):
    server = scripted(*[reply(429)] * 5, reply(404, {"error": [{"code": "CONTENT_NOT_FOUND"}]}))

    with pytest.raises(ExtractError):
        list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert sum(time.slept) > 15


def test_a_secret_is_masked_as_a_form_or_json_would_show_it_too(scripted, reply, open_at):
    server = scripted(tokens=[reply(400, b"grant_type=refresh_token&refresh_token=Atzr%7Crefresh-03")])

    with pytest.raises(ExtractError) as caught:
        first_page(open_at("retailer_1", server.url))

    assert "refresh-03" not in str(caught.value)
    assert "***" in caught.value.message


def test_a_wait_that_is_not_begun_is_not_told(scripted, reply, open_at):
    told = []
    server = scripted(reply(429, headers={"Retry-After": "3600"}))

    with pytest.raises(ExtractError, match="3600 s"):
        first_page(open_at("retailer_1", server.url, quota_policy=QuotaPolicy(tell=told.append)))

    assert told == []
