"""Random histories: which versions of which lines come on which days, and how the days are cut into runs.

Few keys, many versions of each, so that what is rare in a shop meets in every history.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date

from hypothesis import strategies as st

from tests.oracle.faults import CRITICAL, FAULTS, Fault
from tests.oracle.fields import FIELDS

RetailerDay = tuple[str, date]

RETAILERS = ("retailer_1", "retailer_2")
LOGICAL_DAYS = (date(2017, 1, 5), date(2017, 1, 6), date(2017, 1, 7))
UNITS = tuple((retailer, day) for retailer in RETAILERS for day in LOGICAL_DAYS)
# Around the ends of months, years and retail years (one of 53 weeks among them), and a leap day.
_BUSINESS_DAYS = ["2017-01-05"] * 3 + [
    "2016-12-31", "2017-01-01", "2017-01-28", "2017-01-29", "2017-01-31", "2017-02-01", "2020-02-29",
    "2024-02-03",
]  # fmt: skip
_UPDATED = [f"2017-01-06T0{hour}:00:00.000000Z" for hour in range(6)] + ["2017-01-06T05:00:00.000001Z"]
_PRODUCTS = [
    ("p1", "Mug", "Acme", "Kitchen", None), ("p1", "Blue mug", "Acme", None, None),
    ("p1", None, "Acme", "Kitchen", "00012345600012"), ("p1", "Mug", None, "Acme", None),
    ("p2", "Teller", None, None, None), ("p2", "Plate – «large»", "Ωmega", None, None), ("p3", None, None, None, None),
]  # fmt: skip
_STORES = [
    (None, None, None, None, None), ("s1", "Mall", "Austin", None, "US"), ("s1", "Mall", None, "Austin", "US"),
    ("s1", "New Mall", "Austin", "TX", "US"), ("s2", None, None, None, None), (None, "Nameless", None, None, "US"),
]  # fmt: skip
# A quarter of the lines are bad or strange.
_SPOILED: list[Fault] = [({}, 0)] * 3 * len(FAULTS) + FAULTS + CRITICAL
# What fetched a line and on which page; none where the line names no page.
_ANSWERS = [None] + [
    (run, page) for run in ("20170108T010000Z-a", "20170109T010000Z-a", "20170109T010000Z-b") for page in (1, 2)
]  # fmt: skip
_AMOUNTS = ["10", "10.00", "10.0001", "0", "0.01", "99999999999.9999"]


def _values(names: str, values: tuple[str | None, ...]) -> dict[str, str | None]:
    return dict(zip(names.split(), values, strict=True))


@dataclass(frozen=True)
class Line:
    """A line of a raw file before it has a position in one. `cut` characters of it are lost at its end.

    `answer` is the run that fetched it and the page; None where the line names no page.
    """

    values: tuple[tuple[str, str | None], ...]
    cut: int = 0
    answer: tuple[str, int] | None = None

    def text(self, unit: RetailerDay, place: int) -> str:
        """The line at that place of the unit's raw file."""
        source_ref = f"payloads/{place}"
        if self.answer is not None:
            run, page = self.answer
            source_ref = f"payloads/{unit[0]}/date={unit[1]}/run={run}/page-{page:05d}.json.gz#/{place}"
        values = {**dict(self.values)}
        # Where a line has it, it stands last: a broken line is known by it.
        values["source_ref"] = values.pop("source_ref", source_ref)
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return text[: len(text) - self.cut]

    def __str__(self) -> str:
        told = {name: value for name, value in self.values if value is not None}
        head = " ".join(str(told.pop(name, "∅")) for name in _SHOWN_FIRST)
        end = f" — cut {self.cut} characters short" if self.cut else ""
        told["answer"] = self.answer and " ".join(map(str, self.answer))  # type: ignore[assignment]
        return head + " · " + " ".join(f"{name}={value}" for name, value in told.items()) + end


_SHOWN_FIRST = (
    "retailer_id", "transaction_id", "line_id", "record_type", "status", "quantity", "total_amount", "currency",
)  # fmt: skip


@dataclass(frozen=True)
class Description:
    """What a retailer's catalogue says of a product or store."""

    table: str
    retailer_id: str
    id: str
    name: str | None
    fetched_at: str

    def attributes(self) -> dict[str, str | None]:
        if self.table == "dim_product":
            names, rest = "retailer_id product_id product_name brand category gtin", (None, "Catalogue", None)
        else:
            names = "retailer_id store_id store_name store_city store_region store_country"
            rest = (None, None, "CA")  # type: ignore[assignment]
        return _values(names, (self.retailer_id, self.id, self.name, *rest))


@dataclass(frozen=True)
class Run:
    """A run: raw files that are landed before it, new or in the place of older ones, and the units that it is for."""

    landed: tuple[tuple[RetailerDay, tuple[Line, ...]], ...]
    units: tuple[RetailerDay, ...]
    described: tuple[Description, ...] = ()

    def __str__(self) -> str:
        lines = [f"  run for {', '.join(f'{retailer} {day}' for retailer, day in self.units)}"]
        for (retailer, day), landed in self.landed:
            lines.append(f"    landed before it: {retailer} {day}, {len(landed)} lines")
            lines += [f"      {line}" for line in landed]
        lines += [f"    described before it: {each}" for each in self.described]
        return "\n".join(lines)


@dataclass(frozen=True)
class History:
    """Runs in their order."""

    runs: tuple[Run, ...]

    def __repr__(self) -> str:
        return f"History of {len(self.runs)} runs\n" + "\n".join(map(str, self.runs))


@st.composite
def lines(draw: st.DrawFn, retailer: str) -> Line:
    """A version of one of four lines of the retailer: sold, given back, cancelled, or bad."""
    kind, status, sign = draw(
        st.sampled_from(
            [("sale", "completed", "")] * 4
            + [("sale", "cancelled", ""), ("return", "completed", "-"), ("refund", "completed", "-")]
            + [("refund", "cancelled", "-"), ("sale", "deleted", "")]
        )
    )
    amount = "0" if status != "completed" else draw(st.sampled_from(_AMOUNTS))
    quantity = (
        "0" if status != "completed" or kind == "refund" else draw(st.sampled_from(["1", "2", "0.125"]))
    )
    day = draw(st.sampled_from(_BUSINESS_DAYS))
    values: dict[str, str | None] = {
        "retailer_id": retailer,
        "record_type": kind,
        "status": status,
        "sold_at": f"{day}T{draw(st.sampled_from(['20:00:00.000000', '09:30:00.5']))}Z",
        "updated_at": draw(st.sampled_from(_UPDATED)),
        "business_date": day,
        **_values("product_id product_name brand category gtin", draw(st.sampled_from(_PRODUCTS))),
        **_values(
            "store_id store_name store_city store_region store_country", draw(st.sampled_from(_STORES))
        ),
        "quantity": quantity if quantity == "0" else _signed(sign, quantity),
        "total_amount": amount if amount == "0" else _signed(sign, amount),
    }
    values |= {field.name: draw(st.sampled_from(field.drawn)) for field in FIELDS if field.drawn}
    spoiled, cut = draw(st.sampled_from(_SPOILED))
    return Line(tuple((values | spoiled).items()), cut)


def _signed(sign: str, amount: str) -> str:
    return sign + amount


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    table, id_ = draw(st.sampled_from([("dim_product", "p1"), ("dim_store", "s1"), ("dim_product", "p2")]))
    return Description(
        table,
        draw(st.sampled_from(RETAILERS)),
        id_,
        draw(st.sampled_from([None, "From the catalogue", "Renamed there"])),
        draw(st.sampled_from([f"2025-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3)])),
    )


@st.composite
def histories(draw: st.DrawFn, *, most_runs: int = 5) -> History:
    """Runs over six units of two retailers; each lands some of its days anew and takes others as they lie there."""
    pools = {
        retailer: draw(st.lists(lines(retailer), min_size=3, max_size=12), label="versions")
        for retailer in RETAILERS
    }
    there: set[RetailerDay] = set()
    runs = []
    for _ in range(draw(st.integers(2, most_runs))):
        units = draw(st.lists(st.sampled_from(UNITS), min_size=1, max_size=4, unique=True))
        landed = []
        for unit in units:
            if unit not in there or draw(st.booleans()):
                versions = draw(st.lists(st.sampled_from(pools[unit[0]]), min_size=0, max_size=8))
                answers = [draw(st.sampled_from(_ANSWERS)) for _ in versions]
                answered = map(lambda line, by: replace(line, answer=by), versions, answers)
                landed.append((unit, tuple(answered)))
        there.update(units)
        described = draw(st.lists(descriptions(), min_size=1, max_size=4)) if draw(st.booleans()) else []
        runs.append(Run(tuple(landed), tuple(units), tuple(described)))
    return History(tuple(runs))


@st.composite
def landed_files(draw: st.DrawFn) -> dict[RetailerDay, list[str]]:
    """Raw files of the six units as landing makes them: a key once in each, and every line of an answer of the day."""
    answers = st.sampled_from([answer for answer in _ANSWERS if answer is not None])
    found: dict[RetailerDay, list[str]] = {}
    for unit in UNITS:
        landed = draw(st.lists(lines(unit[0]), max_size=6, unique_by=_natural_key))
        answered = [replace(line, answer=draw(answers)) for line in landed]
        found[unit] = [line.text(unit, place) for place, line in enumerate(answered)]
    return found


def _natural_key(line: Line) -> tuple[str | None, ...]:
    values = dict(line.values)
    return tuple(values.get(name) for name in ("retailer_id", "transaction_id", "line_id"))


def history_of_every_fault() -> History:
    """Every fault once, each in a line of its own; and runs that are stopped before there is a star, and after."""
    first, second = UNITS[0], UNITS[-1]
    bad = tuple(_sold(first[0], f"fault-{n}", fault) for n, fault in enumerate(FAULTS))
    stopping = tuple(_sold(second[0], f"critical-{n}", fault) for n, fault in enumerate(CRITICAL))
    good = (_sold(second[0], "good"), _sold(second[0], "other"))
    return History(
        (
            Run(((second, (*good, *stopping)),), (second,)),
            Run(((first, (_sold(first[0], "good"), *bad)),), (first,)),
            Run((), (first, second)),
            Run(((second, good),), (second,)),
        )
    )


def _sold(retailer: str, transaction: str, fault: Fault = ({}, 0)) -> Line:
    spoiled, cut = fault
    values: dict[str, str | None] = {
        "retailer_id": retailer, "transaction_id": transaction, "line_id": "1", "record_type": "sale",
        "status": "completed", "sold_at": "2017-01-05T20:00:00.000000Z", "updated_at": "2017-01-06T00:00:00.000000Z",
        "business_date": "2017-01-05", **_values("product_id product_name brand category gtin", _PRODUCTS[0]),
        "customer_id": "c1", **_values("store_id store_name store_city store_region store_country", _STORES[1]),
        "quantity": "1", "unit_price": "10.00", "discount_amount": "0", "tax_amount": "0.8250",
        "total_amount": "10.00", "currency": "USD", "mapping_version": "1",
    }  # fmt: skip
    return Line(tuple((values | spoiled).items()), cut)
