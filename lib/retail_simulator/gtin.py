"""Article numbers invented for the products, the same at every retailer that sells one."""

import hashlib

from retail_simulator.orders import Product


def gtin_of(sku: str) -> str:
    """A GTIN of 14 digits for a SKU: digits of its SHA-256, then the check digit of GS1.

    >>> gtin_of("1082185")
    '00760530996111'
    """
    hashed = hashlib.sha256(sku.encode()).hexdigest()
    digits = str(int(hashed, 16))[:13].rjust(13, "0")
    # One in three is a UPC of 12 digits and one in three an EAN of 13, with zeros before it.
    zeros = int(hashed[-1], 16) % 3
    body = "0" * zeros + digits[zeros:]
    return body + check_digit(body)


def shortest(gtin: str) -> tuple[str, str]:
    """The kind of the number and the number in its own length, as it stands on the package.

    >>> shortest("00760530996111")
    ('UPC', '760530996111')
    """
    if gtin.startswith("00"):
        return "UPC", gtin[2:]
    return ("EAN", gtin[1:]) if gtin.startswith("0") else ("GTIN", gtin)


def check_digit(body: str) -> str:
    """The digit that ends a GTIN: from the right, every other digit counts three times, the last one among them.

    >>> check_digit("400638133393")
    '1'
    """
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def in_catalogue(product: Product) -> bool:
    """Whether a retailer's catalogue knows the product: not where the data describes none, nor 1 of 16 others."""
    described = product.brand is not None or product.category is not None
    return described and hashlib.sha256(f"catalogue/{product.sku}".encode()).digest()[0] % 16 != 0
