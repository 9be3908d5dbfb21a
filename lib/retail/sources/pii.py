"""Personal data removed from a response before it is written anywhere, and the pseudonym that stands for a customer."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from retail.config.secrets import Secret
from retail.sources.values.json_path import JSON, at, text

_E_MAIL: Final = re.compile(r"[^\s@\"'<>,;:]{1,64}@[^\s@\"'<>,;:]{1,255}\.[^\s@\"'<>,;:.]{2,63}")
REMOVED: Final = "(e-mail address removed)"


def pseudonym(pepper: Secret, retailer_id: str, customer: str) -> str:
    """HMAC-SHA256, in hex, of a customer's identifier under the secret pepper.

    The retailer is part of it, so that nobody can be followed from one retailer to another. Case and surrounding blanks
    do not matter. With another pepper every customer becomes a new one.
    """
    message = f"{retailer_id}\n{customer.strip().lower()}".encode("utf-8", "replace")
    return hmac.digest(pepper.reveal().encode(), message, "sha256").hex()


@dataclass(frozen=True, slots=True)
class Rules:
    """A retailer's personal data: fields removed wherever they appear, and the field that names the customer.

    `customer` is the field that names the customer, or an outer and an inner field: the value is replaced by the
    pseudonym, and anything else in an outer field is removed. `nobody` are values that name no one.
    """

    removed: frozenset[str]
    customer: tuple[str, ...]
    nobody: frozenset[str] = frozenset()


# Names, addresses, contacts, tax numbers, free text and parcel numbers of people. An address that a merchant
# ships from keeps name, city, region and country, because that is the store.
AMAZON: Final = Rules(
    removed=frozenset(
        "buyerName buyerCompanyName buyerPurchaseOrderNumber recipient deliveryAddress payment taxRegistrations"
        " taxInvoicing giftMessage cancellationRequest customizedUrl trackingNumber phone companyName addressLine1"
        " addressLine2 addressLine3 districtOrCounty municipality postalCode extendedFields".split()
    ),
    customer=("buyerEmail",),
)
WALMART: Final = Rules(
    removed=frozenset(
        "buyerId postalAddress phone pickupPersons pickUpBy returnCenterAddress refundComments trackingNumber"
        " trackingURL customerName labels eventDescription".split()
    ),
    customer=("customerEmailId",),
    # Walmart's placeholder for a missing address.
    nobody=frozenset({"nocxemail@walmartone.com"}),
)
SHOPIFY: Final = Rules(
    removed=frozenset(
        "email phone firstName lastName displayName billingAddress shippingAddress displayAddress note clientIp"
        " customAttributes localizedFields".split()
    ),
    customer=("customer", "id"),
)


def strip(answer: JSON, rules: Rules, *, name: Callable[[str], str]) -> JSON:
    """A copy of the response without personal data; `name` returns the pseudonym of a customer's identifier.

    Besides the fields of `rules`, every e-mail address in any text is replaced: retailers add fields unannounced.
    """
    removed, customer = rules.removed, rules.customer[0]

    def stripped(value: JSON) -> JSON:
        if isinstance(value, list):
            return [stripped(held) for held in value]
        if not isinstance(value, dict):
            return without_e_mail(value) if isinstance(value, str) else value
        kept: dict[str, JSON] = {}
        for key, held in value.items():
            if key in removed:
                continue
            if key == customer:
                kept[key] = _customer(held, rules, name=name)
            elif isinstance(held, str):  # most values: saves a call for each
                kept[key] = held if "@" not in held else without_e_mail(held)
            else:
                kept[key] = stripped(held) if isinstance(held, dict | list) else held
        return kept

    return stripped(answer)


def without_e_mail(words: str) -> str:
    """The text with every e-mail address replaced."""
    return _E_MAIL.sub(REMOVED, words) if "@" in words else words


def _customer(value: JSON, rules: Rules, *, name: Callable[[str], str]) -> JSON:
    inner = rules.customer[1:]
    # A gid puts the type before the number; the bare number is what REST returns as well.
    customer = (text(value if not inner else at(value, *inner)) or "").rsplit("/", 1)[-1].strip()
    named = name(customer) if customer and customer.lower() not in rules.nobody else None
    return {inner[0]: named} if inner and isinstance(value, dict) else named
