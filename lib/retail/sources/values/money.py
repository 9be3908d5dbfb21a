"""Exact arithmetic on the retailers' amounts. None: not sent. NaN: sent, but not a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Final

from retail.sources.values.json_path import JSON

ZERO: Final = Decimal(0)
NAN: Final = Decimal("NaN")
FOUR_PLACES: Final = Decimal("0.0001")
_WIDE: Final = Context(prec=200)
# Decimal computes with 28 digits; no amount or quantity of a sale comes near them.
_MOST_DIGITS: Final = 24
# Longer text is not even looked at.
_LONGEST: Final = 100
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def number(value: JSON) -> Decimal | None:
    """The number that `value` is or spells; None if nothing was sent, NaN if it is not a number.

    >>> number("19.99"), number(None), number("free")
    (Decimal('19.99'), None, Decimal('NaN'))
    """
    if isinstance(value, str):
        return _spelt(value) if len(value) <= _LONGEST else NAN if value.strip() else None
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and _is_reasonable(value) else NAN


def plain(value: Decimal | None) -> str | None:
    """Decimal text without an exponent, a negative zero, or zeros after the third place.

    >>> plain(Decimal("1E+2")), plain(Decimal("37.50")), plain(Decimal("2.00000"))
    ('100', '37.50', '2')
    """
    if value is None or value.is_nan():
        return None if value is None else "NaN"
    digits = format(value + ZERO, "f")
    _, _, places = digits.partition(".")
    return digits.rstrip("0").rstrip(".") if len(places) > 3 else digits


def total(values: Iterable[Decimal | None] | None) -> Decimal | None:
    """The sum; None if there is no list, or if one of its amounts is missing.

    >>> total([Decimal("1.10"), Decimal("-0.10")]), total([]), total([Decimal(1), None])
    (Decimal('1.00'), Decimal('0'), None)
    """
    if values is None:
        return None
    result = ZERO
    for value in values:
        if value is None:
            return None
        result += value
    return result


def less(amount: Decimal | None, *taken: Decimal | None) -> Decimal | None:
    """`amount` minus everything that is `taken` off; None if any of them is None."""
    return total([amount, *(None if each is None else -each for each in taken)])


def size(amount: Decimal | None) -> Decimal | None:
    """The amount without its sign, because the retailers do not agree on the sign of a discount."""
    return None if amount is None else abs(amount)


def is_positive(value: Decimal | None) -> bool:
    """False for None and NaN too."""
    return value is not None and not value.is_nan() and value > 0


def share(amount: Decimal | None, part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """`amount` × part / whole, rounded half up to four places if it does not come out even.

    >>> share(Decimal("37.50"), Decimal(2), Decimal(3)), share(Decimal(10), Decimal(2), Decimal(3))
    (Decimal('25.0000'), Decimal('6.6667'))
    """
    if amount is None or part is None or whole is None:
        return None
    return amount if part == whole or not whole else _four_places(amount * part / whole)


def unit_price(given: JSON, *, gross: Decimal | None, quantity: Decimal | None) -> Decimal | None:
    """The retailer's own unit price if it is exact, else gross/quantity to four places.

    None if the quantity is 0, or if either is unknown.
    """
    if gross is None or quantity is None or not gross.is_finite() or not quantity.is_finite() or not quantity:
        return None
    own = number(given)
    return own if own is not None and own * quantity == gross else _four_places(gross / quantity)


def only(currencies: Iterable[str | None]) -> str | None:
    """The currency that all of them name; None for two, which are never summed."""
    named = set(currencies) - {None}
    return named.pop() if len(named) == 1 else None


@lru_cache(maxsize=4096)
def _spelt(words: str) -> Decimal | None:
    """Cached, because the same prices and quantities occur again and again."""
    digits = words.strip()
    if not digits:
        return None
    value = Decimal(digits) if _NUMBER.fullmatch(digits) else NAN
    return value if _is_reasonable(value) else NAN


def _four_places(value: Decimal) -> Decimal:
    return value.quantize(FOUR_PLACES, ROUND_HALF_UP, _WIDE) if value.is_finite() else value


def _is_reasonable(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - only NaN and infinity have a letter here
    return len(digits) <= _MOST_DIGITS and abs(exponent) <= _MOST_DIGITS
