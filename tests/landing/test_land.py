import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from retail.errors import DamagedError, NotFetchedError, TieOutError
from retail.landing import payloads
from retail.landing.fetch import extract
from retail.landing.land import land, money_of
from retail.landing.payloads import Payload
from retail.quality.tie_out import FETCHED, differences
from retail.records import FIELDS, SalesRecord
from retail.runs.counts import HopCount
from retail.sources.registry import sales_of
from retail.sources.service import ListsEntries, Page, Skipped, unreadable
from retail.sources.window import Window
from retail.star.staging import _PATTERNS

DAY = date(2017, 1, 5)
KEY = "raw/retailer_1/year=2017/month=01/day=05/sales_data.json"

# Orders as the service below understands them: transaction, line, updated, business date, amount.
OLD = ["T1", "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", "10.00"]
NEW = ["T1", "1", "2017-01-05T11:00:00.000000Z", "2017-01-05", "8.00"]
OTHER = ["T2", "1", "2017-01-05T10:00:00.000000Z", "2017-01-04", "1.25"]
TEST = ["T3", "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", "99.99", "test_order"]


class Listed:
    """A mapping whose answers are lists of lines, the reason to skip one behind it."""

    MAPPING_VERSION = 7

    def records(self, answer, source):
        for place, (transaction, line, updated, day, amount, *reason) in enumerate(answer):
            record = replace(
                unreadable(
                    "retailer_1", f"{source}#/answer/{place}", transaction_id=transaction, line_id=line
                ),
                updated_at=updated,
                business_date=day,
                total_amount=amount,
                currency="USD",
            )
            yield Skipped(reason[0], record) if reason else record


def keep(
    lake, *answers, run_id="r1", first=1, walk=None, after=0, ended=True, window=("", ""), fetched_at=None
):
    """Pages of a walk, which begin behind page `after` of it; the last one ends it."""
    for number, answer in enumerate(answers, start=first):
        payloads.write(
            lake,
            Payload(
                retailer_id="retailer_1",
                run_id=run_id,
                walk=walk or payloads.walk_of(run_id, 1),
                walk_page=(after or first - 1) + number - first + 1,
                logical_date=str(DAY),
                window_start=window[0],
                window_end=window[1],
                page=number,
                fetched_at=fetched_at or str(datetime.now(UTC)),
                next_cursor=None if ended and number == first + len(answers) - 1 else "more",
                answer=answer,
            ),
        )


def landed(lake, sales=None):
    result = land(sales or Listed(), lake, retailer_id="retailer_1", logical_date=DAY)
    return result, [json.loads(line) for line in lake.read(KEY).splitlines()]


def figures(result):
    return {
        (count.hop, count.reason, count.business_date): (count.rows, str(count.money))
        for count in result.counts
    }


def test_a_raw_file_is_one_record_a_line_with_every_field(lake):
    keep(lake, [OLD, OTHER])

    result, lines = landed(lake)

    assert (result.key, result.rows) == (KEY, 2)
    assert [list(line) for line in lines] == [list(FIELDS)] * 2
    assert lake.read(KEY).endswith(b"}\n")


def test_a_line_says_which_version_of_the_mapping_made_it(lake):
    keep(lake, [OLD])

    _, [line] = landed(lake)

    assert line["mapping_version"] == "7"


def test_a_revision_of_the_configuration_makes_a_later_version_of_the_mapping(lake):
    keep(lake, [OLD])

    land(Listed(), lake, retailer_id="retailer_1", logical_date=DAY, mapping_revision=3)

    assert json.loads(lake.read(KEY))["mapping_version"] == "10"


def test_a_later_version_supersedes_an_earlier_one_whatever_the_order_they_came_in(lake):
    keep(lake, [NEW, OTHER], [OLD])

    result, lines = landed(lake)

    assert [(line["transaction_id"], line["total_amount"]) for line in lines] == [
        ("T2", "1.25"),
        ("T1", "8.00"),
    ]
    assert figures(result) == {
        ("fetched", None, "2017-01-05"): (2, "18.00"),
        ("fetched", None, "2017-01-04"): (1, "1.25"),
        ("superseded", None, "2017-01-05"): (1, "10.00"),
        ("landed", None, "2017-01-05"): (1, "8.00"),
        ("landed", None, "2017-01-04"): (1, "1.25"),
    }


def test_a_version_from_a_later_run_of_the_date_counts_too(lake):
    keep(lake, [OLD], run_id="r1")
    keep(lake, [NEW], run_id="r2")

    _, lines = landed(lake)

    assert [line["total_amount"] for line in lines] == ["8.00"]


def test_of_equally_new_versions_the_one_fetched_later_wins(lake):
    again = [*OLD[:4], "77.00"]
    keep(lake, [OLD], run_id="r1")
    keep(lake, [again], run_id="r2")

    result, lines = landed(lake)

    assert [(line["total_amount"], line["source_ref"]) for line in lines] == [
        ("77.00", "payloads/retailer_1/date=2017-01-05/run=r2/page-00001.json.gz#/answer/0")
    ]
    assert figures(result)["superseded", None, "2017-01-05"] == (1, "10.00")


def test_what_is_fetched_again_unchanged_leaves_the_same_bytes(lake):
    keep(lake, [OLD, OTHER], run_id="r1")
    _ = landed(lake)
    first = lake.read(KEY)

    keep(lake, [OTHER, OLD], run_id="r2")
    result, _ = landed(lake)

    assert lake.read(KEY) == first
    assert figures(result)["superseded", None, "2017-01-05"] == (1, "10.00")


def test_a_time_that_is_none_is_older_than_any(lake):
    keep(lake, [["T1", "1", "zzz", "2017-01-05", "1.00"]], [OLD], [["T1", "1", None, "2017-01-05", "2.00"]])

    _, lines = landed(lake)

    assert [line["total_amount"] for line in lines] == ["10.00"]


def test_lines_without_a_whole_key_are_all_kept(lake):
    nameless = [None, "1", None, None, "3.00"]
    keep(lake, [nameless, nameless], [["T1", None, None, None, None]])

    result, lines = landed(lake)

    assert [line["source_ref"].rpartition("/page-")[2] for line in lines] == [
        "00001.json.gz#/answer/0",
        "00001.json.gz#/answer/1",
        "00002.json.gz#/answer/0",
    ]
    assert figures(result)["landed", None, None] == (3, "6.00")


def test_lines_without_a_whole_key_are_those_of_the_newest_run(lake):
    nameless = [None, "1", None, None, "3.00"]
    keep(lake, [nameless, OLD], [nameless], run_id="r1")
    keep(lake, [nameless], run_id="r2")

    result, lines = landed(lake)

    assert [line["source_ref"] for line in lines] == [
        "payloads/retailer_1/date=2017-01-05/run=r2/page-00001.json.gz#/answer/0",
        "payloads/retailer_1/date=2017-01-05/run=r1/page-00001.json.gz#/answer/1",
    ]
    counted = figures(result)
    assert counted["fetched", None, None] == (3, "9.00")
    assert counted["superseded", None, None] == (2, "6.00")
    assert counted["landed", None, None] == (1, "3.00")


def test_lines_without_a_whole_key_stay_where_another_run_went_on_with_the_walk(lake):
    nameless = [None, "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", "2.00"]
    keep(lake, [nameless], run_id="r1", ended=False)
    keep(lake, [OLD], run_id="r2", walk="r1/1", after=1)

    result, lines = landed(lake)

    assert [line["transaction_id"] for line in lines] == [None, "T1"]
    assert ("superseded", None, "2017-01-05") not in figures(result)


def test_a_day_that_was_never_fetched_to_its_end_is_not_landed_as_if_it_were_whole(lake):
    keep(lake, [OLD], ended=False)

    with pytest.raises(NotFetchedError, match="2017-01-05 was never fetched completely") as caught:
        landed(lake)

    assert "retail run --date 2017-01-05" in caught.value.hint


def test_a_page_that_is_gone_is_missed_though_another_run_went_on_behind_it(lake):
    keep(lake, [OLD], [OTHER], run_id="r1", ended=False)
    keep(lake, [NEW], run_id="r2", walk="r1/1", after=2)
    lake.delete(payloads.key_of("retailer_1", DAY, "r1", 2))

    with pytest.raises(
        DamagedError, match="page 2 of the 3 pages of 2017-01-05, fetched from r1/1 on, is missing"
    ):
        landed(lake)


def test_a_walk_that_did_not_come_to_its_end_takes_no_line_of_one_that_did(lake):
    nameless = [None, "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", "77.00"]
    keep(lake, [nameless, OLD], run_id="r1")
    keep(lake, [OLD], run_id="r2", ended=False)

    _, lines = landed(lake)

    assert [line["total_amount"] for line in lines] == ["77.00", "10.00"]


def test_a_mended_day_is_rid_of_its_lines_without_a_key(lake):
    keep(lake, [[None, "1", None, None, "3.00"]], run_id="r1")
    keep(lake, [], run_id="r2")

    result, lines = landed(lake)

    assert lines == []
    assert figures(result)["superseded", None, None] == (1, "3.00")


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_that_walked_two_windows_lands_the_lines_without_a_key_of_the_later_one(lake, ended):
    """As a run does that was killed within a day, and goes on after `extract.overlap_minutes` was changed."""
    nameless = [None, "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", "2.00"]
    windows = [
        Window(DAY, datetime(2017, 1, 5, hour, tzinfo=UTC), datetime(2017, 1, 6, tzinfo=UTC))
        for hour in (7, 3)
    ]
    walks = [[Page([nameless, OLD], "2"), Page([], None)], [Page([nameless, OTHER], "2"), Page([NEW], None)]]

    class Answering:
        def pages(self, window, cursor):
            left = walks[windows.index(window)][int(cursor or 1) - 1 :]
            return iter(left[: 1 if window == windows[0] and not ended else 2])

    which = {"retailer_id": "retailer_1", "run_id": "r1"}
    for window in windows:
        extract(Answering(), lake, **which, window=window)

    result, lines = landed(lake)

    assert [(line["transaction_id"], line["total_amount"]) for line in lines] == [
        ("T2", "1.25"), (None, "2.00"), ("T1", "8.00"),
    ]  # fmt: skip
    assert lines[1]["source_ref"].endswith(
        "page-00003.json.gz#/answer/0" if ended else "page-00002.json.gz#/answer/0"
    )
    assert figures(result)["superseded", None, "2017-01-05"] == (2, "12.00")


def test_what_is_skipped_is_counted_by_reason_and_not_landed(lake):
    keep(lake, [OLD, TEST, ["T4", "1", None, "2017-01-05", None, "pending"]])

    result, lines = landed(lake)

    assert [line["transaction_id"] for line in lines] == ["T1"]
    counted = figures(result)
    assert counted["fetched", None, "2017-01-05"] == (3, "109.99")
    assert counted["skipped", "test_order", "2017-01-05"] == (1, "99.99")
    assert counted["skipped", "pending", "2017-01-05"] == (1, "0")


def test_lines_stand_in_order_of_day_transaction_line_and_place(lake):
    keep(
        lake,
        [
            ["T10", "1", None, "2017-01-05", "1"],
            ["T9", "2", None, "2017-01-05", "1"],
            ["T9", "10", None, "2017-01-05", "1"],
            ["T1", "1", None, "2017-01-06", "1"],
            ["T5", None, None, None, "1"],
        ],
    )

    _, lines = landed(lake)

    assert [(line["transaction_id"], line["line_id"]) for line in lines] == [
        ("T5", None),
        ("T10", "1"),
        ("T9", "10"),
        ("T9", "2"),
        ("T1", "1"),
    ]


def test_landing_again_gives_the_same_bytes(lake):
    keep(lake, [NEW, OTHER, OLD], run_id="r2")
    keep(lake, [OLD, TEST], run_id="r1")

    _ = landed(lake)
    first = lake.read(KEY)
    _ = landed(lake)

    assert lake.read(KEY) == first


def test_a_date_on_which_nothing_was_sold_lands_an_empty_file(lake):
    keep(lake, [])

    result, _ = landed(lake)

    assert lake.read(KEY) == b""
    assert (result.rows, result.counts) == (0, [])


def test_a_date_that_was_never_asked_for_is_an_error_and_the_file_there_stays(lake):
    lake.write(KEY, b"from a backup\n")

    with pytest.raises(NotFetchedError, match="nothing was ever fetched for 2017-01-05"):
        landed(lake)

    assert lake.read(KEY) == b"from a backup\n"


def test_a_cent_that_goes_missing_on_the_way_to_the_file_stops_the_landing(lake, monkeypatch):
    keep(lake, [OLD])
    landed(lake)
    keep(lake, [OTHER], run_id="r2")
    to_line = SalesRecord.to_line

    def short(self, version, **notes):
        return to_line(self, version, **notes).replace('"10.00"', '"9.99"')

    monkeypatch.setattr(SalesRecord, "to_line", short)

    with pytest.raises(TieOutError, match=r"retailer_1, 2017-01-05, USD: \+0 .*\+0\.01 "):
        landed(lake)

    assert lake.read(KEY).count(b"\n") == 1


def test_words_that_utf_8_cannot_write_cost_no_line(settings_of, lake):
    order = {
        "orderId": "1",
        "orderItems": [{"orderItemId": "1", "product": {"title": "\ud800 Mug \u2028 \x00"}}],
    }
    keep(lake, {"orders": [order]})

    _, lines = landed(lake, sales_of("retailer_1", settings_of("http://127.0.0.1:9")))

    assert [line["product_name"] for line in lines] == ["? Mug \u2028 \x00"]


@pytest.mark.parametrize(
    "amount",
    [
        "0", "0.01", "-3.5000", "99999999999.9999", "100000000000", "1.23456", "NaN", "1e3", " 5", "+5", ".5",
        "5.", "", "٣", "--1", "1,5", None,
    ],
)  # fmt: skip
def test_money_is_counted_where_staging_reads_an_amount_and_nowhere_else(amount):
    record = replace(unreadable("retailer_1", "p#/0"), total_amount=amount)
    staged = (
        amount is not None
        and re.fullmatch(_PATTERNS["decimal(18,4)"].removesuffix(r"\z"), amount) is not None
    )

    assert money_of(record) == (Decimal(amount) if staged else 0)


@pytest.mark.parametrize(
    ("amount", "lands", "taken_off"),
    [
        ("26.666667", "26.6667", "-0.000033"),
        ("38.96999999999999", "38.9700", None),  # noise of a double, below what is counted
        ("0.00005", "0.0000", "0.00005"),  # half even
        ("0.00015", "0.0002", "-0.00005"),
        ("-0.00005", "0.0000", "-0.00005"),
        ("99999999999.99994", "99999999999.9999", "0.00004"),
        ("1.2345", "1.2345", None),
        (
            "99999999999.99995",
            "99999999999.99995",
            None,
        ),  # more digits than the star holds: refused in staging
        ("1e-9", "1e-9", None),
    ],
)
def test_more_places_than_the_star_holds_are_rounded_and_the_difference_is_counted(
    lake, amount, lands, taken_off
):
    keep(lake, [["T1", "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", amount]])

    result, lines = landed(lake)

    assert [line["total_amount"] for line in lines] == [lands]
    assert [count.money for count in result.counts if count.hop == "rounding"] == (
        [] if taken_off is None else [Decimal(taken_off)]
    )
    assert differences(FETCHED, result.counts) == []


def test_long_amounts_beside_large_ones_tie_out(lake):
    amounts = ["99999999999.50"] * 20 + ["0.30000000000000004", f"0.{'1234567890' * 3}"]
    keep(
        lake,
        [[f"T{n}", "1", "2017-01-05T10:00:00.000000Z", "2017-01-05", each] for n, each in enumerate(amounts)],
    )

    result, lines = landed(lake)

    assert len(lines) == len(amounts)
    assert differences(FETCHED, result.counts) == []


def test_a_quantity_is_rounded_to_its_own_places():
    record = replace(
        unreadable("retailer_1", "p#/0"), quantity="0.4535924", unit_price="1.00005", tax_amount="x.12345"
    )

    rounded = record.rounded()

    assert (rounded.quantity, rounded.unit_price, rounded.tax_amount) == ("0.454", "1.0000", "x.12345")


def test_counts_come_out_of_the_ledger_as_they_went_in(lake):
    keep(lake, [OLD, TEST])
    result, _ = landed(lake)

    assert [
        HopCount.from_json(json.loads(json.dumps(count.to_json()))) for count in result.counts
    ] == result.counts


class Told(Listed):
    """The same mapping, which also says what an answer holds: lists of lines, with a list for each order."""

    def entries(self, answer):
        return [f"/{place}" for place in range(len(answer))] if isinstance(answer, list) else None

    def records(self, answer, source):
        for place, order in enumerate(answer):
            yield from (
                replace(each, source_ref=f"{source}#/answer/{place}/{number}")
                for number, each in enumerate(super().records(order, source))
            )


def noted(lines):
    return [(line["total_amount"], line.get("noted")) for line in lines]


def test_an_order_of_which_the_mapping_makes_nothing_stops_the_landing(lake):
    keep(lake, [[OLD]], [[OTHER], []])

    with pytest.raises(TieOutError, match=r"1 of 2 entries of a page .*page-00002.json.gz#/answer/1\n"):
        landed(lake, Told())

    assert list(lake.list("raw/")) == []


@pytest.mark.parametrize("retailer", ["retailer_1", "retailer_2", "retailer_3"])
def test_a_page_of_another_service_is_not_landed_as_a_day_without_sales(lake, settings_of, retailer):
    pages = {
        "retailer_1": {"orders": []},
        "retailer_2": {"errors": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]},
        "retailer_3": {"data": {"orders": {"nodes": []}}},
    }
    settings = settings_of("http://127.0.0.1:9")
    others = [answer for each, answer in pages.items() if each != retailer]

    sales = sales_of(retailer, settings)
    assert isinstance(sales, ListsEntries)
    assert sales.entries(pages[retailer]) == []
    assert [sales.entries(answer) for answer in others] == [None, None]
    keep(lake, others[0])
    with pytest.raises(DamagedError, match="page 1 of 2017-01-05"):
        landed(lake, sales)


def test_two_different_lines_with_one_key_in_one_answer_are_both_landed_to_be_rejected(lake):
    other = [*OLD[:4], "99.00"]
    keep(lake, [OLD, other, OTHER, OLD])

    result, lines = landed(lake)

    assert noted(lines) == [
        ("1.25", None),
        ("10.00", "two lines with one key"),
        ("99.00", "two lines with one key"),
    ]
    assert figures(result)["superseded", None, "2017-01-05"] == (1, "10.00")


def test_lines_of_one_order_with_one_key_are_rejected_whichever_is_the_newer(lake):
    keep(lake, [[OLD, NEW]])

    _, lines = landed(lake, Told())

    assert noted(lines) == [("10.00", "two lines with one key"), ("8.00", "two lines with one key")]


def test_an_order_that_stands_twice_in_one_answer_counts_as_it_was_last(lake):
    keep(lake, [[OLD], [NEW], [OTHER], [OTHER]])

    _, lines = landed(lake, Told())

    assert noted(lines) == [("1.25", None), ("8.00", None)]


def test_a_later_answer_with_one_line_ends_the_doubt(lake):
    keep(lake, [OLD, [*OLD[:4], "99.00"]], run_id="r1")
    keep(lake, [[*OLD[:4], "99.00"]], run_id="r2")

    result, lines = landed(lake)

    assert noted(lines) == [("99.00", None)]
    assert figures(result)["superseded", None, "2017-01-05"] == (2, "109.00")


def test_an_order_without_a_line_is_counted_as_skipped(lake, settings_of):
    keep(lake, {"orders": [{"orderId": "1", "orderItems": []}]})

    result, lines = landed(lake, sales_of("retailer_1", settings_of("http://127.0.0.1:9")))

    assert lines == []
    assert figures(result) == {("fetched", None, None): (1, "0"), ("skipped", "no_lines", None): (1, "0")}


# The window of the day in Los Angeles, with an hour of the day before; fetched ten hours after its end.
WINDOW = ("2017-01-05T07:00:00.000000Z", "2017-01-06T08:00:00.000000Z")
AT = "2017-01-06T18:00:00.000000Z"


@pytest.mark.parametrize(
    ("updated", "lands", "noted_as"),
    [
        ("2017-01-06T19:00:00.000000Z", "2017-01-06T19:00:00.000000Z", None),
        ("2017-01-06T19:00:00.000001Z", "2017-01-05T08:00:00.000000Z", "updated_at was in the future"),
        ("tomorrow", "tomorrow", None),
    ],
)
def test_a_time_of_change_in_the_future_counts_as_the_beginning_of_the_day(lake, updated, lands, noted_as):
    keep(lake, [[*OLD[:2], updated, *OLD[3:]]], window=WINDOW, fetched_at=AT)

    _, [line] = landed(lake)

    assert (line["updated_at"], line.get("noted")) == (lands, noted_as)


def test_a_later_answer_with_a_real_time_wins_over_one_in_the_future(lake):
    keep(
        lake,
        [["T1", "1", "2099-01-01T00:00:00.000000Z", "2017-01-05", "10.00"]],
        window=WINDOW,
        fetched_at=AT,
    )
    keep(
        lake,
        [["T1", "1", "2017-01-05T09:00:00.000000Z", "2017-01-05", "0"]],
        run_id="r2",
        window=WINDOW,
        fetched_at=AT,
    )

    _, [line] = landed(lake)

    assert (line["total_amount"], line.get("noted")) == ("0", None)
