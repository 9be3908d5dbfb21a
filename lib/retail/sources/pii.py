"""Personal data removed from a response before it is written anywhere, and the pseudonym that stands for a customer.

Of a response only fields that the vendor's `fields.toml` knows keep their values (`retail.sources.fields`). A field
that nobody knows keeps its name, so that it is reported, and its value becomes the empty one of its type. In the texts
that are left, e-mail addresses, phone numbers and names are recognised, and replaced.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from retail.config.secrets import Secret
from retail.errors import ExtractError
from retail.outgoing_text import printable
from retail.sources.fields import Content, Place, places
from retail.sources.values.json_path import JSON, at, text

REMOVED: Final = "(e-mail address removed)"
REMOVED_PHONE: Final = "(phone number removed)"
REMOVED_NAME: Final = "(name removed)"
# With fewer bytes, who has the pseudonyms could try every pepper.
LEAST_PEPPER_BYTES: Final = 32

_E_MAIL: Final = re.compile(
    r"[^\s@\"'<>,;:()\[\]]{1,64}(?:@|%40)"
    r"(?:[^\s@\"'<>,;:.()\[\]/%]{1,63}\.){1,8}(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{2,59})(?![\w@])",
    re.IGNORECASE,
)
# In an identifier only what ends as addresses do: `TEE@M.Black`, `PK@2.in` and `AB@C.XL` are SKUs.
_COUNTRIES: Final = (
    "ae ai ar at au be bg br ca cc ch cl cn co cy cz de dk ee eg es eu fi fr gr hk hr hu id ie il in io is it jp ke kr"
    " lt lu lv me mt mx my ng nl no nz pe ph pk pl pt ro rs ru sa se sg si sk th tr tv tw ua uk us vn za"
)
_E_MAIL_IN_IDENTIFIER: Final = re.compile(
    r"[^\s@\"'<>,;:()\[\]]{1,64}(?:@|%40)(?:[^\s@\"'<>,;:.()\[\]/%]{1,63}\.){1,8}"
    r"(?:(?i:com|net|org|edu|gov|info|biz|name|example|invalid|test)"
    rf"|(?<=\w\w\.)(?<!\d\d\.)(?<!%40\w\.)(?:{_COUNTRIES.replace(' ', '|')}))(?![\w@])"
)
_DIGITS_OF_MARK: Final = 12
_ADDRESS_IN_IDENTIFIER: Final = "address in an identifier\n"
# A number that only a phone has: with the country's `+`, or as North America writes it. An order id (3-7-7 digits),
# a GTIN or an ISBN is neither.
_PHONE: Final = re.compile(
    r"(?<![\w+./-])(?:"
    r"\+\d{1,3}[ ()./-]{0,2}(?:\d[ ()./-]{0,2}){5,12}\d"
    r"|(?:1[-. ])?(?:\(\d{3}\)[ -]?|[2-9]\d{2}[-.])[2-9]\d{2}[-. ]\d{4}"
    r")(?![\w-]|[./]\d)"
)
# In a title, only what cannot be a part number or a set of sizes: a country with groups as phones have them, or
# digits after a word such as "call".
_NORTH_AMERICAN: Final = r"(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}"
_PHONE_IN_TITLE: Final = re.compile(
    r"(?<![\w+./-])(?:"
    r"\+(?:1\d{10}|7\d{10}|[2-689]\d{7,14})"
    rf"|\+1[-. ]?{_NORTH_AMERICAN}"
    # Eight to fifteen digits in all, and one kind of separator.
    r"|\+(?=(?:\D{0,2}\d){8,15}(?!\D?\d))(?:7|[2-689]\d{1,2})(?P<between>[-. ])(?:\(0?\d{1,4}\)|\d{1,4})"
    r"(?:(?P=between)\d{2,8}){1,5}"
    r"|\b(?i:call|phone|telephone|tel|mobile|fax|whatsapp|telefon)\b(?i:\s(?:me|us|at|on|number|is)){0,3}[.: ]{1,3}"
    rf"(?:\d{{7,15}}|\d{{3}}-\d{{4}}|(?:1[-. ])?{_NORTH_AMERICAN}|0\d{{1,4}}[ /-]\d{{3,8}}(?:[ -]\d{{2,8}})?)"
    r")(?![\w-]|[.,/]\d)"
)
# In free text, what else looks like a phone number counts as one too.
_LIKELY_PHONE: Final = re.compile(
    r"(?<![\w+./-])(?:"
    r"(?:1[-. ])?(?:\(\d{3}\)[ -]?|\d{3}[-. ])\d{3}[-. ]\d{4}"
    r"|0\d{1,4}[ /-]\d{3,4}[ -]?\d{3,4}"
    r")(?![\w-]|[./]\d)"
    r"|\b(?:tel|phone|call|mobile|cell|fax|text|whatsapp|telefon|handy)\b"
    r"(?:\s(?:me|us|at|on|no|number|is)){0,3}[.: ]{1,3}"
    r"\+?[(\d](?:[ ()./-]?\d[)]?){5,14}(?!\w)",
    re.IGNORECASE,
)
_WORD: Final = r"[^\W\d_a-z][^\W\d_]*(?:['’-][^\W\d_]+)*"
_NAMED: Final = re.compile(
    r"\b(?P<before>(?i:attn|attention|c/o|dear|mr|mrs|ms|miss|mx|dr|prof|herr|frau|mme|customer|buyer|recipient|"
    r"deliver to|ship to|hand to|signed by|regards|name)\b[.:,]{0,2}\s{1,3})"
    rf"(?P<name>{_WORD}\.?(?:\s(?:(?:van|von|der|den|de|da|di|du|la|le|al|bin)\s){{0,2}}{_WORD}\.?){{0,3}})"
)
_FULL_NAME: Final = re.compile(r"[^\W\d_][\w.'’-]*(?:\s+[^\W\d_][\w.'’-]*){1,4}")
# Shorter than any e-mail address, phone number or full name.
_SHORTEST: Final = 5
# A name that an API gives to a field; an e-mail address, a phone number or a person is none.
_FIELD_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,59}", re.ASCII)


class Pepper(Secret):
    """The secret under which customers get their pseudonyms; after rotations, with the peppers `earlier` than it.

    What was once stored is only known by its pseudonym. So a rotation makes each pseudonym from the one before it, and
    a customer who is fetched goes the same way, pepper by pepper.
    """

    __slots__ = ("earlier",)

    def __init__(self, value: str, earlier: tuple[Secret, ...] = ()) -> None:
        super().__init__(value)
        self.earlier = earlier


def pseudonym(pepper: Secret, retailer_id: str, customer: str) -> str:
    """HMAC-SHA256, in hex, of a customer's identifier under the secret pepper; see `next_pseudonym` for a rotated one.

    The retailer is part of it, so that nobody can be followed from one retailer to another. Case and surrounding blanks
    do not matter. With another pepper every customer becomes a new one.
    """
    earlier = pepper.earlier if isinstance(pepper, Pepper) else ()
    first, *later = (*earlier, pepper)
    name = _hmac(first, f"{retailer_id}\n{customer.strip().lower()}")
    if customer.startswith(_ADDRESS_IN_IDENTIFIER):
        return name  # a part of a key: a rotation must not make another line of it
    for each in later:
        name = next_pseudonym(each, retailer_id, name)
    return name


def next_pseudonym(pepper: Secret, retailer_id: str, before: str) -> str:
    """The pseudonym that stands for the customer of the pseudonym `before`, once the pepper was rotated to `pepper`.

    It begins with the number of rotations, `1-` after the first one, so that nothing is rotated twice.

    >>> next_pseudonym(Secret("x"), "r", "1-ab")[:2], generation("1-" + "a" * 64), generation("jo@example.com")
    ('2-', 1, None)
    """
    number, _, _ = before.rpartition("-")
    return f"{int(number or 0) + 1}-{_hmac(pepper, f'{retailer_id}{chr(10)}{before}')}"


_PSEUDONYM: Final = re.compile(r"(?:(?P<generation>[1-9][0-9]{0,5})-)?[0-9a-f]{64}", re.ASCII)


def generation(name: str) -> int | None:
    """How often the pseudonym was rotated; None if it is no pseudonym of ours."""
    found = _PSEUDONYM.fullmatch(name)
    return None if found is None else int(found["generation"] or 0)


def _hmac(pepper: Secret, message: str) -> str:
    return hmac.digest(pepper.reveal().encode(), message.encode("utf-8", "replace"), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Rules:
    """A vendor's personal data: fields removed wherever they appear, and the field that names the customer.

    `vendor` is the package whose `fields.toml` says what is kept; `kept` are paths that are kept besides, such as
    `receipts[].lines[].title`. `customer` is the field that names the customer, or an outer and an inner field: the
    value is replaced by the pseudonym, and anything else in an outer field is removed. `nobody` are values that name no
    one.
    """

    removed: frozenset[str]
    customer: tuple[str, ...]
    vendor: str = ""
    kept: tuple[str, ...] = ()
    nobody: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.vendor and not self.kept:
            raise ValueError(
                "these rules keep nothing of an answer, and every sale is lost: name the fields to keep in `kept`, "
                "such as receipts[].number, or the `vendor` package that has a fields.toml (docs/ADD_A_RETAILER.md)"
            )

    @property
    def places(self) -> Place:
        """What is kept of an answer, place by place."""
        return places(self.vendor, self.kept)


# Names, addresses, contacts, tax numbers, free text and parcel numbers of people. An address that a merchant
# ships from keeps name, city, region and country, because that is the store.
AMAZON: Final = Rules(
    vendor="retail.sources.amazon",
    removed=frozenset(
        "buyerName buyerCompanyName buyerPurchaseOrderNumber recipient deliveryAddress payment taxRegistrations"
        " taxInvoicing giftMessage cancellationRequest customizedUrl trackingNumber phone companyName addressLine1"
        " addressLine2 addressLine3 districtOrCounty municipality postalCode extendedFields".split()
    ),
    customer=("buyerEmail",),
)
WALMART: Final = Rules(
    vendor="retail.sources.walmart",
    removed=frozenset(
        "buyerId postalAddress phone pickupPersons pickUpBy returnCenterAddress refundComments trackingNumber"
        " trackingURL customerName labels eventDescription".split()
    ),
    customer=("customerEmailId",),
    # Walmart's placeholder for a missing address.
    nobody=frozenset({"nocxemail@walmartone.com"}),
    # The answer for nothing found, which is stored as an empty page.
    kept=("error[].code", "error[].field", "error[].severity", "errors[].code"),
)
_SHOPIFY_ORDERS: Final = ("data.orders.nodes[]", "data.order")
SHOPIFY: Final = Rules(
    vendor="retail.sources.shopify",
    removed=frozenset(
        "email phone firstName lastName displayName billingAddress shippingAddress displayAddress note clientIp"
        " customAttributes localizedFields".split()
    ),
    customer=("customer", "id"),
    # How pages hang together, and our own mark.
    kept=(
        *("extensions.cost.**", "data.orders.pageInfo.**", "data.ordersCount.**"),
        *(f"{order}.isDeleted" for order in _SHOPIFY_ORDERS),
        *(
            f"{order}.{list_}.pageInfo.**"
            for order in _SHOPIFY_ORDERS
            for list_ in (
                "lineItems",
                "agreements",
                "agreements.nodes[].sales",
                "agreements.edges[].node.sales",
            )
        ),
        "data.order.agreements.edges[].cursor",
    ),
)


def strip(answer: JSON, rules: Rules, *, name: Callable[[str], str]) -> JSON:
    """A copy of the response without personal data; `name` returns the pseudonym of a customer's identifier.

    Names of people that are removed from their own fields are removed from free text of the same answer too. Raises
    ExtractError if the answer has objects in lists, and the rules know none of its lists: its sales would be lost.
    """
    removed, customer = rules.removed, rules.customer[0]
    people = _any_of(_people(answer, rules))
    emptied, knows_a_list = list[str](), False

    def stripped(value: JSON, place: Place | None, key: str = "") -> JSON:
        nonlocal knows_a_list
        if isinstance(value, dict):
            return {} if place is None else dict(fields(value, place))
        if isinstance(value, list):
            if place is None:
                emptied.extend([key] if any(isinstance(held, dict) for held in value) else [])
                return []
            knows_a_list = True
            return [stripped(held, place) for held in value]
        if value is None or (place is not None and place.keeps):
            return recognised(value, place) if isinstance(value, str) and place is not None else value
        return _blank(value)

    def fields(value: dict[str, JSON], place: Place) -> Iterator[tuple[str, JSON]]:
        for key, held in value.items():
            if key in removed:
                continue
            if key == customer:
                yield key, _customer(held, rules, name=name)
                continue
            below = place.below(key)
            is_named = below is not None and below.is_named
            # A key that no entry names may be the customer's own.
            if (is_named or _FIELD_NAME.fullmatch(key)) and not (below is not None and below.is_removed):
                yield key, stripped(held, below, key)

    def recognised(words: str, place: Place) -> str:
        if len(words) < _SHORTEST:
            return words
        if place.content in (Content.IDENTIFIER, Content.CODE):
            return _identifier(words, name=name)
        if place.content is Content.TITLE:
            return title_without_contacts(words)
        return without_personal_data(words if people is None else people.sub(REMOVED_NAME, words))

    left = stripped(answer, rules.places)
    if emptied and not knows_a_list:
        raise ExtractError(
            f"of an answer whose list `{printable(emptied[0])}` has entries nothing would be kept; it was not stored",
            hint="name the list and its fields in `kept` of the service's rules (docs/ADD_A_RETAILER.md); if the "
            "service is not your own, the retailer's format has changed: report it with the log",
        )
    return left


def without_e_mail(words: str) -> str:
    """The text with every e-mail address replaced."""
    return _E_MAIL.sub(REMOVED, words) if "@" in words or "%40" in words else words


def _identifier(words: str, *, name: Callable[[str], str]) -> str:
    """The identifier with each e-mail address replaced by a mark of its own, so that two identifiers stay two.

    The mark is keyed by the first pepper, is nobody's pseudonym, and stays when the pepper is rotated.
    """

    def mark(address: re.Match[str]) -> str:
        keyed = name(f"{_ADDRESS_IN_IDENTIFIER}{address[0].encode('utf-8', 'replace').hex()}")
        return f"{REMOVED[:-1]} {keyed[-_DIGITS_OF_MARK:]})"

    return _E_MAIL_IN_IDENTIFIER.sub(mark, words) if "@" in words or "%40" in words else words


def title_without_contacts(words: str) -> str:
    """The title with e-mail addresses replaced, and with what can only be a phone number: a part number stays."""
    return _PHONE_IN_TITLE.sub(REMOVED_PHONE, without_e_mail(words))


def without_contacts(words: str) -> str:
    """The text with e-mail addresses and phone numbers replaced. Spares order ids and GTINs, not each part number."""
    return _PHONE.sub(REMOVED_PHONE, without_e_mail(words))


def without_personal_data(words: str) -> str:
    """The free text with e-mail addresses, phone numbers and names that are introduced as such replaced."""
    words = _LIKELY_PHONE.sub(REMOVED_PHONE, without_contacts(words))
    return _NAMED.sub(rf"\g<before>{REMOVED_NAME}", words)


def _blank(value: JSON) -> JSON:
    """The empty value of the same type, which says what the field holds and nothing of it."""
    if isinstance(value, bool):
        return False
    return 0 if isinstance(value, int | Decimal) else ""


def _people(answer: JSON, rules: Rules) -> list[str]:
    """The full names that stand in fields that are removed, longest first."""
    found = set[str]()

    def look(value: JSON, *, is_personal: bool) -> None:
        if isinstance(value, list):
            for held in value:
                look(held, is_personal=is_personal)
        elif isinstance(value, dict):
            if "firstName" in value and "lastName" in value:
                found.add(f"{value['firstName']} {value['lastName']}".strip())
            for key, held in value.items():
                if isinstance(held, dict | list):
                    look(held, is_personal=is_personal or key in rules.removed)
                elif isinstance(held, str) and (is_personal or key in rules.removed):
                    found.add(held.strip())

    look(answer, is_personal=False)
    return sorted(filter(_FULL_NAME.fullmatch, found), key=lambda each: (-len(each), each))


def _any_of(names: list[str]) -> re.Pattern[str] | None:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)") if names else None


def _customer(value: JSON, rules: Rules, *, name: Callable[[str], str]) -> JSON:
    inner = rules.customer[1:]
    # A gid puts the type before the number; the bare number is what REST returns as well.
    customer = (text(value if not inner else at(value, *inner)) or "").rsplit("/", 1)[-1].strip()
    named = name(customer) if customer and customer.lower() not in rules.nobody else None
    return {inner[0]: named} if inner and isinstance(value, dict) else named
