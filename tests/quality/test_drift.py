"""Drift: what of a profile is unlike the runs before, and what only looks so."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail.errors import ConfigurationError
from retail.quality.drift import Limits, drifted, load_limits
from retail.quality.profile import ColumnProfile

LIMITS = Limits()


def column(**changes: object) -> ColumnProfile:
    values: dict[str, object] = {
        "run_id": "r", "table_name": "staged_sales", "column_name": "brand", "row_count": 1_000, "null_count": 20,
        "distinct_count": 50, "mean": None, "top_values": (("Acme", 600), ("Best", 100)),
    }  # fmt: skip
    return ColumnProfile(**{**values, **changes})  # type: ignore[arg-type]


def told(now: ColumnProfile, before: list[ColumnProfile], limits: Limits = LIMITS) -> list[str]:
    return [str(each) for each in drifted([now], [[each] for each in before], limits)]


USUAL = [column(), column(null_count=30), column(distinct_count=60)]


def test_a_run_like_those_before_has_not_drifted() -> None:
    assert told(column(null_count=60, distinct_count=70), USUAL) == []


def test_nulls_that_jump_are_told_with_what_was_usual() -> None:
    assert told(column(null_count=420), USUAL) == [
        "profile of staged_sales: brand: 42.0% nulls, 2.0% in the previous 3 runs"
    ]


def test_distinct_values_that_collapse_or_multiply_are_told() -> None:
    [collapse] = told(column(distinct_count=2), USUAL)
    [jump] = told(column(distinct_count=900), USUAL)
    assert "about 2 distinct values, 50 in the previous 3 runs" in collapse
    assert "about 900 distinct values" in jump


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(column(row_count=30_000, null_count=600, distinct_count=55, top_values=(("Acme", 18_000),)),
                     id="categories of a backfill"),
        pytest.param(column(row_count=30_000, null_count=600, distinct_count=1_500, top_values=(("Acme", 18_000),)),
                     id="ids of a backfill"),
    ],
)  # fmt: skip
def test_a_larger_batch_alone_is_no_drift(now: ColumnProfile) -> None:
    assert told(now, USUAL) == []


def test_a_mean_out_of_band_is_told_and_one_within_it_is_not() -> None:
    before = [column(mean=mean) for mean in (3.0, 3.1, 2.9)]
    assert told(column(mean=3.5), before) == []
    assert told(column(mean=310.0), before) == [
        "profile of staged_sales: brand: mean 310, 3 in the previous 3 runs"
    ]


def test_a_new_common_value_and_one_that_is_gone_are_told() -> None:
    [new, gone] = told(column(top_values=(("Rest", 500), ("Best", 300))), USUAL)
    assert "'Rest' with 50% of the rows, not among the most common values" in new
    assert "'Acme' is gone" in gone


def test_few_rows_few_runs_and_what_is_ignored_are_not_judged() -> None:
    bad = column(null_count=900)
    assert told(bad, USUAL[:2]) == []
    assert told(column(row_count=99, null_count=90), USUAL) == []
    assert told(bad, [column(row_count=50, null_count=1)] * 3) == []
    assert told(bad, USUAL, Limits(ignore=["staged_sales.brand"])) == []
    assert told(bad, USUAL)


def test_a_column_that_was_always_null_and_one_that_is_now_are_judged_by_their_nulls_alone() -> None:
    empty = column(null_count=1_000, distinct_count=0, top_values=())
    assert len(told(column(), [empty] * 3)) == 1
    assert "100.0% nulls" in told(empty, USUAL)[0]


def test_the_limits_of_the_file_are_read_and_a_spelling_mistake_is_named(tmp_path: Path) -> None:
    assert load_limits() == LIMITS
    wrong = tmp_path / "profile.toml"
    wrong.write_text("nul_share = 0.1\nleast_rows = 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_limits(wrong)
    assert {problem.split(": ")[1] for problem in caught.value.problems} == {"nul_share", "least_rows"}
    wrong.write_text("a =")
    with pytest.raises(ConfigurationError, match=r"profile\.toml"):
        load_limits(wrong)
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        load_limits(tmp_path / "nothing.toml")
