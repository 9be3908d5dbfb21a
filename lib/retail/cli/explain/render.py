"""The findings of `retail explain` in words: a line's trace, from the view back to the retailer's response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from rich.console import Console

from retail.cli.explain.trace import Explained, Found, Row
from retail.cli.output.console import one_line
from retail.star.quarantine.listing import in_one_line
from retail.star.tables import fact_sales

SHOWN_JSON_LINES: Final = 60


def show(out: Console, found: Found) -> None:
    """Print each line's trace, and the refused lines of that name."""
    for each in found.lines:
        for place, text in _places(each):
            words = one_line(text)
            out.print(f"  {place:<11} {words}" if place else words, markup=False, soft_wrap=True)
        if each.answered is not None:
            text = json.dumps(each.answered.part, indent=2, ensure_ascii=False, default=str)
            lines = text.split("\n")
            shown = lines if len(lines) <= SHOWN_JSON_LINES else [*lines[:SHOWN_JSON_LINES], "…"]
            out.print("\n".join(f"      {line}" for line in shown), markup=False, soft_wrap=True)
        out.print()
    if found.more:
        out.print(f"… and {found.more} more lines of it; select one by its sales_key\n")
    for row in found.refused:
        out.print(
            one_line(f"in quarantine, {row.retailer_id} {row.logical_date}: {row.reasons}; {row.source_ref}"),
            markup=False,
            soft_wrap=True,
        )
        if row.accepted is not None:
            out.print(f"  accepted for good {in_one_line(row.accepted)}", markup=False, soft_wrap=True)


def _places(each: Explained) -> Iterator[tuple[str, str]]:
    line = each.line
    natural_key = (str(line[name]) for name in fact_sales.TABLE.natural_key)
    yield "", f"sales_key {line['sales_key']}  {' / '.join(natural_key)}"
    yield "views", _in_views(each)
    for row in each.restated:
        yield (
            "restated",
            f"run {row['run_id']} changed {row['business_date']} by {row['rows']:+d} rows, {row['net_amount']:+f} "
            f"{row['currency']} by this transaction",
        )
    if each.postgresql is None:
        yield "PostgreSQL", "not found: not published yet; `retail run` for its date publishes it"
    else:
        yield from _in_words(each.postgresql)
    if each.delta is None:
        yield "Delta", "not found: PostgreSQL has a row that the lake lacks; see docs/DATA_QUALITY.md"
    else:
        same = "the same" if each.postgresql is not None else _money(each.delta)
        yield (
            "Delta",
            f"star/fact_sales version {each.delta_version}, {each.delta['business_month']}: "
            + ("; ".join(each.differences) or same),
        )
    if each.raw is not None:
        amount = each.raw.record.get("total_amount")
        yield "raw", f"{each.raw.key} line {each.raw.number}: total_amount {amount}"
    for text in each.missing:
        yield "missing", text
    if each.answered is not None:
        yield "payload", f"{each.answered.key}#{each.answered.pointer}, fetched {each.answered.fetched_at}"


def _in_views(each: Explained) -> str:
    if each.postgresql is None:
        return "not in the views yet: it must be published first"
    if each.shown is None:
        return "not in the views yet: `retail refresh` for its date adds it"
    line = each.postgresql
    return (
        f"marts.mv_daily_sales ({line['retailer_id']}, {line['business_date']}, {line['currency']}): "
        f"one of {each.shown['fact_rows']:,} rows, net {each.shown['net_amount']:,f}, "
        f"as of {_instant(each.shown['refreshed_at'])}"
    )


def _in_words(row: Row) -> Iterator[tuple[str, str]]:
    yield "PostgreSQL", f"{row['record_type']}, {row['status']}: {_money(row)}"
    yield (
        " ",
        f"of {row['product_id']} ({row['product_name']}), store {row['store_id']} ({row['store_name']})",
    )
    yield " ", f"sold {_instant(row['sold_at'])}, updated by the retailer {_instant(row['updated_at'])}"
    published = f", published by {row['published_by']} at {_instant(row['published_at'])}"
    yield " ", f"changed by run {row['changed_run_id']}{published if row['published_by'] else ''}"


def _money(row: Row) -> str:
    return (
        f"quantity {row['quantity']:f}, total {row['total_amount']:f} {row['currency']} "
        f"(discount {_or_none(row['discount_amount'])}, tax {_or_none(row['tax_amount'])})"
    )


def _or_none(value: Decimal | None) -> str:
    return "none" if value is None else f"{value:f}"


def _instant(value: datetime | None) -> str:
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"
