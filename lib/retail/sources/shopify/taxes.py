"""The tax of each line of an order. Pure: no network, no clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from retail.sources.shopify.nodes import shop_money
from retail.sources.values import money
from retail.sources.values.json_path import JSON, at, entries, text

_CENT: Final = Decimal("0.01")
# Currencies without a minor unit (ISO 4217, list one).
_WITHOUT_CENTS: Final = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())


def discount_of(line: JSON) -> Decimal | None:
    """The discounts of a line, whatever their sign; None if Shopify does not say."""
    return money.total(_each(line, "discountAllocations", "allocatedAmountSet"))


def taxes_of(lines: list[JSON], *, prices_include_tax: bool) -> list[Decimal | None]:
    """The tax of each line, in the order of the lines.

    Some shops have the tax of the whole order on one line: its rates explain that of all taxable lines together, and
    less for the line itself. The order's tax is then spread over its taxable lines by their amounts after discount, and
    the sum stays as it is.
    """
    taxes = [money.total(_each(line, "taxLines", "priceSet")) for line in lines]
    # Pages of an earlier version do not say which lines are taxable, and are read as that version read them.
    is_taxed = [at(line, "taxable") is True and at(line, "isGiftCard") is not True for line in lines]
    taxed = [line for line, taxable in zip(lines, is_taxed, strict=True) if taxable]
    bearing = [line for line in lines if entries(line, "taxLines")]
    amounts = [_amount(line) for line in taxed]
    whole, order_tax = money.total(amounts), money.total(taxes)
    if len(bearing) != 1 or len(taxed) < 2 or whole is None or order_tax is None:
        return taxes
    explained = _explained(bearing[0], whole, prices_include_tax=prices_include_tax)
    own = _explained(bearing[0], _amount(bearing[0]), prices_include_tax=prices_include_tax)
    if explained is None or own is None or not order_tax.is_finite():
        return taxes
    currency = text(bearing[0], "originalTotalSet", "shopMoney", "currencyCode")
    smallest = Decimal(1) if currency in _WITHOUT_CENTS else _CENT
    rounding = smallest * len(taxed) * len(entries(bearing[0], "taxLines") or [])
    if abs(order_tax - explained) > rounding or order_tax <= own + smallest:
        return taxes
    spread = [money.share(order_tax, amount, whole) for amount in amounts]
    spread[-1] = money.less(order_tax, *spread[:-1])
    shares = iter(spread)
    return [next(shares) if taxable else money.ZERO for taxable in is_taxed]


def _explained(line: JSON, amount: Decimal | None, *, prices_include_tax: bool) -> Decimal | None:
    """The tax on an amount at the line's rates; None if one of them is no rate."""
    rate = money.total(money.number(at(each, "rate")) for each in entries(line, "taxLines") or [])
    if amount is None or not amount.is_finite() or not money.is_positive(rate) or rate is None:
        return None
    return amount * rate / (1 + rate) if prices_include_tax else amount * rate


def _amount(line: JSON) -> Decimal | None:
    return money.less(shop_money(line, "originalTotalSet"), money.size(discount_of(line)))


def _each(line: JSON, listed: str, name: str) -> list[Decimal | None] | None:
    parts = entries(line, listed)
    return None if parts is None else [shop_money(part, name) for part in parts]
