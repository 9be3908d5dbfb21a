"""Drift: how a table's profile differs from those of earlier runs. A pure function over rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from pydantic import BaseModel, ConfigDict, Field

from retail.quality import conf_files
from retail.quality.profile import ColumnProfile


class Limits(BaseModel):
    """The limits in `conf/expectations/profile.toml`; the file explains each of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_rows: int = Field(default=100, ge=1)
    least_runs: int = Field(default=3, ge=2)
    null_share: float = Field(default=0.1, gt=0, le=1)
    distinct_ratio: float = Field(default=3, gt=1)
    mean_deviations: float = Field(default=4, gt=0)
    mean_share: float = Field(default=0.25, gt=0)
    top_share: float = Field(default=0.2, gt=0, le=1)
    ignore: list[str] = Field(default_factory=list)


class Drift(BaseModel):
    """One column's drift, in words that begin with what drifted."""

    model_config = ConfigDict(frozen=True)

    table_name: str
    column_name: str
    what: str

    def __str__(self) -> str:
        return f"profile of {self.table_name}: {self.column_name}: {self.what}"


def load_limits(path: Path | None = None, *, beside: Path | None = None) -> Limits:
    """The limits of the file, by default of the one for a configuration in the folder `beside`.

    Raises ConfigurationError naming what is wrong with it.
    """
    return conf_files.read_toml(path or conf_files.find("profile.toml", beside), Limits)


def drifted(
    now: Sequence[ColumnProfile], before: Sequence[Sequence[ColumnProfile]], limits: Limits
) -> list[Drift]:
    """Every column of `now` that differs from itself in the runs `before`, whatever the order of those."""
    earlier: dict[tuple[str, str], list[ColumnProfile]] = {}
    for run in before:
        for each in run:
            if each.row_count >= limits.least_rows:
                earlier.setdefault((each.table_name, each.column_name), []).append(each)
    found = []
    for column in now:
        known = earlier.get((column.table_name, column.column_name), [])
        ignored = f"{column.table_name}.{column.column_name}" in limits.ignore
        if ignored or column.row_count < limits.least_rows or len(known) < limits.least_runs:
            continue
        judged = (
            judge(column, known, limits) for judge in (_nulls, _distinct, _mean, _new_value, _lost_value)
        )
        found += [
            Drift(table_name=column.table_name, column_name=column.column_name, what=what)
            for what in judged
            if what
        ]
    return found


def _nulls(now: ColumnProfile, before: Sequence[ColumnProfile], limits: Limits) -> str | None:
    usual = median(each.null_share for each in before)
    if abs(now.null_share - usual) <= limits.null_share:
        return None
    return f"{now.null_share:.1%} nulls, {usual:.1%} in the previous {len(before)} runs"


def _distinct(now: ColumnProfile, before: Sequence[ColumnProfile], limits: Limits) -> str | None:
    """Drift only if out of the band both in number and per row: a larger batch alone is no drift."""
    usual = median(each.distinct_count for each in before)
    by_row = median(each.distinct_count / each.row_count for each in before)
    if not usual or not now.distinct_count:
        return None  # all null on one side, which `_nulls` reports
    ratio, of_rows = now.distinct_count / usual, now.distinct_count / now.row_count / by_row
    limit = limits.distinct_ratio
    if (ratio > limit and of_rows > limit) or (ratio < 1 / limit and of_rows < 1 / limit):
        return (
            f"about {now.distinct_count:,} distinct values, {usual:,.0f} in the previous {len(before)} runs"
        )
    return None


def _mean(now: ColumnProfile, before: Sequence[ColumnProfile], limits: Limits) -> str | None:
    means = [each.mean for each in before if each.mean is not None]
    if now.mean is None or len(means) < limits.least_runs:
        return None
    usual = fmean(means)
    away = abs(now.mean - usual)
    if away <= limits.mean_deviations * stdev(means) or away <= limits.mean_share * abs(usual):
        return None
    return f"mean {now.mean:,.4g}, {usual:,.4g} in the previous {len(means)} runs"


def _new_value(now: ColumnProfile, before: Sequence[ColumnProfile], limits: Limits) -> str | None:
    known = {value for each in before for value, _ in each.top_values}
    new = [
        value for value, _ in now.top_values if value not in known and now.share_of(value) >= limits.top_share
    ]
    if not new or not known:
        return None
    shares = ", ".join(f"{value!r} with {now.share_of(value):.0%} of the rows" for value in new)
    return f"{shares}, not among the most common values of the previous {len(before)} runs"


def _lost_value(now: ColumnProfile, before: Sequence[ColumnProfile], limits: Limits) -> str | None:
    always = [
        value
        for value, _ in before[0].top_values
        if all(each.share_of(value) >= limits.top_share for each in before)
    ]
    lost = [value for value in always if not now.share_of(value)]
    if not lost:
        return None
    values = ", ".join(repr(value) for value in lost)
    share = f"at least {limits.top_share:.0%} of the rows"
    return f"{values} is gone; it had {share} in each of the previous {len(before)} runs"
