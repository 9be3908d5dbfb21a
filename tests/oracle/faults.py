"""What spoils a line of a history, or makes it strange: a line at least for each row rule and refusal of the schema.

Where a rule has a limit, a line stands on either side of it.
"""

from __future__ import annotations

from tests.oracle.fields import FIELDS

# Values in the place of a line's own, and how many characters of it are lost at its end.
Fault = tuple[dict[str, str | None], int]

_SALE = {"record_type": "sale", "status": "completed"}
_RETURN = {"record_type": "return", "status": "completed"}
_REFUND = {"record_type": "refund", "status": "completed"}
_PLAIN = {"unit_price": None, "discount_amount": None, "tax_amount": None}

_EMPTY: list[dict[str, str | None]] = [
    {field.name: nothing} for field in FIELDS if field.required for nothing in (None, "")
]
_MISSING: list[dict[str, str | None]] = [
    *_EMPTY,
    {"transaction_id": "", "product_id": None, "tax_amount": "-1"},
    {"currency": "", **_RETURN, "quantity": "-1", "total_amount": "-3"},
]

_ILL_TYPED: list[dict[str, str | None]] = [{field.name: text} for field in FIELDS for text in field.bad]
# The longest key that is taken, and one that is a byte longer; a letter may have several bytes. A control character is
# taken, but for NUL.
_LONG: list[dict[str, str | None]] = [
    {field.name: text}
    for field in FIELDS
    if field.is_key
    for text in ("k" * 1000, "\u00e9" * 500, "k" * 1001, "k\x00", "\x01")
]
_BAD: list[dict[str, str | None]] = [
    *_ILL_TYPED,
    *_LONG,
    {"total_amount": "1e3", "sold_at": "yesterday"},
    {"retailer_id": "retailer_3"},
    {"noted": "two lines with one key"},
    {
        "noted": "two lines with one key; updated_at was in the future; "
        "the line's total contradicts the option that says whether prices include tax",
        "currency": None,
    },
]

_AGAINST_A_RULE: list[dict[str, str | None]] = [
    {"record_type": "exchange"},
    {"status": "shipped"},
    {**_SALE, "quantity": "-0.001"},
    {**_SALE, "total_amount": "-0.0001"},
    {**_RETURN, "quantity": "0.001", "total_amount": "-3"},
    {**_RETURN, "quantity": "-1", "total_amount": "0.0001"},
    {**_REFUND, "quantity": "0", "total_amount": "3"},
    {**_REFUND, "quantity": "-1", "total_amount": "-3"},
    {"status": "cancelled", "quantity": "3", "total_amount": "0"},
    {"status": "cancelled", "quantity": "0", "total_amount": "3"},
    {"discount_amount": "-0.0001"},
    {**_SALE, "tax_amount": "-0.0001"},
    {"currency": "usd"},
    {"currency": "USD\n"},
    {"currency": "AUSD"},
    {"currency": "USDx"},
    {"currency": "US"},
    {"business_date": "1989-12-31", "sold_at": "1989-12-31T20:00:00.000000Z"},
    {"business_date": "2100-01-01", "sold_at": "2100-01-01T20:00:00.000000Z"},
    # The model knows no retail calendar of these years: the last good days are in a line refused for something else.
    {"business_date": "1990-01-01", "sold_at": "1990-01-01T20:00:00.000000Z", "currency": None},
    {"business_date": "2099-12-31", "sold_at": "2099-12-31T20:00:00.000000Z", "currency": None},
    {"business_date": "2017-01-05", "sold_at": "2017-01-07T00:00:00.000000Z"},
    {"business_date": "2017-01-05", "sold_at": "2017-01-03T23:59:59.999999Z"},
]

# Each of them stops its run.
CRITICAL: list[Fault] = [
    ({"customer_id": "jane@example.com"}, 0),
    ({"customer_id": "jane@example.com", "currency": None}, 0),
]

_WARNED: list[dict[str, str | None]] = [
    {"business_date": "2017-01-08", "sold_at": "2017-01-08T20:00:00.000000Z"},
    {**_SALE, **_PLAIN, "quantity": "0", "total_amount": "3"},
    {**_SALE, **_PLAIN, "quantity": "0", "total_amount": "0"},
    {**_SALE, **_PLAIN, "quantity": "0.001", "total_amount": "0"},
    {**_SALE, "quantity": "0", "unit_price": "5.00", "discount_amount": "0", "total_amount": "3"},
    {**_SALE, **_PLAIN, "quantity": "2", "unit_price": "5.00", "total_amount": "9.9699"},
    {**_SALE, "quantity": "1", "unit_price": "5", "discount_amount": "1", "tax_amount": "0.5", "total_amount": "4.6"},
    {**_RETURN, **_PLAIN, "quantity": "-2", "unit_price": "5.00", "total_amount": "-9.9699"},
    {"unit_price": "5.00", "discount_amount": "-1"},
]  # fmt: skip

# As near to a rule as a line may come without breaking it.
_GOOD: list[dict[str, str | None]] = [
    {"business_date": "2017-01-07", "sold_at": "2017-01-07T20:00:00.000000Z"},
    {**_SALE, **_PLAIN, "quantity": "2", "unit_price": "5.00", "total_amount": "9.97"},
    {**_SALE, "quantity": "1", "unit_price": "5", "discount_amount": "1", "tax_amount": "0.5", "total_amount": "3.5"},
    {**_RETURN, **_PLAIN, "quantity": "-1", "unit_price": "5.00", "total_amount": "0"},
    {**_RETURN, **_PLAIN, "quantity": "0", "total_amount": "-3"},
    {**_RETURN, **_PLAIN, "quantity": "-1", "tax_amount": "-0.5", "total_amount": "-3"},
    {"business_date": "2017-01-05", "sold_at": "2017-01-06T23:59:59.999999Z"},
    {"business_date": "2017-01-05", "sold_at": "2017-01-04T00:00:00.000000Z"},
]  # fmt: skip

_UNKNOWN_FIELDS: list[dict[str, str | None]] = [
    {"loyalty_tier": "gold"},
    {"loyalty_tier": "gold", "channel": None},
    {"channel": "web", "currency": None},
    {"jane@example.com": "1", "gift note": "2"},  # told as one, `*`
]

_CUT: list[Fault] = [
    ({}, 1),
    ({}, 40),
    ({"customer_id": "jane@example.com"}, 1),  # what can't be read is not judged by a rule
    ({"loyalty_tier": "gold"}, 1),
]

# All that stop no run.
FAULTS: list[Fault] = [
    *_CUT,
    *((values, 0) for values in (*_MISSING, *_BAD, *_AGAINST_A_RULE, *_WARNED, *_GOOD, *_UNKNOWN_FIELDS)),
]
