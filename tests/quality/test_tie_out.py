"""The tie-out finds what is missing, by the row and by the cent, in the group where it is missing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail.errors import TieOutError
from retail.quality import tie_out
from retail.runs.counts import HopCount

IDENTITIES = (
    tie_out.FETCHED, tie_out.READ, tie_out.STAGED, tie_out.MERGED, tie_out.DELTA, tie_out.POSTGRESQL,
)  # fmt: skip


def count(
    hop: str, rows: int, money: str, *, day: str | None = "2017-01-05", retailer: str = "retailer_1"
) -> HopCount:
    return HopCount(
        hop=hop, retailer_id=retailer, business_date=day, currency="USD", rows=rows, money=Decimal(money)
    )


WHOLE = [
    count("read", 10, "100.00"), count("duplicate", 1, "9.99"), count("quarantined", 2, "0"),
    count("staged", 7, "90.01"),
]  # fmt: skip


def test_what_adds_up_is_left_alone() -> None:
    assert tie_out.differences(tie_out.STAGED, WHOLE) == []
    tie_out.require([tie_out.STAGED], WHOLE)


def test_one_missing_row_is_named_with_its_group() -> None:
    short = [*WHOLE[:-1], count("staged", 6, "90.01")]
    with pytest.raises(
        TieOutError, match=r"staged does not hold for retailer_1, 2017-01-05, USD: \+1 rows, \+0.00 in money"
    ):
        tie_out.require([tie_out.STAGED], short)


def test_one_cent_too_many_is_found_though_the_rows_agree() -> None:
    (found,) = tie_out.differences(tie_out.STAGED, [*WHOLE[:-1], count("staged", 7, "90.02")])
    assert (found.rows, found.money) == (0, Decimal("-0.01"))


def test_a_row_in_the_wrong_day_is_found_in_both() -> None:
    moved = [count("landed", 2, "8"), count("read", 1, "4"), count("read", 1, "4", day="2017-01-06")]
    found = tie_out.differences(tie_out.READ, moved)
    assert [(each.business_date, each.rows) for each in found] == [("2017-01-05", 1), ("2017-01-06", -1)]


def test_hops_that_the_identity_does_not_name_do_not_count() -> None:
    assert tie_out.differences(tie_out.READ, [*WHOLE, count("landed", 10, "100")]) == []


def test_a_hop_without_any_row_is_a_difference_not_a_pass() -> None:
    assert len(tie_out.differences(tie_out.POSTGRESQL, [count("delta_after", 3, "3")])) == 1


@pytest.mark.parametrize("identity", IDENTITIES)
def test_every_hop_of_an_identity_weighs_in(identity: str) -> None:
    for hop in identity.replace("=", " ").replace("+", " ").replace("-", " ").split():
        (found,) = tie_out.differences(identity, [count(hop, 1, "2.50")])
        assert abs(found.rows) == 1
        assert abs(found.money) == Decimal("2.50")


def test_the_sides_of_delta_have_their_signs() -> None:
    counts = [
        count("delta_before", 5, "50"), count("inserted", 2, "20"), count("updated_in", 1, "12"),
        count("updated_out", 1, "10"), count("delta_after", 7, "72"),
    ]  # fmt: skip
    assert tie_out.differences(tie_out.DELTA, counts) == []


def test_many_differences_are_counted_and_the_first_shown() -> None:
    counts = [count("landed", 1, "1", day=f"2017-01-{day:02}") for day in range(1, 26)]
    with pytest.raises(TieOutError, match="and 5 more"):
        tie_out.require([tie_out.READ], counts)


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(-(10**12), 10**12)), max_size=30),
    st.integers(min_value=1),
)
def test_split_in_any_way_the_sum_ties_out_and_never_with_a_cent_less(
    parts: list[tuple[int, int]], cents: int
) -> None:
    whole = HopCount(
        hop="landed", retailer_id="r", business_date=None, currency=None,
        rows=sum(rows for rows, _ in parts), money=sum((Decimal(c).scaleb(-2) for _, c in parts), Decimal(0)),
    )  # fmt: skip
    read = [
        HopCount(hop="read", retailer_id="r", business_date=None, currency=None, rows=rows,
                 money=Decimal(money).scaleb(-2))
        for rows, money in parts
    ]  # fmt: skip
    assert tie_out.differences(tie_out.READ, [whole, *read]) == []
    lost = HopCount(
        hop="read",
        retailer_id="r",
        business_date=None,
        currency=None,
        rows=0,
        money=-Decimal(cents).scaleb(-2),
    )
    assert len(tie_out.differences(tie_out.READ, [whole, *read, lost])) == 1
