"""Maps a return order of Walmart's `/v3/returns` to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.service import NO_LINES, Skipped, cancelled, unreadable
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
        if not lines:
            empty = unreadable(self.retailer_id, source_ref, line_id=text(order, "returnOrderId"))
            yield Skipped(NO_LINES, empty)
        for place, line in enumerate(lines):
            record = self._line(order, line, f"{source_ref}/returnOrderLines/{place}")
            if _is_called_off(line):
                yield cancelled(record)
            elif _units(order, line)[0] == 0:
                yield Skipped(OPEN, record)
            else:
                yield record

    def returned_by(
        self, order: JSON, *, purchase_order: str | None, number: str | None
    ) -> Iterator[SalesRecord]:
        """The records of what one return order brings, or will bring, back of a line that was sold."""
        for line in entries(order, "returnOrderLines") or []:
            of_line = (text(line, "purchaseOrderId"), text(line, "purchaseOrderLineNumber"))
            if not isinstance(line, dict) or of_line != (purchase_order, number) or _is_called_off(line):
                continue
            will_refund = _units(order, line)[0] == 0 and text(order, "returnType") != "REPLACEMENT"
            yield self._line(order, line | {"refundedQty": _wanted(line)} if will_refund else line, "")

    def _line(self, order: JSON, line: JSON, source_ref: str) -> SalesRecord:
        returned_at = timestamps.from_iso(at(order, "returnOrderDate"))
        units, refunded = _units(order, line)
        charges = [each for each in entries(line, "charges") or [] if _is_of_goods(each)]
        prices = [each for each in charges if at(each, "isDiscount") is not True]
        discounts = [each for each in charges if at(each, "isDiscount") is True]
        price = money.total(map(_per_unit, prices)) if prices else None
        discount = money.total(map(_per_unit, discounts))
        is_whole = refunded is not None and refunded == _wanted(line)
        taken_off = _given_back(refunded, discount, _excess(discounts) if is_whole else money.ZERO)
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
            quantity=money.plain(_given_back(units, Decimal(1), money.ZERO)),
            unit_price=money.plain(price),
            discount_amount=money.plain(money.size(taken_off)),
            tax_amount=money.plain(
                _given_back(refunded, _tax(charges), _excess_tax(charges) if is_whole else money.ZERO)
            ),
            total_amount=money.plain(
                money.less(
                    _given_back(refunded, price, _excess(prices) if is_whole else money.ZERO), taken_off
                )
            ),
            currency=money.only(text(each, "chargePerUnit", "currencyUnit") for each in charges),
            source_ref=source_ref,
        )


def is_over(order: JSON) -> bool:
    """Whether a line of the return order came to its end: completed, or called off."""
    lines = entries(order, "returnOrderLines") or []
    return any(_is_called_off(line) or _units(order, line)[0] != 0 for line in lines)


def _is_called_off(line: JSON) -> bool:
    """Whether the return ended without goods or money: COMPLETED stands for that as well; the last event shows it."""
    if at(line, "returnCancellationReason") is not None:
        return True
    if money.is_positive(money.number(at(line, "refundedQty"))):
        return False
    events = entries(line, "returnTrackingDetail") or []
    last = max(events, key=_place_of_event, default=None)
    return at(last, "eventTag") == "RETURN_CANCELLED"


def _place_of_event(event: JSON) -> tuple[Decimal, str]:
    """By its number, and by its time where numbers are missing or equal."""
    number = money.number(at(event, "sequenceNo"))
    return (number if number is not None and number.is_finite() else money.ZERO), text(
        event, "eventTime"
    ) or ""


def _updated_at(line: JSON) -> str | None:
    """The line's last change: of its status, or of the tracking of some of its units."""
    tracked = entries(line, "currentTrackingStatuses") or []
    times = [timestamps.from_iso(at(each, "statusTime")) for each in (line, *tracked)]
    return max((time for time in times if timestamps.is_normal(time)), default=times[0], key=str)


def _units(order: JSON, line: JSON) -> tuple[Decimal | None, Decimal | None]:
    """Units that came back for good, and those of them that were refunded."""
    refunded = money.number(at(line, "refundedQty"))
    completed = _completed_units(line)
    if text(order, "returnType") == "REPLACEMENT" and not money.is_positive(refunded):
        # Another piece was sent instead, in an order of its own with the price 0.
        return completed, money.ZERO
    return (completed, completed) if refunded is None else (refunded, refunded)


def _completed_units(line: JSON) -> Decimal | None:
    """The units whose return is completed: by their own statuses if these cover all units, else by the line's."""
    wanted = _wanted(line)
    tracked = [
        (text(each, "status"), money.number(at(each, "quantity", "measurementValue")))
        for each in entries(line, "currentTrackingStatuses") or []
    ]
    if tracked and (money.total(units for _, units in tracked) == wanted or text(line, "status") is None):
        return money.total(units for status, units in tracked if status == "COMPLETED")
    return wanted if text(line, "status") == "COMPLETED" else money.ZERO


def _wanted(line: JSON) -> Decimal | None:
    return money.number(at(line, "quantity", "measurementValue"))


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


def _excess(charges: list[JSON]) -> Decimal | None:
    """What is left over when the charges of all units are divided among them: the last penny, once a line."""
    return money.total(
        money.size(money.number(at(each, "excessCharge", "currencyAmount")) or money.ZERO) for each in charges
    )


def _excess_tax(charges: list[JSON]) -> Decimal | None:
    taxes = [tax for charge in charges for tax in entries(charge, "tax") or []]
    return money.total(
        money.size(money.number(at(tax, "excessTax", "currencyAmount")) or money.ZERO) for tax in taxes
    )


def _given_back(units: Decimal | None, amount: Decimal | None, once: Decimal | None) -> Decimal | None:
    """The amount of all units and what comes once a line, negative."""
    if units is None or amount is None or once is None:
        return None
    return -(units * amount + (once if units else money.ZERO))
