import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from retail.errors import CursorExpiredError, ExtractError, StorageError
from retail.landing import payloads
from retail.landing.fetch import Extracted, extract
from retail.sources.registry import sales_of
from retail.sources.service import Page
from retail.sources.window import Window

DAY = date(2017, 1, 5)
WINDOW = Window(DAY, datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
FOLDER = "payloads/retailer_1/date=2017-01-05"


class Paged:
    """A service with three pages; it keeps in mind from where it was asked."""

    def __init__(self):
        self.asked_from = []

    def pages(self, _window, cursor):
        self.asked_from.append(cursor)
        numbers = range(int(cursor or 0), 3)
        return (Page({"orders": [n]}, str(n + 1) if n < 2 else None) for n in numbers)


class KilledError(Exception):
    pass


def killed_behind_page(number):
    def on_page(written):
        if written.number == number:
            raise KilledError

    return on_page


def test_every_page_is_kept_with_the_window_it_answers_and_the_cursor_to_go_on_from(lake):
    extracted = extract(
        Paged(),
        lake,
        retailer_id="retailer_1",
        window=WINDOW,
        run_id="r1",
        now=lambda: datetime(2017, 1, 7, tzinfo=UTC),
    )

    assert extracted == Extracted(retailer_id="retailer_1", run_id="r1", window=WINDOW, pages=3, fetched=3)
    assert list(lake.list("payloads/")) == [f"{FOLDER}/run=r1/page-0000{n}.json.gz" for n in (1, 2, 3)]
    assert json.loads(gzip.decompress(lake.read(f"{FOLDER}/run=r1/page-00002.json.gz"))) == {
        "retailer_id": "retailer_1",
        "run_id": "r1",
        "walk": "r1/1",
        "walk_page": 2,
        "logical_date": "2017-01-05",
        "window": {"start": "2017-01-05T07:00:00.000000Z", "end": "2017-01-06T08:00:00.000000Z"},
        "page": 2,
        "fetched_at": "2017-01-07T00:00:00.000000Z",
        "next_cursor": "2",
        "answer": {"orders": [1]},
    }


def test_a_page_is_told_once_it_is_safe(lake):
    seen = []
    extract(
        Paged(),
        lake,
        retailer_id="retailer_1",
        window=WINDOW,
        run_id="r1",
        on_page=lambda written: seen.append((written.number, payloads.read(lake, written.key).page)),
    )

    assert seen == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("page", [1, 2])
def test_a_killed_extract_goes_on_behind_its_last_page(lake, page):
    service, which = Paged(), {"retailer_id": "retailer_1", "window": WINDOW, "run_id": "r1"}
    with pytest.raises(KilledError):
        extract(service, lake, **which, on_page=killed_behind_page(page))
    before = {key: lake.read(key) for key in lake.list("payloads/")}

    extracted = extract(service, lake, **which)

    assert service.asked_from == [None, str(page)]
    assert (extracted.pages, extracted.fetched) == (3, 3 - page)
    assert {key: lake.read(key) for key in before} == before


def test_an_extract_killed_behind_its_last_page_asks_nothing_more(lake):
    service, which = Paged(), {"retailer_id": "retailer_1", "window": WINDOW, "run_id": "r1"}
    with pytest.raises(KilledError):
        extract(service, lake, **which, on_page=killed_behind_page(3))

    extracted = extract(service, lake, **which)

    assert service.asked_from == [None]
    assert (extracted.pages, extracted.fetched) == (3, 0)


def test_the_next_run_goes_on_behind_the_last_page_of_one_that_did_not_come_to_the_end(lake):
    service, which = Paged(), {"retailer_id": "retailer_1", "window": WINDOW}
    with pytest.raises(KilledError):
        extract(service, lake, **which, run_id="r1", on_page=killed_behind_page(2))

    extracted = extract(service, lake, **which, run_id="r2")

    assert service.asked_from == [None, "2"]
    assert (extracted.pages, extracted.fetched) == (1, 1)
    pages = [payload for _, payload in payloads.read_all(lake, "retailer_1", DAY)]
    walks = [(each.run_id, each.page, each.walk, each.walk_page) for each in pages]
    assert walks == [("r1", 1, "r1/1", 1), ("r1", 2, "r1/1", 2), ("r2", 1, "r1/1", 3)]


def test_a_run_that_fetches_anew_does_not_go_on_with_what_another_left(lake):
    service, which = Paged(), {"retailer_id": "retailer_1", "window": WINDOW}
    with pytest.raises(KilledError):
        extract(service, lake, **which, run_id="r1", on_page=killed_behind_page(2))

    extract(service, lake, **which, run_id="r2", force=True)

    assert service.asked_from == [None, None]


def test_what_was_left_of_another_window_is_not_gone_on_with_by_the_next_run(lake):
    service, wider = Paged(), replace(WINDOW, start=WINDOW.start - timedelta(hours=1))
    with pytest.raises(KilledError):
        extract(
            service, lake, retailer_id="retailer_1", window=WINDOW, run_id="r1", on_page=killed_behind_page(2)
        )

    extract(service, lake, retailer_id="retailer_1", window=wider, run_id="r2")

    assert service.asked_from == [None, None]


@pytest.mark.parametrize("run_id", ["r1", "r2"])
def test_a_window_whose_cursor_has_expired_is_walked_from_its_start(lake, run_id):
    class Forgetful(Paged):
        def pages(self, window, cursor):
            pages = super().pages(window, cursor)
            if cursor is not None:
                raise CursorExpiredError("paginationToken has expired")
            return pages

    service, which = Forgetful(), {"retailer_id": "retailer_1", "window": WINDOW}
    with pytest.raises(KilledError):
        extract(service, lake, **which, run_id="r1", on_page=killed_behind_page(2))

    extracted = extract(service, lake, **which, run_id=run_id)

    assert service.asked_from == [None, "2", None]
    assert extracted.fetched == 3
    [*_, last] = [payload for _, payload in payloads.read_all(lake, "retailer_1", DAY)]
    assert (last.walk, last.walk_page) == ("r1/3" if run_id == "r1" else "r2/1", 3)


def test_a_walk_that_is_begun_anew_after_some_pages_more_counts_its_pages_from_1(lake):
    class ExpiresLater(Paged):
        def pages(self, window, cursor):
            pages = list(super().pages(window, cursor))
            if cursor is None:
                yield from pages
            else:
                yield pages[0]
                raise CursorExpiredError("the operation is no longer kept")

    service, which = ExpiresLater(), {"retailer_id": "retailer_1", "window": WINDOW}
    with pytest.raises(KilledError):
        extract(service, lake, **which, run_id="r1", on_page=killed_behind_page(1))

    extract(service, lake, **which, run_id="r2")

    pages = [payload for _, payload in payloads.read_all(lake, "retailer_1", DAY)]
    assert [(each.walk, each.walk_page) for each in pages] == [
        ("r1/1", 1), ("r1/1", 2), ("r2/2", 1), ("r2/2", 2), ("r2/2", 3),
    ]  # fmt: skip


def test_a_walk_that_was_begun_without_its_look_back_goes_on_without_it(lake):
    starts = []

    class Seen(Paged):
        def pages(self, window, cursor):
            starts.append(window.start)
            return super().pages(window, cursor)

    service = Seen()
    with pytest.raises(KilledError):
        extract(
            service, lake, retailer_id="retailer_1", window=WINDOW, run_id="r1", on_page=killed_behind_page(1)
        )
    longer = Window(DAY, WINDOW.start - timedelta(days=1), WINDOW.end, timedelta(days=1), WINDOW)

    extracted = extract(service, lake, retailer_id="retailer_1", window=longer, run_id="r2")

    assert service.asked_from == [None, "1"]
    assert starts == [WINDOW.start, WINDOW.start]
    assert (extracted.window, extracted.fetched) == (WINDOW, 2)


def test_a_walk_that_was_left_in_a_circle_is_begun_anew(lake):
    class Circling(Paged):
        def pages(self, window, cursor):
            super().pages(window, cursor)
            if cursor is None and len(self.asked_from) > 1:
                return iter([Page({"orders": [1, 2]}, None)])
            return iter(
                [
                    Page(
                        {"orders": [1]},
                        "2",
                    )
                ]
                * 2
            )

    service, which = Circling(), {"retailer_id": "retailer_1", "window": WINDOW}
    with pytest.raises(KilledError):
        extract(service, lake, **which, run_id="r1", on_page=killed_behind_page(1))

    extracted = extract(service, lake, **which, run_id="r2")

    assert service.asked_from == [None, "2", None]
    assert extracted.fetched == 1


def test_another_run_asks_from_the_beginning_beside_the_first(lake):
    service = Paged()
    for run_id in ("r1", "r2"):
        extract(service, lake, retailer_id="retailer_1", window=WINDOW, run_id=run_id)

    assert service.asked_from == [None, None]
    assert len(list(lake.list("payloads/"))) == 6


@pytest.mark.parametrize("page", [1, 3])
def test_a_run_whose_window_the_configuration_has_changed_is_walked_from_its_start(lake, page):
    service, wider = Paged(), replace(WINDOW, start=WINDOW.start - timedelta(hours=1))
    which = {"retailer_id": "retailer_1", "run_id": "r1"}
    with pytest.raises(KilledError):
        extract(service, lake, **which, window=WINDOW, on_page=killed_behind_page(page))
    with pytest.raises(KilledError):
        extract(service, lake, **which, window=wider, on_page=killed_behind_page(page + 1))

    with capture_logs() as logged:
        extracted = extract(service, lake, **which, window=wider)

    assert service.asked_from == [None, None, "1"], "walked anew once, and then gone on with"
    assert (extracted.pages, extracted.fetched) == (page + 3, 2)
    pages = [payload for _, payload in payloads.read_all(lake, "retailer_1", DAY)]
    assert [(each.walk, each.walk_page, each.is_of(wider)) for each in pages] == [
        *(("r1/1", number, False) for number in range(1, page + 1)),
        *((f"r1/{page + 1}", number, True) for number in (1, 2, 3)),
    ]
    assert "walk restarted" not in {line["event"] for line in logged}


def test_a_walk_that_is_begun_anew_for_another_window_is_logged_with_both(lake):
    which = {"retailer_id": "retailer_1", "run_id": "r1"}
    extract(Paged(), lake, **which, window=WINDOW)

    with capture_logs() as logged:
        extract(Paged(), lake, **which, window=replace(WINDOW, start=WINDOW.start - timedelta(hours=1)))

    [warned] = [line for line in logged if line["log_level"] == "warning"]
    assert (warned["event"], warned["page"]) == ("walk restarted", 3)
    assert "2017-01-05T07:00:00.000000Z" in warned["reason"]
    assert "2017-01-05T06:00:00.000000Z" in warned["reason"]


def test_a_page_that_another_process_wrote_is_never_written_over(lake):
    class Raced(Paged):
        def pages(self, *_):
            extract(Paged(), lake, retailer_id="retailer_1", window=WINDOW, run_id="r1")
            yield Page({"orders": ["mine"]}, None)

    with pytest.raises(ExtractError, match="two processes"):
        extract(Raced(), lake, retailer_id="retailer_1", window=WINDOW, run_id="r1")

    assert payloads.read(lake, f"{FOLDER}/run=r1/page-00001.json.gz").answer == {"orders": [0]}


def test_a_damaged_page_is_named(lake):
    key = f"{FOLDER}/run=r1/page-00001.json.gz"
    lake.write(key, b"\x1f\x8b no gzip")

    with pytest.raises(StorageError, match=f"{key} is damaged"):
        extract(Paged(), lake, retailer_id="retailer_1", window=WINDOW, run_id="r1")


def test_a_run_id_cannot_lead_out_of_its_folder(lake):
    with pytest.raises(ValueError, match="a run id may have only"):
        extract(Paged(), lake, retailer_id="retailer_1", window=WINDOW, run_id="../r1")


def test_the_same_page_makes_the_same_bytes_at_any_time(lake):
    moment = {"now": lambda: datetime(2017, 1, 7, tzinfo=UTC)}
    which = {"retailer_id": "retailer_1", "window": WINDOW, "run_id": "r1"}
    extract(Paged(), lake, **which, **moment)
    first = {key: lake.read(key) for key in lake.list("payloads/")}
    for key in first:
        lake.delete(key)

    extract(Paged(), lake, **which, **moment)

    assert {key: lake.read(key) for key in lake.list("payloads/")} == first
    assert {content[4:8] for content in first.values()} == {bytes(4)}  # no time in the gzip header


def test_a_window_without_orders_still_leaves_one_page_as_proof_that_it_was_asked(
    scripted, reply, open_at, lake
):
    address = scripted(reply(body={"orders": []})).url
    service = open_at("retailer_1", address, options={"refunds": False})

    extracted = extract(service, lake, retailer_id="retailer_1", window=WINDOW, run_id="r1")

    assert extracted.pages == 1
    assert len(list(lake.list("payloads/"))) == 1


def test_a_failure_in_the_middle_keeps_the_pages_so_far_and_the_next_try_asks_for_the_rest(
    scripted, reply, open_at, lake
):
    first = {"orders": [{"orderId": "1"}], "pagination": {"nextToken": "t1"}}
    server = scripted(reply(body=first), reply(400), reply(body={"orders": [{"orderId": "2"}]}))
    service = open_at("retailer_1", server.url)
    which = {"retailer_id": "retailer_1", "window": WINDOW, "run_id": "r1"}

    with pytest.raises(ExtractError):
        extract(service, lake, **which)
    extracted = extract(service, lake, **which)

    assert [seen.query.get("paginationToken") for seen in server.seen] == [None, "t1", "t1"]
    # The rest are the second page of orders and one of transactions.
    assert (extracted.pages, extracted.fetched) == (3, 2)


def test_a_day_that_is_not_over_is_not_asked_for_lest_a_part_be_taken_for_the_whole(lake):
    service, before = Paged(), WINDOW.end - timedelta(seconds=1)

    with pytest.raises(ExtractError, match="2017-01-05 does not end before 2017-01-06 08:00 UTC"):
        extract(
            service, lake, retailer_id="retailer_1", window=WINDOW, run_id="r1", now=lambda: before
        )  # fmt: skip

    assert service.asked_from == []
    assert list(lake.list("payloads/")) == []


@pytest.mark.parametrize(
    ("retailer_id", "answer"),
    [
        ("retailer_1", {"payload": {"transactions": {}}}),
        ("retailer_1", {"transactions": "none"}),
        ("retailer_2", {"list": {"elements": {"order": {}}}}),
        ("retailer_3", {"data": {"orders": {"nodes": {"a": 1}}}}),
    ],
)
def test_a_page_without_a_list_of_its_own_is_not_kept_since_it_would_stop_every_landing(
    lake, settings_of, retailer_id, answer
):
    class Garbled:
        def pages(self, _window, _cursor):
            yield Page(answer, None)

    sales = sales_of(retailer_id, settings_of("http://127.0.0.1:9"))
    with pytest.raises(ExtractError):
        extract(
            Garbled(),
            lake,
            retailer_id=retailer_id,
            window=WINDOW,
            run_id="r1",
            sales=sales,
            now=lambda: datetime(2017, 1, 7, tzinfo=UTC),
        )

    assert list(lake.list("payloads/")) == []
