"""Maps a Walmart purchase order to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import Skipped, cancelled, unreadable
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.walmart.returns import WalmartReturns

_ORDERS: Final = ("list", "elements", "order")
_RETURNS: Final = "returnOrders"


@dataclass(frozen=True, slots=True)
class Charges:
    """The charges of a line, for all units that were ordered. Tax is not in gross."""

    gross: Decimal | None
    discount: Decimal | None
    tax: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalmartSales:
    """Makes records of responses. A line's net total is the sum of its PRODUCT charges.

    Walmart leaves the charges unchanged if some of the units are cancelled: the line then keeps the share of the
    remaining units. `updated_at` is the line's `statusDate`, because an order has no time of change.
    """

    MAPPING_VERSION: ClassVar[int] = 1

    retailer_id: str
    zone: ZoneInfo
    charges_are_per_unit: bool = False

    def records(self, answer: JSON, source: str) -> Iterator[SalesRecord | Skipped]:
        """See Sales. A page holds orders or return orders."""
        for place, order in enumerate(entries(answer, *_ORDERS) or []):
            yield from self._order(order, f"{source}#/answer/{'/'.join(_ORDERS)}/{place}")
        returns = WalmartReturns(retailer_id=self.retailer_id, zone=self.zone)
        for place, order in enumerate(entries(answer, _RETURNS) or []):
            yield from returns.records(order, f"{source}#/answer/{_RETURNS}/{place}")

    def _order(self, order: JSON, source_ref: str) -> Iterator[SalesRecord]:
        lines = entries(order, "orderLines", "orderLine")
        if lines is None:
            yield unreadable(self.retailer_id, source_ref, transaction_id=text(order, "purchaseOrderId"))
            return
        common = self._common(order)
        for place, line in enumerate(lines):
            yield self._line(line, f"{source_ref}/orderLines/orderLine/{place}", common)

    def _common(self, order: JSON) -> dict[str, str | None]:
        """The fields that all lines of an order share."""
        sold_at = timestamps.from_milliseconds(at(order, "orderDate"))
        return {
            "retailer_id": self.retailer_id,
            "transaction_id": text(order, "purchaseOrderId"),
            "record_type": "sale",
            "status": "completed",
            "sold_at": sold_at,
            "business_date": timestamps.business_date(sold_at, self.zone),
            "customer_id": text(order, "customerEmailId"),
            "store_id": text(order, "shipNode", "id"),
            "store_name": text(order, "shipNode", "name"),
        }

    def _line(self, line: JSON, source_ref: str, common: dict[str, str | None]) -> SalesRecord:
        ordered = money.number(at(line, "orderLineQuantity", "amount"))
        kept = money.less(ordered, _cancelled_units(line))
        charges = _charges(line, times=ordered if self.charges_are_per_unit else Decimal(1))
        net = money.less(charges.gross, charges.discount)
        record = SalesRecord(
            **common,
            line_id=text(line, "lineNumber"),
            updated_at=timestamps.from_milliseconds(at(line, "statusDate")),
            product_id=text(line, "item", "sku"),
            product_name=text(line, "item", "productName"),
            quantity=money.plain(kept),
            unit_price=money.plain(money.unit_price(None, gross=charges.gross, quantity=ordered)),
            discount_amount=money.plain(money.share(charges.discount, kept, ordered)),
            tax_amount=money.plain(money.share(charges.tax, kept, ordered)),
            total_amount=money.plain(money.share(net, kept, ordered)),
            currency=_currency(line),
            source_ref=source_ref,
        )
        return cancelled(record) if _is_cancelled(line, kept) else record


def entries_of(answer: JSON) -> list[JSON] | None:
    """The orders or return orders of one page; None for a response that holds no list of either."""
    found = entries(answer, *_ORDERS)
    return entries(answer, _RETURNS) if found is None else found


def _statuses(line: JSON) -> list[JSON]:
    return entries(line, "orderLineStatuses", "orderLineStatus") or []


def _cancelled_units(line: JSON) -> Decimal | None:
    parts = [each for each in _statuses(line) if at(each, "status") == "Cancelled"]
    return money.total(money.number(at(each, "statusQuantity", "amount")) for each in parts)


def _is_cancelled(line: JSON, kept: Decimal | None) -> bool:
    """Whether all units are cancelled, by the numbers of units if known, else by the statuses alone."""
    names = {text(each, "status") for each in _statuses(line)}
    if kept is not None and kept.is_finite():
        return "Cancelled" in names and kept <= 0
    return names == {"Cancelled"}


def _product_charges(line: JSON) -> list[JSON] | None:
    charges = entries(line, "charges", "charge")
    return None if charges is None else [each for each in charges if at(each, "chargeType") == "PRODUCT"]


def _charges(line: JSON, *, times: Decimal | None) -> Charges:
    found = _product_charges(line)
    if not found or times is None:
        return Charges(None, None, None)
    discounts = [_amount(each) for each in found if _is_discount(each)]
    prices = [_amount(each) for each in found if not _is_discount(each)]
    taxes = [money.number(at(each, "tax", "taxAmount", "amount")) or money.ZERO for each in found]
    totals = (money.total(prices), money.total(map(money.size, discounts)), money.total(taxes))
    return Charges(*(None if each is None else each * times for each in totals))


def _amount(charge: JSON) -> Decimal | None:
    return money.number(at(charge, "chargeAmount", "amount"))


def _is_discount(charge: JSON) -> bool:
    """Whether the charge is a discount; by name too, since the spec shows no sign for SubscriptionDiscount."""
    amount = _amount(charge)
    is_negative = amount is not None and amount.is_finite() and amount < 0
    return is_negative or "discount" in (text(charge, "chargeName") or "").lower()


def _currency(line: JSON) -> str | None:
    return money.only(text(each, "chargeAmount", "currency") for each in _product_charges(line) or [])
