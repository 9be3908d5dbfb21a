"""Maps a Walmart purchase order to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import Skipped, cancelled, pointers, unreadable, without_lines
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.walmart.errors import is_nothing_found
from retail.sources.walmart.refunds import ORDERS_OF_RETURN, RETURNS_OF_ORDER
from retail.sources.walmart.returns import WalmartReturns

_ORDERS: Final = ("list", "elements", "order")
_RETURNS: Final = "returnOrders"
_CENT: Final = Decimal("0.01")
# Money back for shipping alone, which is in no line's net.
NO_GOODS_REFUNDED: Final = "refund_of_no_goods"
# A page of an earlier version, or an order without a customer's order: a return may explain it.
REFUND_WITHOUT_LOOKUP: Final = "refund_without_lookup"
# A seller can refund only what was shipped: before that, the money is Walmart's own discount to the buyer.
WALMART_DISCOUNT: Final = "walmart_discount"


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
    remaining units. `updated_at` is the line's `statusDate`, because an order has no time of change. Money that went
    back without a return is a row of its own, `<line>-refund`.
    """

    MAPPING_VERSION: ClassVar[int] = 2

    retailer_id: str
    zone: ZoneInfo
    charges_are_per_unit: bool = False

    def records(self, answer: JSON, source: str) -> Iterator[SalesRecord | Skipped]:
        """See Sales. A page holds orders or return orders."""
        for place, order in enumerate(entries(answer, *_ORDERS) or []):
            yield from self._order(order, f"{source}#/answer/{'/'.join(_ORDERS)}/{place}")
        for place, order in enumerate(entries(answer, _RETURNS) or []):
            of_order = f"{source}#/answer/{_RETURNS}/{place}"
            yield from self._returns.records(order, of_order)
            for number, sold in enumerate(entries(order, ORDERS_OF_RETURN) or []):
                for record in self._order(sold, f"{of_order}/{ORDERS_OF_RETURN}/{number}"):
                    if _is_refund(record):
                        yield record

    def entries(self, answer: JSON) -> list[str] | None:
        """See ListsEntries. Walmart's empty list is an error's answer."""
        found = pointers(answer, _ORDERS, (_RETURNS,))
        return [] if found is None and is_nothing_found(answer) else found

    def _order(self, order: JSON, source_ref: str) -> Iterator[SalesRecord | Skipped]:
        lines = entries(order, "orderLines", "orderLine")
        if lines is None:
            yield unreadable(self.retailer_id, source_ref, transaction_id=text(order, "purchaseOrderId"))
            return
        common = self._common(order)
        if not lines:
            # Each line has a state of its own, so nothing says that such an order is cancelled.
            number = text(order, "purchaseOrderId")
            yield without_lines(
                unreadable(self.retailer_id, source_ref, transaction_id=number), is_cancelled=False
            )
        for place, line in enumerate(lines):
            of_line = f"{source_ref}/orderLines/orderLine/{place}"
            record = self._line(line, of_line, common)
            yield record
            if at(line, "refund") is not None:
                yield self._refund(order, line, record, of_line)

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
        goods = _of_goods(entries(line, "charges", "charge"))
        charges = _charges(goods, times=ordered if self.charges_are_per_unit else Decimal(1))
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
            currency=_currency(goods),
            source_ref=source_ref,
        )
        return cancelled(record) if _is_cancelled(line, kept) else record

    @property
    def _returns(self) -> WalmartReturns:
        return WalmartReturns(retailer_id=self.retailer_id, zone=self.zone)

    def _refund(self, order: JSON, line: JSON, sale: SalesRecord, source_ref: str) -> SalesRecord | Skipped:
        """The money that went back without goods, on the day of the line's last change.

        The money of a return is the return's own row, and comes off here. A refund that returns explain whole is worth
        nothing, which ends an earlier row of it. So is that of a cancelled line, which had no money to give back.
        """
        refunds = entries(line, "refund", "refundCharges", "refundCharge")
        charges = _of_goods([at(each, "charge") for each in refunds or []])
        # Amounts are negative in the request, and in the answer's only example; a discount is known by its name.
        discount = money.total(money.size(_amount(each)) for each in charges if _is_called_discount(each))
        gross = money.total(money.size(_amount(each)) for each in charges if not _is_called_discount(each))
        returned = self._returned(order, sale)
        net = _left(money.less(gross, discount), returned, "total_amount")
        record = replace(
            sale,
            line_id=None if sale.line_id is None else f"{sale.line_id}-refund",
            record_type="refund",
            status="completed",
            sold_at=sale.updated_at,
            business_date=timestamps.business_date(sale.updated_at, self.zone),
            quantity="0",
            unit_price=None,
            discount_amount=money.plain(money.size(_left(discount, returned, "discount_amount"))),
            tax_amount=money.plain(_left(money.size(_tax(charges)), returned, "tax_amount")),
            total_amount=money.plain(net),
            currency=_currency(charges) or sale.currency,
            source_ref=f"{source_ref}/refund",
        )
        is_named = text(line, "returnOrderId") is not None
        if not charges:
            return Skipped(NO_GOODS_REFUNDED, record)
        if not (is_named or isinstance(at(order, RETURNS_OF_ORDER), list)):
            return Skipped(REFUND_WITHOUT_LOOKUP, record)
        if _waits_for_shipping(line):
            return Skipped(WALMART_DISCOUNT, record)
        is_explained = is_named or (bool(returned) and net == 0)
        return cancelled(record) if is_explained or sale.status == "cancelled" else record

    def _returned(self, order: JSON, sale: SalesRecord) -> list[SalesRecord]:
        """What came back of a sold line with the returns of the customer's order."""
        return [
            record
            for each in entries(order, RETURNS_OF_ORDER) or []
            for record in self._returns.returned_by(
                each, purchase_order=sale.transaction_id, number=sale.line_id
            )
        ]


def entries_of(answer: JSON) -> list[JSON] | None:
    """The orders or return orders of one page; None for a response that holds no list of either."""
    found = entries(answer, *_ORDERS)
    return entries(answer, _RETURNS) if found is None else found


def _statuses(line: JSON) -> list[JSON]:
    return entries(line, "orderLineStatuses", "orderLineStatus") or []


def _waits_for_shipping(line: JSON) -> bool:
    names = {text(each, "status") for each in _statuses(line)}
    return not names.isdisjoint({"Created", "Acknowledged"}) and names.isdisjoint({"Shipped", "Delivered"})


def _cancelled_units(line: JSON) -> Decimal | None:
    parts = [each for each in _statuses(line) if at(each, "status") == "Cancelled"]
    return money.total(money.number(at(each, "statusQuantity", "amount")) for each in parts)


def _is_cancelled(line: JSON, kept: Decimal | None) -> bool:
    """Whether all units are cancelled, by the numbers of units if known, else by the statuses alone."""
    names = {text(each, "status") for each in _statuses(line)}
    if kept is not None and kept.is_finite():
        return "Cancelled" in names and kept <= 0
    return names == {"Cancelled"}


def _is_refund(record: SalesRecord | Skipped) -> bool:
    return (record.record if isinstance(record, Skipped) else record).record_type == "refund"


def _left(refunded: Decimal | None, returned: list[SalesRecord], name: str) -> Decimal | None:
    """What is left of money that went back, less what came back with returns: negative, and 0 for less than a cent."""
    amounts = [money.number(getattr(record, name)) for record in returned]
    left = money.less(refunded, *(money.size(amount or money.ZERO) for amount in amounts))
    if left is None or left.is_nan():
        return left
    return -left if left >= _CENT else money.ZERO


def _of_goods(charges: list[JSON] | None) -> list[JSON]:
    return [each for each in charges or [] if at(each, "chargeType") == "PRODUCT"]


def _charges(found: list[JSON], *, times: Decimal | None) -> Charges:
    if not found or times is None:
        return Charges(None, None, None)
    discounts = [_amount(each) for each in found if _is_discount(each)]
    prices = [_amount(each) for each in found if not _is_discount(each)]
    totals = (money.total(prices), money.total(map(money.size, discounts)), _tax(found))
    return Charges(*(None if each is None else each * times for each in totals))


def _tax(charges: list[JSON]) -> Decimal | None:
    return money.total(money.number(at(each, "tax", "taxAmount", "amount")) or money.ZERO for each in charges)


def _amount(charge: JSON) -> Decimal | None:
    return money.number(at(charge, "chargeAmount", "amount"))


def _is_discount(charge: JSON) -> bool:
    """Whether the charge is a discount; by name too, since the spec shows no sign for SubscriptionDiscount."""
    amount = _amount(charge)
    is_negative = amount is not None and amount.is_finite() and amount < 0
    return is_negative or _is_called_discount(charge)


def _is_called_discount(charge: JSON) -> bool:
    return "discount" in (text(charge, "chargeName") or "").lower()


def _currency(charges: list[JSON]) -> str | None:
    return money.only(text(each, "chargeAmount", "currency") for each in charges)
