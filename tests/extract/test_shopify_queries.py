"""Shopify's own schema judges every query that the service asks."""

import os
import re
from pathlib import Path

import graphql
import pytest

from retail.extract import shopify_products, shopify_queries

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def schema():
    """The official schema, which is no part of the repository."""
    folder = Path(os.environ.get("RETAIL_SHARED_APIS", ROOT / "shared" / "apis"))
    file = folder / "shopify" / "admin_2026-10.graphql"
    if not file.is_file():
        pytest.skip(f"Shopify's schema is not here: no file {file} (RETAIL_SHARED_APIS)")
    # Its descriptions are nine tenths of it.
    words = re.sub(r'"""[\s\S]*?"""', "", file.read_text(encoding="utf-8"))
    return graphql.build_schema(words, assume_valid=True)


def queries():
    for module in (shopify_queries, shopify_products):
        for name, text in vars(module).items():
            if isinstance(text, str) and re.match(r"(query|mutation) \w+", text):
                yield pytest.param(text.replace("%s", "updated_at:>'2017-01-05T00:00:00Z'"), id=name)


@pytest.mark.parametrize("query", list(queries()))
def test_the_official_schema_takes_the_query(schema, query):
    assert graphql.validate(schema, graphql.parse(query)) == []


@pytest.mark.parametrize("query", list(queries()))
def test_no_personal_data_is_asked_for(query):
    asked = set(re.findall(r"\w+", query))
    personal = (
        "email phone firstName lastName displayName address1 zip billingAddress shippingAddress note clientIp"
    )
    assert asked & set(personal.split()) == set()
