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

    Some shops have the tax of the whole order on one line. Its rates show it: they explain less than that. The order's
    tax is then spread over its taxable lines by their amounts after discount, and the sum stays as it is.
    """
    taxes = [money.total(_each(line, "taxLines", "priceSet")) for line in lines]
    is_taxed = [at(line, "taxable") is not False and at(line, "isGiftCard") is not True for line in lines]
    taxed = [line for line, taxable in zip(lines, is_taxed, strict=True) if taxable]
    amounts = [_amount(line) for line in taxed]
    whole, order_tax = money.total(amounts), money.total(taxes)
    bears_the_order_s = [
        _is_of_the_order(line, tax, prices_include_tax) for line, tax in zip(lines, taxes, strict=True)
    ]
    if (
        whole is None
        or order_tax is None
        or not whole.is_finite()
        or not whole
        or not any(bears_the_order_s)
        or all(entries(line, "taxLines") for line in taxed)
    ):
        return taxes
    spread = [money.share(order_tax, amount, whole) for amount in amounts]
    spread[-1] = money.less(order_tax, *spread[:-1])
    shares = iter(spread)
    return [next(shares) if taxable else money.ZERO for taxable in is_taxed]


def _is_of_the_order(line: JSON, tax: Decimal | None, prices_include_tax: bool) -> bool:
    """Whether the line has more tax than its rates explain, each rounded to the cent, or to the yen."""
    amount, parts = _amount(line), entries(line, "taxLines") or []
    rate = money.total(money.number(at(each, "rate")) for each in parts)
    if tax is None or amount is None or rate is None or not (tax + amount + rate).is_finite() or not rate:
        return False
    explained = amount * rate / (1 + rate) if prices_include_tax else amount * rate
    currency = text(line, "originalTotalSet", "shopMoney", "currencyCode")
    smallest = Decimal(1) if currency in _WITHOUT_CENTS else _CENT
    return tax > explained + smallest * len(parts)


def _amount(line: JSON) -> Decimal | None:
    return money.less(shop_money(line, "originalTotalSet"), money.size(discount_of(line)))


def _each(line: JSON, listed: str, name: str) -> list[Decimal | None] | None:
    parts = entries(line, listed)
    return None if parts is None else [shop_money(part, name) for part in parts]
