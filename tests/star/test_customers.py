"""Customers leave the Delta tables on either engine: no figure, no order of versions and no row changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from retail.errors import TieOutError
from retail.lake import delta, layout
from retail.landing import customers as landed
from retail.landing.pepper import PepperNote
from retail.pipeline.maintain import keep_only_newest
from retail.pipeline.rotate_pepper import _require_none_before
from retail.pipeline.step_context import StepContext
from retail.runs import table_rewrites
from retail.star import customers as in_star
from retail.star.customers import Customer
from retail.star.tables import dim_customer, fact_sales
from tests.star.conftest import answer, record
from tests.star.test_merge import ON_SAIL, MakeContext, merged, table

JO, KIM = ("retailer_1", "a" * 64), ("retailer_1", "b" * 64)
LINES = [
    record(transaction_id="t1", customer_id=JO[1], source_ref=answer("run-1", place=0)),
    record(transaction_id="t2", customer_id=KIM[1], source_ref=answer("run-1", place=1)),
    record(transaction_id="t3", customer_id=JO[1], total_amount="x", source_ref=answer("run-1", place=2)),
]
FIGURES = ("transaction_id", "total_amount", "updated_at", "fetch_order", "mapping_version", "changed_run_id")


def unlinked(context: StepContext, customers: Sequence[Customer]) -> dict[str, int]:
    by = landed.unlinked(frozenset(name for _, name in customers))

    def without(_: str, text: str) -> str:
        return by(text.encode()).decode()

    found = in_star.linked(context, customers, without)
    in_star.unlink(context, found)
    for room in in_star.ROOMS:
        for each in ("dim_customer", "lines", "sales") if room == layout.STAGED else ("",):
            keep_only_newest(context.storage, f"{room}{each}".rstrip("/"), "a test")
    return dict(found.rows)


@pytest.mark.spark_nightly
def test_a_line_without_its_customer_is_what_the_star_holds_already(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, *LINES)
    before = table(context, "fact_sales", *FIGURES)
    (key,) = in_star.keys_of(context.session, [JO])
    assert list(in_star.found(context.storage, [JO[1]], [key]))

    rows = unlinked(context, [JO])

    assert (rows[fact_sales.TABLE.path], rows[dim_customer.TABLE.path], rows[layout.QUARANTINE]) == (1, 1, 1)
    assert list(in_star.found(context.storage, [JO[1]], [key])) == []
    assert table(context, "fact_sales", *FIGURES) == before
    assert table(context, "dim_customer", "customer_id") == [(KIM[1],), ("unknown",)]
    assert sum(unlinked(context, [JO]).values()) == 0

    again = merged(make_context("run-2"), *(replace(each, customer_id=None) for each in LINES[:1]), LINES[1])
    assert again.actions["fact_sales"]["unchanged"] == 2


@ON_SAIL
def test_a_merge_that_was_planned_before_is_planned_again(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, *LINES)
    planned = delta.require_version(context.storage, fact_sales.TABLE.path)

    unlinked(context, [JO])

    assert table_rewrites.begun_on(context.storage, fact_sales.TABLE.path, planned)


@ON_SAIL
@pytest.mark.parametrize(
    "put",
    [
        lambda context: context.storage.write("staged/lines/_delta_log/note.json", JO[1].encode()),
        lambda context: merged(context, replace(LINES[0], transaction_id="t9")),
    ],
    ids=["a log entry", "a row"],
)
def test_what_came_back_is_found(put: Callable[[StepContext], object], make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, *LINES)
    unlinked(context, [JO])
    (key,) = in_star.keys_of(context.session, [JO])
    assert list(in_star.found(context.storage, [JO[1]], [key])) == []

    put(make_context("run-2"))

    assert list(in_star.found(context.storage, [JO[1]], [key]))


@ON_SAIL
def test_a_pseudonym_of_before_a_rotation_is_found_in_a_refused_line(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, replace(LINES[1], customer_id=f"1-{KIM[1]}"), LINES[2])
    for key in list(context.storage.list("raw/")):  # which would be found as well
        context.storage.delete(key)
    assert in_star.known(context.storage, [JO, KIM, (KIM[0], f"1-{KIM[1]}")]) == [(KIM[0], f"1-{KIM[1]}")]
    with pytest.raises(TieOutError):
        _require_none_before(context.storage, PepperNote(0, ""))
    unlinked(context, [JO])
    _require_none_before(context.storage, PepperNote(0, ""))
