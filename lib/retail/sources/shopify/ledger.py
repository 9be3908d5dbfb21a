"""Maps the ledger of a changed order to sales. Pure: no network, no clock.

`Order.agreements` are Shopify's own accounts: the original sale stays as it was, and every change adds sales, with
negative ones for removed and returned goods. An order that never changed is read from its line items alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import Skipped, cancelled, unreadable
from retail.sources.shopify.nodes import number_of, shop_money
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text

# We report sales of goods: other things a customer pays for are skipped, and counted under these words.
NO_GOODS: Final = {
    "ADDITIONAL_FEE": "fee",
    "DUTY": "duty",
    "FEE": "fee",
    "GIFT_CARD": "gift_card",  # a liability until it is redeemed
    "SHIPPING": "shipping",
    "TIP": "tip",
}
ADJUSTMENT: Final = "adjustment"


def needs_ledger(order: JSON) -> bool:
    """Whether the line items alone do not show the order's value.

    A tip counts as a change, because it is a line item like any other, and only the ledger says which. An order whose
    only known change is its cancellation needs no ledger: the cancellation ends every line.
    """
    if at(order, "test") is True:
        return False
    changed = at(order, "edited") is True or text(order, "returnStatus") not in (None, "NO_RETURN")
    if changed or money.is_positive(shop_money(order, "totalTipReceivedSet")):
        return True
    refunds, ended = entries(order, "refunds") or [], timestamps.from_iso(at(order, "cancelledAt"))
    if ended is None:
        return bool(refunds)
    return len(refunds) > 1 or any(not _is_at_or_after(at(each, "createdAt"), ended) for each in refunds)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One sale of an agreement: its place, when it happened, and whether the agreement placed the order."""

    sale: JSON
    source_ref: str
    happened: str | None
    is_placing: bool

    @property
    def line_id(self) -> str | None:
        return number_of(self.sale, "lineItem")

    @property
    def kind(self) -> str:
        return text(self.sale, "lineType") or ""

    @property
    def action(self) -> str:
        return text(self.sale, "actionType") or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Makes records of one order's ledger. `head` holds what all lines share, `lines` are the records of its items.

    The first sale of a line item has the line item's id, so that it is the same row as before the order changed. All
    others have ids of their own, and the day on which they happened.
    """

    order: JSON
    head: SalesRecord
    lines: Mapping[str, SalesRecord]
    zone: ZoneInfo

    def records(self, source_ref: str) -> Iterator[SalesRecord | Skipped]:
        """One record per sale; anything unreadable gives one for the quarantine."""
        agreements = entries(self.order, "agreements", "nodes")
        if agreements is None:
            yield self._unreadable(source_ref)
            return
        found: list[_Entry] = []
        for place, agreement in enumerate(agreements):
            of_agreement = f"{source_ref}/agreements/nodes/{place}"
            sales = entries(agreement, "sales", "nodes")
            if sales is None:
                yield self._unreadable(of_agreement)
            happened, is_placing = timestamps.from_iso(at(agreement, "happenedAt")), _is_placing(agreement)
            found += [
                _Entry(sale, f"{of_agreement}/sales/nodes/{number}", happened, is_placing)
                for number, sale in enumerate(sales or [])
            ]
        yield from self._of(sorted(found, key=_when))

    def _of(self, found: list[_Entry]) -> Iterator[SalesRecord | Skipped]:
        """The records of all entries, oldest first; every line item must be among those sold."""
        sold: set[str | None] = set()
        ended = timestamps.from_iso(at(self.order, "cancelledAt"))
        for entry in found:
            is_first = (entry.kind, entry.action) == ("PRODUCT", "ORDER") and entry.line_id not in sold
            record = self._record(entry, entry.line_id if is_first else number_of(entry.sale))
            if is_first or entry.kind in NO_GOODS:
                sold.add(entry.line_id)
            if entry.kind in NO_GOODS:
                yield Skipped(NO_GOODS[entry.kind], record)
            elif record.record_type is None or ended is None:
                yield record
            elif is_first or not _is_at_or_after(entry.happened, ended):
                # A later entry may be in the star already; the cancellation's own entries never get there.
                yield cancelled(record)
        for line_id, line in self.lines.items():
            if line_id not in sold:
                yield self._unreadable(line.source_ref, line_id=line_id)

    def _record(self, entry: _Entry, line_id: str | None) -> SalesRecord:
        tax, net = shop_money(entry.sale, "totalTaxAmount"), _net(entry.sale)
        meaning = _meaning(entry, net)
        if meaning is None:
            return self._unreadable(entry.source_ref, line_id=line_id)
        record_type, quantity = meaning
        discount = _discount(entry)
        line = self._line(entry)
        # Dated as the order was before it changed; for an imported order that is not when Shopify received
        # it.
        sold_at = self.head.sold_at if entry.is_placing else entry.happened
        in_price = tax if at(self.order, "taxesIncluded") is True else money.ZERO
        price = money.unit_price(
            line.unit_price,
            gross=money.total([money.size(net), money.size(in_price), discount]),
            quantity=money.size(quantity),
        )
        return replace(
            line,
            line_id=line_id,
            record_type=record_type,
            sold_at=sold_at,
            business_date=timestamps.business_date(sold_at, self.zone),
            quantity=money.plain(quantity),
            unit_price=money.plain(price),
            discount_amount=money.plain(discount),
            tax_amount=money.plain(tax),
            total_amount=money.plain(net),
            currency=text(entry.sale, "totalAmount", "shopMoney", "currencyCode") or self.head.currency,
            source_ref=entry.source_ref,
        )

    def _line(self, entry: _Entry) -> SalesRecord:
        """The line that describes the entry's product; without one the entry ends up in quarantine."""
        if entry.kind == "ADJUSTMENT":
            return replace(self.head, product_id=ADJUSTMENT, product_name="Order adjustment")
        return self.lines.get(entry.line_id or "", self.head)

    def _unreadable(self, source_ref: str, *, line_id: str | None = None) -> SalesRecord:
        return unreadable(
            str(self.head.retailer_id), source_ref, transaction_id=self.head.transaction_id, line_id=line_id
        )


def _meaning(entry: _Entry, net: Decimal | None) -> tuple[str, Decimal | None] | None:
    """The record's type and quantity; None for kinds the schema does not know yet, and for what is no sale at all."""
    units = money.number(at(entry.sale, "quantity"))
    money_only = ("sale" if money.is_positive(net) else "refund", money.ZERO)
    if entry.kind not in ("PRODUCT", "ADJUSTMENT", *NO_GOODS) or entry.action not in (
        "ORDER",
        "RETURN",
        "UPDATE",
    ):
        return None
    if entry.kind == "ADJUSTMENT" or (entry.action != "ORDER" and not units):  # units: none, or 0
        return money_only
    if entry.action == "ORDER" or (entry.action == "UPDATE" and money.is_positive(units)):
        return "sale", units
    # The schema does not say whether returned units are negative; it was observed that their amounts are.
    return "return", money.less(money.ZERO, money.size(units))


def _net(sale: JSON) -> Decimal | None:
    """The amount without tax: `totalAmount` is after taxes and discounts, whether or not prices include tax."""
    return money.less(shop_money(sale, "totalAmount"), shop_money(sale, "totalTaxAmount"))


def _discount(entry: _Entry) -> Decimal | None:
    """Never negative: any discount that an update takes back is already in its amount."""
    discount = shop_money(entry.sale, "totalDiscountAmountBeforeTaxes")
    if entry.action == "UPDATE" and discount is not None and not money.is_positive(discount):
        return money.ZERO
    return money.size(discount)


def _when(entry: _Entry) -> tuple[bool, str]:
    """Sorts by time, entries without a time last: they must not pass for a line's first sale."""
    return not timestamps.is_normal(entry.happened), entry.happened or ""


def _is_placing(agreement: JSON) -> bool:
    return text(agreement, "reason") == "ORDER"


def _is_at_or_after(instant: JSON, end: str) -> bool:
    """Whether the instant is known to be at or after `end`; False if either is not a time."""
    found = timestamps.from_iso(instant)
    return found is not None and timestamps.is_normal(found) and timestamps.is_normal(end) and found >= end
