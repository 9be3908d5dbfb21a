"""What lies in quarantine can be listed, looked at by name, and comes in once its cause is mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from retail.errors import StorageError
from retail.lake import delta, layout
from retail.lake.storage.local import LocalStorage
from retail.pipeline.step_context import StepContext
from retail.quality import tie_out
from retail.records import RowRule, SalesRecord
from retail.star import staging
from retail.star.build import Built, build
from retail.star.quarantine import acknowledged, table
from retail.star.quarantine.listing import Selection, acceptance, in_words
from tests.star.conftest import DAY, record, write_raw

MakeContext = Callable[[str], StepContext]
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)
NEXT_DAY = date(2017, 1, 6)
STRICT = [RowRule(reason="too dear", when="total_amount > 9", severity="critical")]


def staged(
    context: StepContext, *lines: SalesRecord | str, day: date = DAY, rules: list[RowRule] | None = None
) -> staging.Staged:
    if lines:
        write_raw(context, list(lines), day=day)
    return staging.stage(context, [("retailer_1", day)], row_rules=rules or [])


def merged(context: StepContext, day: date, rules: list[RowRule] | None = None) -> Built:
    found = staged(context, day=day, rules=rules)
    built = build(context, found)
    tie_out.require([tie_out.STAGED, tie_out.MERGED, tie_out.DELTA], [*found.counts, *built.counts])
    return built


def amounts(context: StepContext) -> list[Decimal]:
    return [
        row[0]
        for row in delta.read(context.session, context.storage, "star/fact_sales")
        .select("total_amount")
        .collect()
    ]


def test_groups_are_by_day_reason_and_currency_with_their_money(make_context: MakeContext) -> None:
    context = make_context("run-1")
    assert table.groups(context.storage) == []
    lines = [record(), record(line_id="2", total_amount="20"), record(line_id="3", currency="CAD"), "[1]"]
    staged(context, *lines, rules=STRICT)  # type: ignore[arg-type]
    staged(context, record(total_amount="NaN"), day=NEXT_DAY, rules=STRICT)
    found = table.groups(context.storage)
    assert [(g.logical_date, g.severity, g.reasons, g.currency, g.rows, g.money) for g in found] == [
        (DAY, "critical", "too dear", "CAD", 1, Decimal(10)),
        (DAY, "critical", "too dear", "USD", 2, Decimal(30)),
        (DAY, "error", "unreadable JSON", None, 1, Decimal(0)),
        (NEXT_DAY, "error", "bad total_amount", "USD", 1, Decimal(0)),
    ]
    assert in_words(found) == "5 rows, 10.00 CAD, 30.00 USD"
    assert len(table.groups(context.storage, Selection(until=DAY))) == 3
    assert len(table.groups(context.storage, Selection(since=NEXT_DAY, until=NEXT_DAY))) == 1
    assert table.groups(context.storage, Selection(retailers=("retailer_2",))) == []


@ON_SAIL
def test_a_line_has_a_name_and_is_found_by_its_beginning(make_context: MakeContext) -> None:
    context = make_context("run-1")
    one, two = record(total_amount="NaN"), record(line_id="2", total_amount="NaN")
    staged(context, one, two)
    both, count = table.rows(context.storage, most=5)
    names = {json.loads(each.value)["line_id"]: each.row for each in both}
    assert (count, table.rows(context.storage, most=1)) == (2, (both[:1], 2))
    staged(make_context("run-2"), two, one)  # at every look, in any order
    [found], _ = table.rows(context.storage, named=[names["2"][:6].upper()], most=5)
    assert (found.value, found.row, found.source_ref) == (two.to_line(), names["2"], two.source_ref)
    assert (found.retailer_id, found.logical_date, found.reasons) == ("retailer_1", DAY, "bad total_amount")
    assert table.rows(context.storage, named=["no such"], most=5) == ([], 0)


@ON_SAIL
def test_after_a_rule_was_mended_the_line_comes_in_once(make_context: MakeContext) -> None:
    staged(make_context("run-1"), record(), record(line_id="2", total_amount="5.00"), rules=STRICT)
    merged(make_context("run-1"), DAY, STRICT)
    assert amounts(make_context("look")) == [Decimal(5)]
    for run_id, inserted in (("run-2", 1), ("run-3", 0)):
        built = merged(make_context(run_id), DAY)
        assert built.actions["fact_sales"]["inserted"] == inserted
        assert sorted(amounts(make_context("look"))) == [Decimal(5), Decimal(10)]
        assert table.groups(make_context("look").storage) == []


@ON_SAIL
def test_a_refused_line_whose_newer_version_came_good_is_stale_when_it_is_replayed(
    make_context: MakeContext,
) -> None:
    staged(make_context("run-1"), record(total_amount="10.00"), rules=STRICT)
    merged(make_context("run-1"), DAY, STRICT)
    newer = record(total_amount="8.00", updated_at="2017-01-06T09:00:00.000000Z")
    staged(make_context("run-2"), newer, day=NEXT_DAY, rules=STRICT)
    merged(make_context("run-2"), NEXT_DAY, STRICT)
    assert merged(make_context("run-3"), DAY).actions["fact_sales"]["stale"] == 1
    assert amounts(make_context("look")) == [Decimal(8)]


@pytest.mark.slow
@ON_SAIL
def test_a_backfill_of_hundreds_of_days_replaces_what_it_refused(make_context: MakeContext) -> None:
    context = make_context("run-1")
    staged(context, record(total_amount="NaN"))
    staged(context, record(total_amount="NaN"), day=NEXT_DAY)
    lines = delta.read(context.session, context.storage, layout.STAGED_LINES)  # those of the next day
    days = [NEXT_DAY + timedelta(days=2 * number) for number in range(600)]
    units = [(retailer, day) for retailer in ("retailer_1", "retailer_2") for day in days]

    table.replace(context, lines, units)

    assert [(each.logical_date, each.rows) for each in table.groups(context.storage)] == [
        (DAY, 1), (NEXT_DAY, 1),
    ]  # fmt: skip


@ON_SAIL
def test_where_no_day_is_staged_nothing_is_replaced(make_context: MakeContext) -> None:
    context = make_context("run-1")
    staged(context, record(total_amount="NaN"))
    lines = delta.read(context.session, context.storage, layout.STAGED_LINES)
    table.replace(context, lines, [])
    assert len(table.groups(context.storage)) == 1


@ON_SAIL
def test_what_a_run_put_there_is_chosen_where_it_is_read(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(make_context("run-1"), record(line_id="2", total_amount="NaN"), record(total_amount="NaN"))
    staged(make_context("run-2"), record(total_amount="NaN"), day=NEXT_DAY)
    storage, read = make_context("look").storage, []
    rows = delta.rows

    def watched(*arguments: object, **named: object) -> Iterator[dict[str, object]]:
        for line in rows(*arguments, **named):  # type: ignore[arg-type]
            read.append(line)
            yield line

    monkeypatch.setattr(delta, "rows", watched)
    assert [(each.hop, each.rows) for each in table.kept(storage, "run-2")] == [("in_quarantine", 1)]
    assert len(read) == 1
    assert sum(each.rows for each in table.kept(storage, "run-1")) == 2
    assert table.kept(storage, "run-3") == []


def accept(context: StepContext, *, named: list[str] | None = None, because: str = "never mended") -> None:
    lines = table.each_line(context.storage, named=named or [])
    acknowledged.accept(context.storage, acceptance(lines, because=because, at=datetime.now(UTC)))


def test_what_was_accepted_is_open_no_more_though_its_day_is_staged_anew(make_context: MakeContext) -> None:
    context = make_context("run-1")
    one, two = record(total_amount="20.00"), record(line_id="2", total_amount="NaN")
    staged(context, one, two, rules=STRICT)
    [dear] = [each for each in table.each_line(context.storage) if each.reasons == "too dear"]
    accept(context, named=[dear.row])
    for run_id in ("run-1", "run-2"):
        if run_id == "run-2":
            staged(make_context(run_id), two, one, rules=STRICT)
        assert [group.reasons for group in table.groups(context.storage)] == ["bad total_amount"]
        [of_run] = table.accepted_of(context.storage, run_id)
        assert (of_run.hop, of_run.reason, of_run.rows, of_run.money) == ("accepted", "too dear", 1, 20)
        assert sum(each.rows for each in table.kept(context.storage, run_id)) == 2  # no row is lost
    [group] = table.accepted_groups(context.storage)
    assert (group.severity, group.reasons, group.rows, group.money) == (
        "critical",
        "too dear",
        1,
        Decimal(20),
    )


@ON_SAIL
def test_another_line_with_the_same_key_and_the_same_line_of_another_day_stay_open(
    make_context: MakeContext,
) -> None:
    context = make_context("run-1")
    staged(context, record(total_amount="NaN"))
    accept(context)
    staged(context, record(total_amount="NaN"), day=NEXT_DAY)
    staged(context, record(total_amount="NaN"), record(total_amount="inf"))
    assert [(each.logical_date, each.rows) for each in table.groups(context.storage)] == [
        (DAY, 1), (NEXT_DAY, 1),
    ]  # fmt: skip


@ON_SAIL
def test_what_is_open_is_summed_without_looking_at_single_lines(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(make_context("run-1"), record(line_id="2", total_amount="NaN"), record(total_amount="NaN"))
    monkeypatch.setattr(delta, "rows", None)
    assert [each.rows for each in table.groups(make_context("look").storage)] == [2]


@ON_SAIL
def test_two_commands_at_once_both_have_their_lines_accepted(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context("run-1")
    staged(context, record(total_amount="NaN"), record(line_id="2", total_amount="NaN"))
    one, two = (each.row for each in table.each_line(context.storage))
    create = LocalStorage.create

    def overtaken(storage: LocalStorage, key: str, data: bytes) -> bool:
        monkeypatch.setattr(LocalStorage, "create", create)
        accept(context, named=[two])
        return create(storage, key, data)

    monkeypatch.setattr(LocalStorage, "create", overtaken)
    accept(context, named=[one])
    assert table.groups(context.storage) == []


@ON_SAIL
def test_a_damaged_record_of_what_was_accepted_says_what_to_do(make_context: MakeContext) -> None:
    context = make_context("run-1")
    staged(context, record(total_amount="NaN"))
    context.storage.write("quality/accepted/00001.json", b'{"acceptances": [{}]}')
    with pytest.raises(StorageError, match=r"quality/accepted/00001\.json is damaged"):
        table.groups(context.storage)
