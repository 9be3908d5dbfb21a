"""Maps a page of Amazon's, orders or transactions, to sales. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from retail.records import TAX_OPTION, SalesRecord
from retail.sources.amazon import finances
from retail.sources.service import Mapped, Noted, Skipped, cancelled, pointers, unreadable, without_lines
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text

# Where the pages list their entries: each is read by `records`.
LISTS: Final = (("orders",), *finances.LISTS)
PENDING: Final = ("PENDING", "PENDING_AVAILABILITY")
# UNFULFILLABLE is for orders from elsewhere, which are skipped as such; otherwise, nothing was sold.
NOT_SOLD: Final = ("CANCELLED", "UNFULFILLABLE")
# Marketplace ids as listed at developer-docs.amazon.com/sp-api/docs/marketplace-ids, by their currency.
MARKETPLACES: Final = {
    "USD": ("ATVPDKIKX0DER",),
    "CAD": ("A2EUQ1WTGCTBG2",),
    "MXN": ("A1AM78C64UM0Y8",),
    "BRL": ("A2Q3Y263D00KWC",),
    "GBP": ("A1F83G8C2ARO7P",),
    "EUR": (
        *("A28R8C7NBKEWEA", "A1RKKUPIHCS9HS", "A13V1IB3VIYZZH", "AMEN7PMS3EDWL"),
        *("A1805IZSGTT6HS", "A1PA6795UKMFR9", "APJ6JRA9NG5V4"),
    ),
    "SEK": ("A2NODRKZP88ZB9",),
    "ZAR": ("AE08WJ6YKNBMC",),
    "EGP": ("ARBP9OOSHTCHU",),
    "PLN": ("A1C3SOZRARQ6R3",),
    "TRY": ("A33AVAJ2PDY3EV",),
    "AED": ("A2VIGQ35RCS4UG",),
    "SAR": ("A17E79C6D8DWNP",),
    "INR": ("A21TJRUUN4KGV",),
    "SGD": ("A19VAU5U5O7RUS",),
    "AUD": ("A39IBJ37TRP1C6",),
    "JPY": ("A1VC38T7YXB528",),
}
# Goods sent instead of others, which stay paid with the original order.
_IN_PLACE_OF: Final = ("REPLACEMENT_ORIGINAL_ID", "EXCHANGE_ORIGINAL_ID")
_CURRENCY_OF: Final = {place: currency for currency, places in MARKETPLACES.items() for place in places}


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonSales:
    """Makes records of responses. A line's net total is its ITEM proceeds less the size of its DISCOUNT.

    In `taxed_marketplaces` prices include tax: it is subtracted from the total; unit price and discount are as shown
    there. `currency` applies to lines without any amount, as cancelled ones can be, in a marketplace that is not listed
    here. What was given back is on the pages of Finances (`retail.sources.amazon.finances`), for `marketplaces` alone.
    """

    MAPPING_VERSION: ClassVar[int] = 2

    retailer_id: str
    zone: ZoneInfo
    currency: str | None = None
    taxed_marketplaces: frozenset[str] = frozenset()
    marketplaces: frozenset[str] = frozenset()

    def records(self, answer: JSON, source: str) -> Iterator[Mapped]:
        """See Sales. A page holds orders or transactions."""
        for place, order in enumerate(orders(answer)):
            yield from self._order(order, f"{source}#/answer/orders/{place}")
        refunds = finances.AmazonRefunds(
            retailer_id=self.retailer_id, zone=self.zone, marketplaces=self.marketplaces
        )
        for pointer, transaction in finances.located(answer):
            yield from refunds.records(transaction, f"{source}#/answer{pointer}")

    def entries(self, answer: JSON) -> list[str] | None:
        """See ListsEntries."""
        found = pointers(answer, *LISTS)
        return [] if found is None and finances.is_without_list(answer) else found

    def _order(self, order: JSON, source_ref: str) -> Iterator[Mapped]:
        items = entries(order, "orderItems")
        if items is None:
            yield unreadable(self.retailer_id, source_ref, transaction_id=text(order, "orderId"))
            return
        if not items:
            head = replace(
                unreadable(self.retailer_id, source_ref, transaction_id=text(order, "orderId")),
                updated_at=timestamps.from_iso(at(order, "lastUpdatedTime")),
            )
            yield without_lines(head, is_cancelled=_is_not_sold(order))
        reason, common, packages = _skip_reason(order), self._common(order), _packages_by_item(order)
        for place, item in enumerate(items):
            package = packages.get(text(item, "orderItemId"))
            record = self._line(order, item, f"{source_ref}/orderItems/{place}", common, package)
            if reason:
                yield Skipped(reason, record)
            elif self._is_contradicted(order, item):
                yield Noted(TAX_OPTION, record)
            else:
                yield record

    def _common(self, order: JSON) -> dict[str, str | None]:
        """The fields that all lines of an order share."""
        sold_at = timestamps.from_iso(at(order, "createdTime"))
        return {
            "retailer_id": self.retailer_id,
            "transaction_id": text(order, "orderId"),
            "record_type": "sale",
            "status": "completed",
            "sold_at": sold_at,
            "updated_at": timestamps.from_iso(at(order, "lastUpdatedTime")),
            "business_date": timestamps.business_date(sold_at, self.zone),
            "customer_id": text(order, "buyer", "buyerEmail"),
        }

    def _line(
        self, order: JSON, item: JSON, source_ref: str, common: dict[str, str | None], package: JSON
    ) -> SalesRecord:
        quantity = _quantity(item)
        proceeds = entries(item, "proceeds", "breakdowns")
        gross = _gross(proceeds)
        discount = money.size(money.total(_of_goods(proceeds, "DISCOUNT")))
        if gross is None and _is_replacement(order):
            gross, discount = money.ZERO, money.ZERO
        tax = money.less(money.total(_of_goods(proceeds, "TAX")), _tax_saved(proceeds))
        is_taxed = _prices_include_tax(item, proceeds)
        if is_taxed is None:
            is_taxed = self._is_configured_as_taxed(order)
        in_price = money.size(tax) if is_taxed else money.ZERO
        price = at(item, "product", "price", "unitPrice", "amount")
        address = at(package, "shipFromAddress")
        store = text(address, "name")
        record = SalesRecord(
            **common,
            line_id=text(item, "orderItemId"),
            product_id=text(item, "product", "sellerSku"),
            product_name=text(item, "product", "title"),
            store_id=store or text(order, "salesChannel", "marketplaceId"),
            store_name=store or text(order, "salesChannel", "marketplaceName"),
            store_city=text(address, "city"),
            store_region=text(address, "stateOrRegion"),
            store_country=text(address, "countryCode"),
            quantity=money.plain(quantity),
            unit_price=money.plain(money.unit_price(price, gross=gross, quantity=quantity)),
            discount_amount=money.plain(discount),
            tax_amount=money.plain(tax),
            total_amount=money.plain(money.less(gross, discount, in_price)),
            currency=_currency(order, item, proceeds) or self.currency,
            source_ref=source_ref,
        )
        return cancelled(record) if _is_cancelled(order, item) else record

    def _is_configured_as_taxed(self, order: JSON) -> bool:
        return text(order, "salesChannel", "marketplaceId") in self.taxed_marketplaces

    def _is_contradicted(self, order: JSON, item: JSON) -> bool:
        """Whether the line's own total, which counts, says otherwise than the option of the taxed marketplaces."""
        if not self.taxed_marketplaces:  # nothing is said
            return False
        stated = _prices_include_tax(item, entries(item, "proceeds", "breakdowns"))
        return stated not in (None, self._is_configured_as_taxed(order)) and not _is_cancelled(order, item)


def orders(answer: JSON) -> list[JSON]:
    """The orders of one page."""
    return entries(answer, "orders") or []


def entries_of(answer: JSON) -> list[JSON]:
    """The orders or the transactions of one page."""
    return orders(answer) or finances.transactions(answer)


def _skip_reason(order: JSON) -> str | None:
    if at(order, "salesChannel", "channelName") == "NON_AMAZON":
        return "non_amazon"  # multi-channel fulfilment: sold elsewhere, shipped by Amazon
    if at(order, "fulfillment", "fulfillmentStatus") in PENDING:
        return "pending"  # payment is not authorised yet, and prices may be missing
    return None


def _quantity(item: JSON) -> Decimal | None:
    """The units ordered; if some were cancelled, those sent or still to be sent, which are all the proceeds cover."""
    if at(item, "cancellation", "cancellationExecution") is not None:
        left = [
            money.number(at(item, "fulfillment", name))
            for name in ("quantityFulfilled", "quantityUnfulfilled")
        ]
        if None not in left:
            return money.total(left)
    return money.number(at(item, "quantityOrdered"))


def _is_not_sold(order: JSON) -> bool:
    return at(order, "fulfillment", "fulfillmentStatus") in NOT_SOLD


def _is_cancelled(order: JSON, item: JSON) -> bool:
    if _is_not_sold(order):
        return True
    executed = at(item, "cancellation", "cancellationExecution") is not None
    left = [money.number(at(item, "fulfillment", f"quantity{name}")) for name in ("Fulfilled", "Unfulfilled")]
    return executed and not any(money.is_positive(each) for each in left)


def _is_replacement(order: JSON) -> bool:
    """Whether the order sends goods in the place of an earlier order's: without a price, it has units and no money."""
    associated = entries(order, "associatedOrders") or []
    return any(at(each, "associationType") in _IN_PLACE_OF for each in associated)


def _packages_by_item(order: JSON) -> dict[str | None, JSON]:
    """The first package that holds each item. Only orders that the merchant ships have packages."""
    found: dict[str | None, JSON] = {}
    for package in entries(order, "packages") or []:
        for held in entries(package, "packageItems") or []:
            found.setdefault(text(held, "orderItemId"), package)
    found.pop(None, None)
    return found


def _currency(order: JSON, item: JSON, proceeds: list[JSON] | None) -> str | None:
    parts = [*_of_type(proceeds, "ITEM"), *_of_type(proceeds, "DISCOUNT")]
    if parts:
        return money.only(text(part, "subtotal", "currencyCode") for part in parts)
    return (
        text(item, "proceeds", "proceedsTotal", "currencyCode")
        or text(item, "product", "price", "unitPrice", "currencyCode")
        or text(order, "proceeds", "grandTotal", "currencyCode")
        or _CURRENCY_OF.get(text(order, "salesChannel", "marketplaceId") or "")
    )


def _gross(proceeds: list[JSON] | None) -> Decimal | None:
    """The price of the goods of the line, all units of it; None if Amazon does not say."""
    parts = _of_type(proceeds, "ITEM")
    return money.total(_subtotal(part) for part in parts) if parts else None


def _of_goods(proceeds: list[JSON] | None, kind: str) -> list[Decimal | None] | None:
    """The amounts of TAX or DISCOUNT that belong to the goods: shipping and gift wrap have their own."""
    if proceeds is None:
        return None
    found: list[Decimal | None] = []
    for part in _of_type(proceeds, kind):
        details = entries(part, "detailedBreakdowns")
        goods = [each for each in details or [] if at(each, "subtype") == "ITEM"]
        found += [money.number(at(each, "value", "amount")) for each in goods]
        found += [] if details else [_subtotal(part)]
    return found


def _tax_saved(proceeds: list[JSON] | None) -> Decimal | None:
    """The part of TAX that discounts on the goods save: subtype DISCOUNT, whose sign no document gives.

    A subtotal that has not been reduced by it says that the other parts are already without it. Of a discount on goods
    and on shipping, the goods have their share.
    """
    saved = money.ZERO
    for part in _of_type(proceeds, "TAX"):
        details = entries(part, "detailedBreakdowns") or []
        sizes = {
            is_discount: money.total(
                money.number(at(each, "value", "amount"))
                for each in details
                if (at(each, "subtype") == "DISCOUNT") == is_discount
            )
            for is_discount in (True, False)
        }
        reduction = money.size(sizes[True])
        if reduction is None or not reduction or sizes[False] == _subtotal(part):
            continue
        discounts = _of_type(proceeds, "DISCOUNT")
        whole = money.size(money.total(_subtotal(each) for each in discounts))
        goods = money.size(money.total(_of_goods(proceeds, "DISCOUNT")))
        of_goods = money.share(reduction, goods, whole)
        saved += reduction if of_goods is None else of_goods
    return saved


def _prices_include_tax(item: JSON, proceeds: list[JSON] | None) -> bool | None:
    """Whether the line's own total counts its tax as part of the price; None if the figures do not tell."""
    stated = money.number(at(item, "proceeds", "proceedsTotal", "amount"))
    parts = {
        kind: money.total(_subtotal(part) for part in _of_type(proceeds, kind)) or money.ZERO
        for kind in {str(at(part, "type")) for part in proceeds or []}
    }
    taxes, discounts = parts.pop("TAX", money.ZERO), parts.pop("DISCOUNT", money.ZERO)
    without = money.less(money.total(parts.values()), money.size(discounts))
    if stated is None or without is None or not taxes.is_finite() or not taxes:
        return None
    return {without: True, without + taxes: False}.get(stated)


def _of_type(proceeds: list[JSON] | None, kind: str) -> list[JSON]:
    return [part for part in proceeds or [] if at(part, "type") == kind]


def _subtotal(part: JSON) -> Decimal | None:
    return money.number(at(part, "subtotal", "amount"))
