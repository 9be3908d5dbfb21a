"""Maps a return order of Walmart's `/v3/returns` to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import Skipped, cancelled, unreadable
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text

OPEN: Final = "open_return"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalmartReturns:
    """Makes records of return orders, each a row of its own on the day of the return.

    Units count once they are refunded (`refundedQty`); without that field, all units of a completed return count. Until
    then a return is skipped as open. Charges are per unit here, and so is their tax.
    """

    retailer_id: str
    zone: ZoneInfo

    def records(self, order: JSON, source_ref: str) -> Iterator[SalesRecord | Skipped]:
        """One record per line of one return order. Never raises."""
        lines = entries(order, "returnOrderLines")
        if lines is None:
            yield unreadable(self.retailer_id, source_ref, line_id=text(order, "returnOrderId"))
            return
        for place, line in enumerate(lines):
            record = self._line(order, line, f"{source_ref}/returnOrderLines/{place}")
            if at(line, "returnCancellationReason") is not None:
                yield cancelled(record)
            elif _units(order, line)[0] == 0:
                yield Skipped(OPEN, record)
            else:
                yield record

    def _line(self, order: JSON, line: JSON, source_ref: str) -> SalesRecord:
        returned_at = timestamps.from_iso(at(order, "returnOrderDate"))
        units, refunded = _units(order, line)
        charges = [each for each in entries(line, "charges") or [] if _is_of_goods(each)]
        prices = [_per_unit(each) for each in charges if at(each, "isDiscount") is not True]
        discounts = [_per_unit(each) for each in charges if at(each, "isDiscount") is True]
        price = money.total(prices) if prices else None
        discount = money.total(discounts)
        return SalesRecord(
            retailer_id=self.retailer_id,
            transaction_id=text(line, "purchaseOrderId"),
            line_id=_line_id(order, line),
            record_type="return",
            status="completed",
            sold_at=returned_at,
            updated_at=_updated_at(line) or returned_at,
            business_date=timestamps.business_date(returned_at, self.zone),
            product_id=text(line, "item", "sku"),
            product_name=text(line, "item", "productName"),
            customer_id=text(order, "customerEmailId"),
            quantity=money.plain(_given_back(units, Decimal(1))),
            unit_price=money.plain(price),
            discount_amount=money.plain(money.size(_given_back(refunded, discount))),
            tax_amount=money.plain(_given_back(refunded, _tax(charges))),
            total_amount=money.plain(_given_back(refunded, money.less(price, discount))),
            currency=money.only(text(each, "chargePerUnit", "currencyUnit") for each in charges),
            source_ref=source_ref,
        )


def _updated_at(line: JSON) -> str | None:
    """The line's last change: of its status, or of the tracking of some of its units."""
    tracked = entries(line, "currentTrackingStatuses") or []
    times = [timestamps.from_iso(at(each, "statusTime")) for each in (line, *tracked)]
    return max((time for time in times if timestamps.is_normal(time)), default=times[0], key=str)


def _units(order: JSON, line: JSON) -> tuple[Decimal | None, Decimal | None]:
    """Units that came back for good, and those of them that were refunded."""
    wanted = money.number(at(line, "quantity", "measurementValue"))
    refunded = money.number(at(line, "refundedQty"))
    completed = text(line, "status") == "COMPLETED"
    if text(order, "returnType") == "REPLACEMENT" and not money.is_positive(refunded):
        # Another piece was sent instead, in an order of its own with the price 0.
        return (wanted if completed else money.ZERO), money.ZERO
    if refunded is not None:
        return refunded, refunded
    return (wanted, wanted) if completed else (money.ZERO, money.ZERO)


def _line_id(order: JSON, line: JSON) -> str | None:
    """The id of the return's line, not of the line that was sold: a line can come back twice."""
    number, of_order = text(line, "returnOrderLineNumber"), text(order, "returnOrderId")
    return None if number is None or of_order is None else f"{of_order}-{number}"


def _is_of_goods(charge: JSON) -> bool:
    return at(charge, "chargeCategory") == "PRODUCT" and at(charge, "isBillable") is not False


def _per_unit(charge: JSON) -> Decimal | None:
    # The spec shows no sign; elsewhere Walmart writes refunds as negative.
    return money.size(money.number(at(charge, "chargePerUnit", "currencyAmount")))


def _tax(charges: list[JSON]) -> Decimal | None:
    taxes = [tax for charge in charges for tax in entries(charge, "tax") or []]
    return money.total(
        money.size(money.number(at(tax, "taxPerUnit", "currencyAmount")) or money.ZERO) for tax in taxes
    )


def _given_back(units: Decimal | None, amount: Decimal | None) -> Decimal | None:
    return None if units is None or amount is None else -(units * amount)
