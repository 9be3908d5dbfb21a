"""Global Trade Item Numbers as text: 14 digits with a valid check digit (GS1 General Specifications, 7.9)."""

from __future__ import annotations

from typing import Final

_LENGTHS: Final = (8, 12, 13, 14)


def gtin14(value: str | None) -> str | None:
    """The number as a GTIN-14; None if it is no GTIN-8, UPC, EAN or GTIN-14, or has a wrong check digit.

    >>> gtin14("036000291452"), gtin14("4006381333931"), gtin14("036000291453")
    ('00036000291452', '04006381333931', None)
    """
    digits = (value or "").strip()
    if not digits.isascii() or not digits.isdecimal() or len(digits) not in _LENGTHS or not int(digits):
        return None
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits[-2::-1]))
    return digits.zfill(14) if (weighted + int(digits[-1])) % 10 == 0 else None
