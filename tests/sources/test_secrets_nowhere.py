"""Each retailer echoes our marked secrets in each form of error: none is in the error, its traceback or the logs."""

from __future__ import annotations

import base64
import html
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import count
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from retail.config.secrets import Secret, Secrets
from retail.errors import ExtractError
from retail.sources.registry import open_service
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
# Every one is marked, and the marks are all that is looked for.
MARKED = {
    "RETAIL_RETAILER_1_CLIENT_ID": "amzn1.Kq&7id-MARKED-0123456789",
    "RETAIL_RETAILER_1_CLIENT_SECRET": "amzn1.oa2-cs.v1.Kq=7cs-MARKED-0123456789",
    "RETAIL_RETAILER_1_REFRESH_TOKEN": "Atzr|IwEB/Kq+7rt-MARKED-0123456789",
    "RETAIL_RETAILER_2_CLIENT_ID": "0f9c-Kq7id-MARKED-0123456789",
    "RETAIL_RETAILER_2_CLIENT_SECRET": "AP_Kq7\"cs-MARKED-0123456789",
    "RETAIL_RETAILER_3_CLIENT_ID": "8aKq7id-MARKED-0123456789",
    "RETAIL_RETAILER_3_CLIENT_SECRET": "shpss_Kq7cs-MARKED-0123456789",
    "RETAIL_RETAILER_3_ACCESS_TOKEN": "shpat_Kq7at-MARKED-0123456789",
    "RETAIL_CUSTOMER_PEPPER": "pepper-of-32-Kq7pp-MARKED-0123456789",
}  # fmt: skip
BOUGHT = "bought-Kq7tk-MARKED-0123456789"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda each: quote(each, safe=""),
    "html": html.escape,
    "base64": lambda each: base64.b64encode(each.encode()).decode(),
    "upper": str.upper,
    "cut": lambda each: each[4:-3],
}
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")


def echo():
    """All of them in all spellings, and the header that two of them were sent in."""
    pair = base64.b64encode(
        "{RETAIL_RETAILER_2_CLIENT_ID}:{RETAIL_RETAILER_2_CLIENT_SECRET}".format(**MARKED).encode()
    )
    spelt = [spell(each) for each in (*MARKED.values(), BOUGHT) for spell in SPELLINGS.values()]
    return " ".join([f"Basic {pair.decode()}", *spelt])


def error_forms(reply, said):
    """Every way in which a retailer can refuse with words."""
    bodies = [
        {"errors": [{"code": "InvalidInput", "message": said, "details": said}]},
        {"error": [{"code": said, "description": said}]},
        {"error": "invalid_client", "error_description": said},
        {"errors": said},
        {"data": None, "errors": [{"message": said, "extensions": {"code": said}}]},
        [said],
        said,
    ]
    answers = [reply(status, body) for status in (200, 400, 401, 403, 404, 418, 500) for body in bodies]
    answers += [reply(status, f"<p>{said}</p>".encode()) for status in (200, 400, 503)]
    answers += [reply(302, b"", headers={"Location": f"https://example.com/?{said[:500]}".replace("\n", "")})]
    return answers


def failure_of(service):
    with capture_logs() as logs, pytest.raises(ExtractError) as caught:
        list(service.pages(WINDOW, None))
    error = caught.value
    trace = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.message} {error.hint} {error.args} {logs} {trace}"


def is_clean(shown):
    """No mark is there, nor its base64, in either case; the names of variables, which we write, are no marks."""
    low = shown.lower()
    in_base64 = [base64.b64encode(b"_" * lead + b"MARKED-0123").decode()[4:12].lower() for lead in range(3)]
    marks = ["marked-0123", "kq7", "kq&7", "kq=7", "kq+7", *in_base64]
    return [mark for mark in marks if mark in low]


@pytest.fixture
def open_marked(settings_of, time):
    for name in MARKED:  # a run reads the secrets of all its retailers before it asks the first
        Secrets(MARKED).require(name.removeprefix("RETAIL_").lower())
    Secret(BOUGHT)  # by an earlier login of the run

    def build(retailer_id, url, **options):
        options = {"bulk_from_orders": 0, **options} if retailer_id == "retailer_3" else options
        settings = settings_of(url, options={retailer_id: options}, tries=2)
        return open_service(retailer_id, settings, Secrets(MARKED), clock=time.clock())

    return build


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_no_error_of_a_page_shows_a_secret(scripted, reply, open_marked, retailer_id):
    bought = reply(body={"access_token": BOUGHT, "expires_in": 3600, "scope": "read_orders"})
    forms = error_forms(reply, echo())
    said = []
    server = scripted(endless=(said[-1] for _ in count()), tokens=(bought for _ in count()))
    for answer in forms:
        said.append(answer)

        assert is_clean(failure_of(open_marked(retailer_id, server.url))) == []


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_no_error_of_a_login_shows_a_secret(scripted, reply, open_marked, retailer_id):
    said = []
    server = scripted(tokens=(said[-1] for _ in count()))
    for answer in error_forms(reply, echo()):
        said.append(answer)

        assert is_clean(failure_of(open_marked(retailer_id, server.url))) == []


def test_shopify_s_errors_with_status_200_do_not_show_its_lasting_token(scripted, reply, open_marked):
    server = scripted(reply(body={"data": {"orders": None}, "errors": [{"message": echo()}]}))

    shown = failure_of(open_marked("retailer_3", server.url, access="token"))

    assert "Shopify refuses the query" in shown
    assert is_clean(shown) == []


def test_shopify_s_refused_bulk_operation_shows_none(scripted, reply, open_marked):
    counted = {
        "data": {
            "orders": {"pageInfo": {"hasNextPage": False}, "nodes": []},
            "ordersCount": {"count": 9, "precision": "EXACT"},
        }
    }
    refused = {"bulkOperation": None, "userErrors": [{"code": "INVALID", "message": echo()}]}
    server = scripted(reply(body=counted), reply(body={"data": {"bulkOperationRunQuery": refused}}))

    assert (
        is_clean(failure_of(open_marked("retailer_3", server.url, access="token", bulk_from_orders=1))) == []
    )


def test_what_looks_for_the_marks_finds_them():
    for spell in SPELLINGS.values():
        assert is_clean(spell(BOUGHT)) != []
