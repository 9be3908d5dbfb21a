"""Maps a transaction of Amazon's Finances v2024-06-19 to what it gives back of a sale. Pure: no network, no clock.

Orders v2026-01-01 shows no refund; Finances shows it with everything else that moves a seller's balance (models,
finances_2024-06-19.json).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from retail.records import SalesRecord
from retail.sources.cursors import next_cursor
from retail.sources.service import Skipped, unreadable
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text

PAYLOAD: Final = ("payload", "transactions")
# The model puts the list under `payload`; recorded answers have had it at the top.
LISTS: Final = (PAYLOAD, ("transactions",))
# Money that no item names goes to this product, as Shopify's order adjustments do.
ADJUSTMENT: Final = "adjustment"

# Reasons for which a transaction, or an item of it, is no row.
ORDER_PAYMENT: Final = "order_payment"  # the sale itself, known from its order
RELEASE: Final = "release"  # the second entry of an amount that was deferred
OTHER_MARKETPLACE: Final = "other_marketplace"
REIMBURSEMENT: Final = "reimbursement"  # paid by Amazon, not by a buyer
NO_SALE: Final = "fee_or_transfer"
NO_GOODS_REFUNDED: Final = "refund_of_no_goods"

# Types that give a buyer's money back. A chargeback arrives as Refund too (issue 4274 of the models).
_REFUNDS: Final = ("refund", "chargeback", "chargebackrefund", "guaranteeclaim", "atozguaranteerefund")
# Breakdowns that only group others. Fees have parts named like the buyer's own tax, so nothing else is opened.
_GROUPS: Final = ("sales", "expenses")
_OF_NO_GOODS: Final = ("shipping", "giftwrap")
# What Amazon withholds of a tax to hand it to the state; the buyer paid it all the same.
_WITHHELD: Final = ("marketplacefacilitator", "withh")


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What breakdowns say of goods: their charges and the tax inside of these, rebates, all tax. None: not readable."""

    charges: Decimal | None
    inside: Decimal | None = money.ZERO
    rebate: Decimal | None = money.ZERO
    tax: Decimal | None = money.ZERO

    @property
    def goods(self) -> Decimal | None:
        """The charges without tax."""
        return money.less(self.charges, self.inside)

    @property
    def net(self) -> Decimal | None:
        return money.total([self.goods, self.rebate])

    @property
    def is_nothing(self) -> bool:
        return self == _Amounts(money.ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonRefunds:
    """Makes records of transactions: each item whose goods were refunded is a row on the day it was posted.

    An item that names units is a `return` of them; money alone is a `refund`, or with a positive sum, as after a
    chargeback that was won, a sale of no units. Where only the transaction names the money, or the items name another
    sum, the rest is a row of the product `adjustment`. A deferred amount counts when it was deferred, not again when it
    is released.
    """

    retailer_id: str
    zone: ZoneInfo
    marketplaces: frozenset[str] = frozenset()

    def records(self, transaction: JSON, source_ref: str) -> Iterator[SalesRecord | Skipped]:
        """One record per refunded item, or one for the whole transaction. Never raises."""
        number = text(transaction, "transactionId")
        if number is None:
            yield unreadable(self.retailer_id, source_ref, transaction_id=_related(transaction, "ORDER_ID"))
            return
        head = self._head(transaction, source_ref)
        whole = _amounts(entries(transaction, "breakdowns"))
        items = entries(transaction, "items") or []
        of_items = [_amounts(entries(item, "breakdowns")) for item in items]
        itemized = money.total(each.charges for each in of_items)
        goods = whole.goods or money.total(each.goods for each in of_items)
        reason = self._skip_reason(transaction, goods)
        if reason is not None:
            yield Skipped(reason, replace(head, line_id=number, total_amount=money.plain(goods)))
            return
        rows = [
            _row(_described(head, line_id, item, f"{source_ref}/items/{place}"), amounts, _units(item))
            for place, (line_id, item, amounts) in enumerate(
                zip(_line_ids(number, items), items, of_items, strict=True)
            )
            if not amounts.is_nothing
        ]
        if not rows and len(items) == 1:
            line = _described(head, number, items[0], f"{source_ref}/items/0")
            rows = [] if whole.is_nothing else [_row(line, whole, _units(items[0]))]
        else:
            rows += self._rest(head, number, whole, itemized if rows else None)
        yield from rows
        if not rows:
            yield Skipped(NO_GOODS_REFUNDED, replace(head, line_id=number, total_amount="0"))

    def _rest(
        self, head: SalesRecord, number: str, whole: _Amounts, itemized: Decimal | None
    ) -> Iterator[SalesRecord]:
        """The goods' money that the transaction names and its items do not.

        Rebates and taxes are compared only where no item names anything: a transaction does not say which of them
        concern shipping.
        """
        rest = whole if itemized is None else _Amounts(money.less(whole.charges, itemized))
        if rest.is_nothing or (itemized is not None and not whole.charges):
            return
        line = replace(head, line_id=number, product_id=ADJUSTMENT, product_name="Order adjustment")
        yield _row(line, rest, None)

    def _head(self, transaction: JSON, source_ref: str) -> SalesRecord:
        """The fields that all rows of a transaction share."""
        posted = timestamps.from_iso(at(transaction, "postedDate"))
        store = text(transaction, "marketplaceDetails", "marketplaceName")
        return replace(
            unreadable(self.retailer_id, source_ref, transaction_id=_related(transaction, "ORDER_ID")),
            status="completed",
            record_type="refund",
            sold_at=posted,
            updated_at=posted,
            business_date=timestamps.business_date(posted, self.zone),
            # A store without a name would erase the name that the star has of it.
            store_id=None if store is None else text(transaction, "marketplaceDetails", "marketplaceId"),
            store_name=store,
            currency=text(transaction, "totalAmount", "currencyCode") or _currency(transaction),
        )

    def _skip_reason(self, transaction: JSON, goods: Decimal | None) -> str | None:
        kind = _plain(at(transaction, "transactionType"))
        place = text(transaction, "marketplaceDetails", "marketplaceId") or text(
            transaction, "sellingPartnerMetadata", "marketplaceId"
        )
        if place is not None and self.marketplaces and place not in self.marketplaces:
            return OTHER_MARKETPLACE
        if _is_release(transaction):
            return RELEASE
        if kind in _REFUNDS:
            return None
        if "reimbursement" in kind:
            return REIMBURSEMENT
        is_nothing = goods is not None and not goods
        if kind != "shipment" and (_related(transaction, "ORDER_ID") is None or is_nothing):
            return NO_SALE
        # Goods were paid back under another name, or paid.
        return ORDER_PAYMENT if kind == "shipment" or money.is_positive(goods) else None


def transactions(answer: JSON) -> list[JSON]:
    """The transactions of one page."""
    return next((found for path in LISTS if (found := entries(answer, *path)) is not None), [])


def is_without_list(answer: JSON) -> bool:
    """Whether this is a page of transactions that has no list: the model requires none."""
    payload = at(answer, "payload")
    return answer == {} or (isinstance(payload, dict) and payload.get("transactions") is None)


def located(answer: JSON) -> Iterator[tuple[str, JSON]]:
    """Each transaction of one page with its JSON pointer."""
    for path in LISTS:
        for place, transaction in enumerate(entries(answer, *path) or []):
            yield f"/{'/'.join(path)}/{place}", transaction


def next_token(answer: JSON, *, retailer_id: str) -> str | None:
    """The token of the next page, beside the list. Raises BadCursorError."""
    inside = next_cursor(answer, "payload", "nextToken", retailer_id=retailer_id)
    return inside or next_cursor(answer, "nextToken", retailer_id=retailer_id)


def _row(line: SalesRecord, amounts: _Amounts, units: Decimal | None) -> SalesRecord:
    """The line with its amounts; the sign is Amazon's, negative where money goes back."""
    net = amounts.net
    gives_goods_back = money.is_positive(units) and amounts.goods and not money.is_positive(net)
    returned = units if gives_goods_back else money.ZERO
    kind = "return" if returned else "sale" if money.is_positive(net) else "refund"
    return replace(
        line,
        record_type=kind,
        quantity=money.plain(money.less(money.ZERO, returned)),
        unit_price=money.plain(money.unit_price(None, gross=money.size(amounts.goods), quantity=returned)),
        discount_amount=money.plain(money.size(amounts.rebate)),
        tax_amount=money.plain(amounts.tax),
        total_amount=money.plain(net),
    )


def _described(head: SalesRecord, line_id: str, item: JSON, source_ref: str) -> SalesRecord:
    product = _product(item)
    return replace(
        head,
        line_id=line_id,
        product_id=text(product, "sku") or text(product, "asin"),
        product_name=text(item, "description"),
        source_ref=source_ref,
    )


def _amounts(breakdowns: list[JSON] | None) -> _Amounts:
    parts = list(_opened(breakdowns))
    charges = [each for each in parts if _kind(each) == "productcharges"]
    inside = [
        _amount(part)
        for each in charges
        for part in entries(each, "breakdowns") or []
        if "tax" in _kind(part)
    ]
    charged, taxed = money.total(map(_amount, charges)), money.total(inside)
    goods = money.less(charged, taxed)
    others = money.total(_amount(each) for each in parts if _kind(each).startswith(_OF_NO_GOODS))
    rebates = [
        money.ZERO if _is_of_others(each, others) else _of_goods(each, goods, others)
        for each in parts
        if _kind(each).startswith("promo")
    ]
    taxes = [_of_goods(each, goods, others) for each in parts if _kind(each) == "tax"]
    return _Amounts(charged, taxed, money.total(rebates), money.total([*taxes, *inside]))


def _opened(breakdowns: list[JSON] | None) -> Iterator[JSON]:
    """The breakdowns, groups replaced by what they hold. A refund can have its goods among the Expenses."""
    for each in breakdowns or []:
        if _kind(each) in _GROUPS:
            yield from _opened(entries(each, "breakdowns"))
        else:
            yield each


def _of_goods(breakdown: JSON, goods: Decimal | None, others: Decimal | None) -> Decimal | None:
    """The breakdown's amount without the parts that concern shipping, gift wrap or what Amazon withholds.

    If it is not broken down, it is shared between goods and the others.
    """
    amount = _amount(breakdown)
    if not entries(breakdown, "breakdowns"):
        return money.share(amount, goods, money.total([goods, others]))
    apart = [
        _amount(part)
        for part in entries(breakdown, "breakdowns") or []
        if any(name in _kind(part) for name in (*_OF_NO_GOODS, *_WITHHELD))
    ]
    return money.less(amount, *apart)


def _is_of_others(rebate: JSON, others: Decimal | None) -> bool:
    """Whether a rebate that is not broken down is for shipping and gift wrap: it is as much as they cost."""
    same = bool(others) and money.size(_amount(rebate)) == money.size(others)
    return same and not entries(rebate, "breakdowns")


def _kind(breakdown: JSON) -> str:
    return _plain(at(breakdown, "breakdownType"))


def _plain(name: JSON) -> str:
    """A type's name as letters only: the model writes `Product Charges`, answers have `ProductCharges`."""
    return "".join(letter for letter in str(name or "").lower() if letter.isalnum())


def _amount(breakdown: JSON) -> Decimal | None:
    return money.number(at(breakdown, "breakdownAmount", "currencyAmount"))


def _currency(transaction: JSON) -> str | None:
    """The currency that the breakdowns name, those of the items too; None for two."""
    lists = [transaction, *(entries(transaction, "items") or [])]
    parts = [part for each in lists for part in _opened(entries(each, "breakdowns"))]
    return money.only(text(part, "breakdownAmount", "currencyCode") for part in parts)


def _units(item: JSON) -> Decimal | None:
    return money.number(at(_product(item), "quantityShipped"))


def _product(item: JSON) -> JSON:
    contexts = entries(item, "contexts") or []
    return next((each for each in contexts if at(each, "contextType") == "ProductContext"), None)


def _related(transaction: JSON, name: str) -> str | None:
    for each in entries(transaction, "relatedIdentifiers") or []:
        if at(each, "relatedIdentifierName") == name:
            return text(each, "relatedIdentifierValue")
    return None


def _is_release(transaction: JSON) -> bool:
    """Whether this is the later entry of an amount that was deferred, and that counted when it was."""
    deferred = _related(transaction, "DEFERRED_TRANSACTION_ID")
    is_deferred = _plain(at(transaction, "transactionStatus")).startswith("deferred")
    return deferred not in (None, text(transaction, "transactionId")) and not is_deferred


def _line_ids(number: str, items: Sequence[JSON]) -> list[str]:
    """An id for each item: Amazon's own, or its place where Amazon names none, or one twice."""
    named = [_adjustment_item(item) for item in items]
    return [
        f"{number}-{name if name is not None and named.count(name) == 1 else place}"
        for place, name in enumerate(named, start=1)
    ]


def _adjustment_item(item: JSON) -> str | None:
    for each in entries(item, "relatedIdentifiers") or []:
        if at(each, "itemRelatedIdentifierName") == "ORDER_ADJUSTMENT_ITEM_ID":
            return text(each, "itemRelatedIdentifierValue")
    return None
