"""Every field of a specification has an entry in the vendor's `fields.toml`, and the code reads what that calls used.

No kind of field (money, tax, units, state, date, identifier) is picked out by its type, format or name: a guess would
miss some. Every field of an answer must have an entry, and those that carry nothing of the kind share one.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import graphql
import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema
from tests.cases import test_cases as cases
from tests.cases.player import Held, playing

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings, load_settings
from retail.lake.storage.local import LocalStorage
from retail.landing.field_drift import PayloadFields
from retail.sources import fields, pii
from retail.sources.catalog import catalog_of
from retail.sources.fields import FieldTable, below
from retail.sources.http import client
from retail.sources.registry import open_service, sales_of, watched_of
from retail.sources.service import Reconcilable, Skipped
from retail.sources.shopify import catalog, queries
from retail.sources.values.json_path import JSON, everywhere, parse
from retail.sources.window import window_of_unit

DAY: Final = date(2017, 1, 8)
TABLES: Final = {
    vendor: fields.tables(f"retail.sources.{vendor}") for vendor in ("amazon", "walmart", "shopify")
}
RULES: Final = {"amazon": pii.AMAZON, "walmart": pii.WALMART, "shopify": pii.SHOPIFY}


def tables_at(tables: dict[str, FieldTable], path: str) -> list[tuple[str, FieldTable, str]]:
    """The tables of the object that a field of an answer belongs to, each with its name and the field's own path."""
    found: dict[int, list[tuple[str, FieldTable, str]]] = defaultdict(list)
    for name, table in tables.items():
        for place in table.at:
            if path.startswith(below(place, "")):
                found[len(place)].append((name, table, path[len(below(place, "")) :]))
    return found[max(found)] if found else []


def leads_to(path: str, other: str) -> bool:
    """Whether `other` is the path itself or a field below it."""
    return other == path or other.startswith((f"{path}.", f"{path}[]"))


# 1 · The tables and the specifications

ANSWERS: Final = {
    "orders_2026-01-01.json, searchOrders": ("amazon/orders_2026-01-01.json", "/orders/2026-01-01/orders"),
    "finances_2024-06-19.json, listTransactions": (
        "amazon/finances_2024-06-19.json",
        "/finances/2024-06-19/transactions",
    ),
    "catalogItems_2022-04-01.json, searchCatalogItems": (
        "amazon/catalogItems_2022-04-01.json",
        "/catalog/2022-04-01/items",
    ),
    "orders.json, GET /v3/orders": ("walmart/orders.nullable.json", "/v3/orders"),
    "returns.json, GET /v3/returns": ("walmart/us_mp_returns.json", "/v3/returns"),
}


def leaves_of_answer(specification: Path, path: str) -> set[str]:
    """The path of every field in the answer that is no object; what contains itself is entered once."""
    content = json.loads(specification.read_text(encoding="utf-8"))
    answer = content["paths"][path]["get"]["responses"]["200"]
    schema = answer["schema"] if "schema" in answer else answer["content"]["application/json"]["schema"]
    return {leaf.removesuffix("[]") for leaf in leaves(content, schema, "", ())}


def leaves(content: Any, schema: Any, path: str, above: tuple[str, ...]) -> Iterator[str]:
    while (reference := schema.get("$ref")) is not None:
        if reference in above:
            yield path
            return
        above = (*above, reference)
        schema = content
        for part in reference.removeprefix("#/").split("/"):
            schema = schema[part]
    parts = [part for kind in ("allOf", "oneOf", "anyOf") for part in schema.get(kind, ())]
    for part in parts:
        yield from leaves(content, part, path, above)
    for name, inner in schema.get("properties", {}).items():
        yield from leaves(content, inner, below(path, name), above)
    if "items" in schema:
        yield from leaves(content, schema["items"], f"{path}[]", above)
    elif not parts and not schema.get("properties"):
        yield path


@pytest.mark.parametrize("api", ANSWERS)
def test_every_field_of_an_answer_has_an_entry_and_no_entry_is_of_a_field_that_is_not_there(
    specs: Path, api: str
) -> None:
    file, path = ANSWERS[api]
    found = leaves_of_answer(specs / file, path)
    tables = {name: table for name, table in TABLES[file.split("/")[0]].items() if table.api == api}
    assert [leaf for leaf in sorted(found) if not has_entry(tables, leaf)] == []
    assert [entry for entry in entries_of(tables) if not any(leads_to(entry, leaf) for leaf in found)] == []


def has_entry(tables: dict[str, FieldTable], leaf: str) -> bool:
    return any(table.entry(path) is not None for _, table, path in tables_at(tables, leaf))


def entries_of(tables: dict[str, FieldTable]) -> list[str]:
    """The path in the whole answer of each entry, or of what it stands for everything below of."""
    return [
        below(table.at[0], path.removesuffix("**").removesuffix("."))
        for table in tables.values()
        for path in table.paths
        if path != "**"
    ]


def test_every_field_of_a_type_that_shopify_is_asked_for_has_an_entry_and_no_entry_is_of_another(
    admin_schema: GraphQLSchema,
) -> None:
    asked = asked_of(admin_schema)
    tables, found, expanded = TABLES["shopify"], set[str](), set[str]()
    for name, table in tables.items():
        of_type = set(fields_of_type(admin_schema, name, asked, expanded))
        found |= {f"{name}.{path}" for path in of_type}
        known = [path.removesuffix("**").removesuffix(".") for path in table.paths if path != "**"]
        assert [path for path in sorted(of_type) if table.entry(path) is None] == []
        assert [path for path in known if not any(leads_to(path, leaf) for leaf in of_type)] == []
    assert len(found) > 400
    assert asked.keys() - tables.keys() - expanded == MACHINERY


# How to ask, not what was sold: pages, counts, bulk operations, the application's own scopes.
MACHINERY: Final = {
    "AccessScope", "AppInstallation", "BulkOperation", "BulkOperationRunQueryPayload", "BulkOperationUserError",
    "Count", "LineItemConnection", "LineItemEdge", "LocationConnection", "Mutation", "Node", "OrderConnection",
    "OrderEdge", "PageInfo", "ProductVariantConnection", "QueryRoot", "SaleConnection", "SalesAgreementConnection",
    "SalesAgreementEdge",
}  # fmt: skip
# Kinds of Sale, which has their fields as well.
SALES: Final = {"ProductSale": "Sale", "GiftCardSale": "Sale", "TipSale": "Sale"}


def asked_of(schema: GraphQLSchema) -> dict[str, set[str]]:
    """The fields that our queries ask for, by type."""
    asked: dict[str, set[str]] = defaultdict(set)
    texts = [
        text.replace("%s", "")
        for module in (queries, catalog)
        for text in vars(module).values()
        if isinstance(text, str) and text.startswith(("query ", "mutation "))
    ]
    for text in texts:
        types = graphql.TypeInfo(schema)

        class Fields(graphql.Visitor):
            def enter_field(self, node: graphql.FieldNode, *_: Any, seen: graphql.TypeInfo = types) -> None:
                parent = str(seen.get_parent_type())
                asked[SALES.get(parent, parent)].add(node.name.value)

        graphql.visit(graphql.parse(text), graphql.TypeInfoVisitor(types, Fields()))
    return asked


def fields_of_type(
    schema: GraphQLSchema, name: str, asked: dict[str, set[str]], expanded: set[str]
) -> Iterator[str]:
    """The path of every field of a type. Types that are asked for and have no table of their own are entered."""
    of_type = schema.type_map[name]
    assert isinstance(of_type, GraphQLObjectType | GraphQLInterfaceType)
    for path, held in of_type.fields.items():
        inner, is_list = graphql.get_named_type(held.type), "[" in str(held.type)
        if path not in asked[name] or not isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            yield path
        elif inner.name not in {*TABLES["shopify"], *MACHINERY}:
            expanded.add(inner.name)
            for below_it in fields_of_type(schema, inner.name, asked, expanded):
                yield f"{path}{'[]' * is_list}.{below_it}"


@pytest.mark.parametrize("vendor", TABLES)
def test_no_field_has_two_entries(vendor: str) -> None:
    for table in TABLES[vendor].values():
        assert sorted(set(table.paths)) == sorted(table.paths)


# 2 · The tables and the code


class Recorded(dict[str, Any]):
    """An object of an answer that notes the path of everything that is read of it."""

    def __init__(self, value: dict[str, Any], path: str, reads: set[str]) -> None:
        super().__init__({name: recorded(held, below(path, name), reads) for name, held in value.items()})
        self._path, self._reads = path, reads

    def get(self, name: str, default: Any = None) -> Any:
        self._reads.add(below(self._path, name))
        return super().get(name, default)


def recorded(value: Any, path: str, reads: set[str]) -> Any:
    if isinstance(value, dict):
        return Recorded(value, path, reads)
    return [recorded(each, f"{path}[]", reads) for each in value] if isinstance(value, list) else value


@dataclass
class Played:
    """What the code read of the answers that were played, by vendor, and which watched fields carried a value."""

    reads: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    with_value: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A day of the simulator with its changes and catalogues, and every case of tests/cases/data."""
    found, lake = Played(), LocalStorage(tmp_path_factory.mktemp("fields"))
    environment, clock = demo.demo_environment(), datetime(2017, 1, 20, 12, tzinfo=UTC)
    with demo.simulator(environment, clock=clock, options=("--changes", "--speed", "0")) as address:
        settings = demo.pointed_at(load_settings(), address)
        for retailer_id in settings.retailers:
            play(found, lake, settings, Secrets(environment), unit=(retailer_id, DAY))
    with playing() as player:
        settings = cases.settings_of(player, tmp_path_factory.mktemp("cases"))
        for day in cases.DAYS:
            now = datetime.combine(day.asked.last, time(20), UTC) + timedelta(days=1)
            player.held[day.case] = Held(cases.CASES[day.case]["retailer_service"], day.answers, now)
            unit = (cases.retailer_of(day.case), day.asked.first)
            play(found, lake, settings, cases.secrets(), unit=unit)
        assert player.not_played == []
        for vendor, answer in BARE.items():
            retailer_id = next(of for of in settings.retailers if settings.retailers[of].service == vendor)
            lines = sales_of(retailer_id, settings).records(
                recorded(answer, "", found.reads[vendor]), "payload"
            )
            assert len(list(lines)) <= 2
    yield found


def play(
    found: Played, lake: LocalStorage, settings: Settings, secrets: Secrets, *, unit: tuple[str, date]
) -> None:
    """Read one day as `retail run` does: answers by the service, pages by the mapping, then the catalogue.

    The first page of `retail reconcile` is read too.
    """
    retailer_id, day = unit
    reads = found.reads[settings.retailers[retailer_id].service]
    watched = watched_of(retailer_id, settings)
    seen = PayloadFields(lake, retailer_id, "r1", has_ended=lambda _: True, watched=watched)
    sales = sales_of(retailer_id, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "parse_bounded", lambda data, **_: recorded(parse(data), "", reads))
        service = open_service(retailer_id, settings, secrets)
        lines = []
        for page in service.pages(window_of_unit(settings, unit), None):
            seen.look(page.answer, day)
            lines += sales.records(recorded(page.answer, "", reads), "payload")
        assert isinstance(service, Reconcilable)
        next(iter(service.created(window_of_unit(settings, unit), None)), None)
        found.with_value += map(str, seen.with_value())
        records = [each.record if isinstance(each, Skipped) else each for each in lines]
        if lines and settings.extract.master_calls:
            products = sorted({each.product_id for each in records if each.product_id})
            stores = sorted({each.store_id for each in records if each.store_id})
            described = catalog_of(service)
            assert described is not None
            list(described.describe(products[:50] + by_id(products), stores))


def by_id(products: list[str]) -> list[str]:
    """Products of Shopify without a SKU, a few of each kind."""
    return [each for kind in ("variant-", "product-") for each in products if each.startswith(kind)][:20]


# Answers without what all others have: the code then looks elsewhere. And what no case has: money back from Amazon.
BARE: Final[dict[str, JSON]] = {
    "amazon": {
        "orders": [
            {"orderItems": [{"proceeds": {"proceedsTotal": {}}, "product": {"price": {"unitPrice": {}}}}]}
        ],
        "payload": {
            "transactions": [
                {
                    "transactionId": "T-1",
                    "transactionType": "Refund",
                    "relatedIdentifiers": [{"relatedIdentifierName": "ORDER_ID"}],
                    "breakdowns": [{"breakdowns": None}],
                    "items": [
                        {
                            "breakdowns": [
                                {
                                    "breakdownType": "ProductCharges",
                                    "breakdownAmount": {"currencyAmount": -7},
                                    "breakdowns": [{"breakdownType": "Tax", "breakdownAmount": {}}],
                                }
                            ],
                            "relatedIdentifiers": [{"itemRelatedIdentifierName": "ORDER_ADJUSTMENT_ITEM_ID"}],
                            "contexts": [{"contextType": "ProductContext"}],
                        }
                    ],
                }
            ]
        },
    },
    "walmart": {"returnOrders": [{"returnOrderLines": [{"currentTrackingStatuses": [{"quantity": {}}]}]}]},
    "shopify": {"data": {"orders": {"nodes": [{"lineItems": {"nodes": []}}]}}},
}
# Fields that the code reads of no answer that is played, and why.
NOT_PLAYED: Final = {
    "Item.classifications[].marketplaceId": "every product of the simulator has a category in its summary",
    "Item.classifications[].classifications[].displayName": "the same",
    "Transaction.breakdowns[].breakdownAmount.currencyCode": "every transaction played groups its breakdowns",
    "Transaction.sellingPartnerMetadata.marketplaceId": "every transaction played names its marketplace",
}
# What is read of an object and is in no specification of its fields: our own mark, and what leads to further pages.
NO_FIELDS: Final = {
    "amazon": set[str](),
    "walmart": set[str](),
    "shopify": {
        "Order.isDeleted",
        *(f"Order.{connection}.pageInfo" for connection in ("agreements", "lineItems")),
        "Order.lineItems.pageInfo.endCursor",  # the simulator's ledgers have one page
        *(f"Order.{connection}.pageInfo.hasNextPage" for connection in ("agreements", "lineItems")),
        "Order.agreements.edges[].cursor",
        "SalesAgreement.sales.pageInfo",
        "SalesAgreement.sales.pageInfo.endCursor",
        "SalesAgreement.sales.pageInfo.hasNextPage",
    },
}


# What contains itself is entered once, as in the specifications.
_NESTED: Final = re.compile(r"(breakdowns\[\]\.){2,}")


@dataclass
class Read:
    """What was read of a vendor's answers, each as `Table.path`."""

    used: set[str] = field(default_factory=set)
    not_used: set[str] = field(default_factory=set)
    no_field: set[str] = field(default_factory=set)

    def enter(self, tables: dict[str, FieldTable], path: str) -> None:
        """Enter one path of an answer. Of what only leads to used fields nothing is entered."""
        path = _NESTED.sub("breakdowns[].", path)
        if any(leads_to(path, place) for table in tables.values() for place in table.at):
            return
        owners = tables_at(tables, path)
        own = {name: path for name, _, path in owners}
        self.used |= {f"{name}.{own[name]}" for name, table, _ in owners if own[name] in table.used}
        if any(leads_to(own[name], each) for name, table, _ in owners for each in table.used):
            return
        entered = [name for name, table, _ in owners if table.entry(own[name]) is not None]
        self.not_used |= {f"{name}.{own[name]}" for name in entered}
        # Beside a page's own fields stand tokens, errors and what belongs to another answer.
        self.no_field |= {
            f"{name}.{own[name]}" for name, table, _ in owners if not entered and "" not in table.at
        }


@pytest.mark.slow
@pytest.mark.xdist_group("fields")
@pytest.mark.parametrize("vendor", TABLES)
def test_what_the_code_reads_is_what_its_table_calls_used(vendor: str, played: Played) -> None:
    tables, read = TABLES[vendor], Read()
    for path in played.reads[vendor]:
        read.enter(tables, path)
    used = {f"{name}.{path}" for name, table in tables.items() for path in table.used}
    not_played = used & NOT_PLAYED.keys()
    assert sorted(read.not_used) == []
    assert sorted(read.no_field) == sorted(NO_FIELDS[vendor])
    assert sorted(used - not_played - read.used) == []
    assert sorted(read.used & not_played) == []


# 3 · Watched fields


@pytest.mark.slow
@pytest.mark.xdist_group("fields")
def test_no_ordinary_answer_has_a_watched_field_reported(played: Played) -> None:
    assert played.with_value == []


def answer_with(path: str, value: JSON) -> JSON:
    """An answer that holds the value at a path and nothing else."""
    for step in reversed(path.split(".")):
        value = {step.removesuffix("[]"): [value] if step.endswith("[]") else value}
    return value


@pytest.mark.parametrize(
    ("vendor", "path"),
    [(vendor, path) for vendor in TABLES for path in fields.watched(f"retail.sources.{vendor}")],
)
def test_a_watched_field_is_reported_with_its_meaning_if_it_carries_a_value(
    vendor: str, path: str, lake: LocalStorage
) -> None:
    watched = fields.watched(f"retail.sources.{vendor}")
    seen = PayloadFields(lake, "r", "r1", has_ended=lambda _: True, watched=watched)
    seen.look(pii.strip(answer_with(path, None), RULES[vendor], name=str), DAY)
    assert seen.with_value() == []
    seen.look(pii.strip(answer_with(path, "7"), RULES[vendor], name=str), DAY)
    assert [(each.path, each.meaning) for each in seen.with_value()] == [(path, watched[path])]


@pytest.mark.parametrize("vendor", ["amazon", "walmart"])
def test_what_is_said_to_be_removed_is_removed(vendor: str) -> None:
    said = [
        below(place, path.replace(".**", ".x"))
        for table in TABLES[vendor].values()
        for each in table.ignored
        if each.because.endswith("removed before a page is stored")
        for path in each.fields
        for place in table.at
    ]
    left = [
        path
        for path in said
        if any(everywhere(pii.strip(answer_with(path, "7"), RULES[vendor], name=str), path))
    ]
    assert len(said) > 10
    assert left == []


def test_a_service_without_a_table_has_nothing_watched() -> None:
    assert fields.watched("tests.end_to_end") == {}
