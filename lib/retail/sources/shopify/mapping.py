"""Maps an order of Shopify's Admin API to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import Skipped, cancelled, pointers, unreadable, without_lines
from retail.sources.shopify.ledger import Ledger, needs_ledger
from retail.sources.shopify.nodes import number_of, shop_money
from retail.sources.shopify.pagination import orders_of
from retail.sources.shopify.taxes import discount_of, taxes_of
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text

# Deleted while its day was read. What the star has of it stays consistent, as its last complete reading left it.
DELETED: Final = "deleted"

__all__ = ["ShopifySales", "number_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopifySales:
    """Makes records of responses. A line's net total is its original total less its discount allocations.

    An order that changed after its sale is read from its ledger instead, see `ledger`. All amounts are in the shop's
    currency. If a shop's prices include tax, the tax is subtracted from the total too; unit price and discount are then
    as the shop shows them. Ids are the numbers after the last `/` of a gid.
    """

    MAPPING_VERSION: ClassVar[int] = 2

    retailer_id: str
    zone: ZoneInfo

    def records(self, answer: JSON, source: str) -> Iterator[SalesRecord | Skipped]:
        """See Service."""
        for place, order in enumerate(orders_of(answer)):
            yield from self._order(order, f"{source}#/answer/data/orders/nodes/{place}")

    def entries(self, answer: JSON) -> list[str] | None:
        """See ListsEntries."""
        return pointers(answer, ("data", "orders", "nodes"))

    def _order(self, order: JSON, source_ref: str) -> Iterator[SalesRecord | Skipped]:
        lines = entries(order, "lineItems", "nodes")
        if lines is None:
            yield unreadable(self.retailer_id, source_ref, transaction_id=number_of(order))
            return
        head = self._head(order, source_ref)
        found = list(self._of(order, lines, head))
        is_cancelled = at(order, "cancelledAt") is not None
        yield from found if found or lines else [without_lines(head, is_cancelled=is_cancelled)]

    def _of(self, order: JSON, lines: list[JSON], head: SalesRecord) -> Iterator[SalesRecord | Skipped]:
        """The records of an order with these line items; `head` holds what all of them share."""
        source_ref = head.source_ref
        taxes = taxes_of(lines, prices_include_tax=at(order, "taxesIncluded") is True)
        records = [
            self._line(head, order, line, tax, f"{source_ref}/lineItems/nodes/{place}")
            for place, (line, tax) in enumerate(zip(lines, taxes, strict=True))
        ]
        if at(order, "isDeleted") is True:
            yield from (Skipped(DELETED, record) for record in records)
            return
        # Pages fetched by an earlier version do not show changes, and are read as that version read them.
        if needs_ledger(order):
            known = {record.line_id: record for record in records if record.line_id is not None}
            yield from Ledger(order=order, head=head, lines=known, zone=self.zone).records(source_ref)
            return
        is_cancelled = at(order, "cancelledAt") is not None
        for line, record in zip(lines, records, strict=True):
            reason = _skip_reason(order, line)
            ended = cancelled(record) if is_cancelled else record
            yield Skipped(reason, ended) if reason else ended

    def _head(self, order: JSON, source_ref: str) -> SalesRecord:
        """The fields that all lines of an order share."""
        sold_at = timestamps.from_iso(at(order, "processedAt") or at(order, "createdAt"))
        return replace(
            unreadable(self.retailer_id, source_ref, transaction_id=number_of(order)),
            status="completed",
            sold_at=sold_at,
            updated_at=timestamps.from_iso(at(order, "updatedAt")),
            business_date=timestamps.business_date(sold_at, self.zone),
            customer_id=text(order, "customer", "id"),
            store_id=number_of(order, "retailLocation"),
            store_name=text(order, "retailLocation", "name"),
            currency=text(order, "currencyCode"),
        )

    def _line(
        self, head: SalesRecord, order: JSON, line: JSON, tax: Decimal | None, source_ref: str
    ) -> SalesRecord:
        quantity = money.number(at(line, "quantity"))
        gross = shop_money(line, "originalTotalSet")
        discount = discount_of(line)
        price = at(line, "originalUnitPriceSet", "shopMoney", "amount")
        in_price = tax if at(order, "taxesIncluded") is True else money.ZERO
        return replace(
            head,
            line_id=number_of(line),
            record_type="sale",
            product_id=_product_id(line),
            product_name=text(line, "title"),
            brand=text(line, "vendor"),
            category=text(line, "product", "productType"),
            quantity=money.plain(quantity),
            unit_price=money.plain(money.unit_price(price, gross=gross, quantity=quantity)),
            discount_amount=money.plain(money.size(discount)),
            tax_amount=money.plain(tax),
            total_amount=money.plain(money.less(gross, money.size(discount), in_price)),
            currency=text(line, "originalTotalSet", "shopMoney", "currencyCode") or head.currency,
            source_ref=source_ref,
        )


def _skip_reason(order: JSON, line: JSON) -> str | None:
    if at(order, "test") is True:
        return "test_order"  # occurs in production shops
    if at(line, "isGiftCard") is True:
        return "gift_card"  # a liability until it is redeemed, no sale
    return None


def _product_id(line: JSON) -> str | None:
    """The SKU; if the merchant gave none, the variant, the product, or (custom items) the line itself."""
    for prefix, path in (("variant", ("variant",)), ("product", ("product",)), ("line", ())):
        number = number_of(line, *path)
        if number is not None:
            return text(line, "sku") or f"{prefix}-{number}"
    return text(line, "sku")
