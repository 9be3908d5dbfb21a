"""Where one line has the tax of a whole order, each taxed line gets its share, and the sum stays."""

from decimal import Decimal

import pytest

from retail.sources.shopify.taxes import taxes_of


def bag(amount):
    return {"shopMoney": {"amount": amount, "currencyCode": "USD"}}


def line(amount, *taxes, taxable=True):
    return {
        "originalTotalSet": bag(amount),
        "discountAllocations": [],
        "taxable": taxable,
        "taxLines": [{"rate": Decimal(rate), "priceSet": bag(tax)} for rate, tax in taxes],
    }


def taxes(*lines, included=True):
    return [None if tax is None else str(tax) for tax in taxes_of(list(lines), prices_include_tax=included)]


@pytest.mark.parametrize("included", [True, False])
def test_tax_beyond_a_line_s_own_rates_is_spread_by_amount(included):
    whole = "15.00" if included else "15.75"
    found = taxes(line("105.00", ("0.05", whole)), line("105.00"), line("105.00"), included=included)

    assert len(set(found)) == 1
    assert sum(map(Decimal, found)) == Decimal(whole)


def test_what_rounding_leaves_goes_to_the_last_line():
    found = taxes(line("10.00", ("0.1", "1.00")), line("10.00"), line("10.00"), included=False)

    assert found == ["1.00", "0", "0"]  # it is the line's own
    found = taxes(line("3.34", ("0.1", "1.00")), line("3.33"), line("3.33"), included=False)
    assert found == ["0.3340", "0.3330", "0.3330"]
    found = taxes(line("10.00", ("0.05", "1.52")), line("10.00"), line("10.30"), included=False)
    assert found == ["0.5017", "0.5017", "0.5166"]


def test_lines_that_are_not_taxable_get_none_of_it():
    found = taxes(line("10.00", ("0.1", "2.00")), line("10.00"), line("30.00", taxable=False), included=False)

    assert found == ["1.0000", "1.0000", "0"]


@pytest.mark.parametrize(
    "lines",
    [
        [line("10.00", ("0.1", "1.00")), line("10.00")],
        [line("10.00", ("0.1", "1.01")), line("10.00")],  # rounded up
        [line("10.00", ("0.1", "9.00")), line("10.00", ("0.1", "1.00"))],  # the other has its own
        [line("10.00", ("0.1", "9.00"))],
        [line("10.00", ("0.1", "9.00")), line("10.00", taxable=False)],
        [line("10.00", ("0", "9.00")), line("10.00")],  # no rate to judge by
        [line("10.00", ("-1", "9.00")), line("10.00")],
        [
            line("100.00", ("0.05", "5.00"), ("0.1", "10.47")),
            line("40.00"),
        ],  # tax on tax, beside what has none
        [line("10.00", ("0.1", "2.00")), line("10.00", taxable=None)],  # a page of an earlier version
    ],
)
def test_a_line_keeps_its_own_tax(lines):
    own = [
        str(sum(Decimal(each["priceSet"]["shopMoney"]["amount"]) for each in one["taxLines"]))
        for one in lines
    ]

    assert taxes(*lines, included=False) == own
