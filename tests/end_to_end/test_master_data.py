"""Master data on the whole way: asked for once, landed, and in dim_product and dim_store of Delta and PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date

import pytest

from retail.config.settings import home
from tests.conftest import needs_java
from tests.end_to_end.installation import Figures, Installation, star_of

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("master_data")]

Install = Callable[[str], Installation]
DAYS = [date(2017, 1, 1), date(2017, 1, 2)]
ASKS = {"RETAIL_EXTRACT__MASTER_CALLS": "8"}
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")
PRODUCT = ("retailer_id", "product_id", "product_name", "brand", "category", "gtin")
STORE = ("retailer_id", "store_id", "store_name", "store_city", "store_region", "store_country")

Rows = set[tuple[object, ...]]


@pytest.fixture(scope="module")
def described(install: Install) -> Installation:
    """An installation in which two days ran, one by one, each asking the catalogues a few times."""
    made = install("described")
    for day in DAYS:
        ended = made.retail("run", "--date", str(day), **ASKS)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "products and stores described" in " ".join(ended.stdout.split())
    return made


def master(installation: Installation, kind: str) -> list[dict[str, str | None]]:
    folder = installation.folder / "lake" / "raw" / "master-data" / kind
    return [
        json.loads(line) for path in sorted(folder.rglob("*.json")) for line in path.read_text().splitlines()
    ]


def told(installation: Installation, kind: str, columns: tuple[str, ...]) -> Rows:
    """What the master files say of those that the catalogue knows."""
    lines = [tuple(line[name] for name in columns) for line in master(installation, kind)]
    return {line for line in lines if any(value is not None for value in line[2:])}


def in_delta(installation: Installation, table: str, columns: tuple[str, ...]) -> Rows:
    return {tuple(row[name] for name in columns) for row in installation.delta(f"star/{table}").to_pylist()}


def in_postgresql(installation: Installation, table: str, columns: tuple[str, ...]) -> Rows:
    with installation.postgresql() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM star.{table}")
        return set(cursor.fetchall())


@pytest.mark.parametrize(
    ("kind", "table", "columns"), [("products", "dim_product", PRODUCT), ("stores", "dim_store", STORE)]
)
def test_dimensions_hold_what_the_catalogues_told_in_delta_and_in_postgresql(
    described: Installation, kind: str, table: str, columns: tuple[str, ...]
) -> None:
    expected = told(described, kind, columns)
    assert {row[0] for row in expected} == set(RETAILERS if kind == "products" else RETAILERS[2:])
    assert expected <= in_delta(described, table, columns)
    assert in_delta(described, table, columns) == in_postgresql(described, table, columns)


def test_brand_category_and_gtin_come_with_the_description_and_else_are_as_the_sale_says(
    described: Installation,
) -> None:
    known = {row[:2] for row in told(described, "products", PRODUCT)}
    for row in in_delta(described, "dim_product", PRODUCT) - {
        ("unknown", "unknown", "Unknown product", *[None] * 3)
    }:
        if row[:2] in known:
            assert row[4] and len(str(row[5])) == 14, row
        else:
            assert row[5] is None, row


def test_no_run_asks_for_what_an_earlier_one_was_told(described: Installation) -> None:
    for kind, key in (("products", "product_id"), ("stores", "store_id")):
        names = [(line["retailer_id"], line[key]) for line in master(described, kind)]
        assert len(names) == len(set(names)) > 0


def test_the_fact_is_what_it_is_without_master_data(
    described: Installation, truth: Callable[[list[date]], Figures]
) -> None:
    assert described.delta_figures() == described.postgresql_figures() == truth(DAYS)


def with_master_of(other: Installation, made: Installation) -> Installation:
    """An installation that is told what the other one's catalogues said, before it ever ran."""
    folder = "lake/raw/master-data"
    shutil.copytree(other.folder / folder, made.folder / folder)
    return made


def test_days_in_the_other_order_and_without_a_call_give_the_same_dimensions(
    described: Installation, install: Install
) -> None:
    at_once = with_master_of(described, install("described_at_once"))
    backwards = with_master_of(described, install("described_backwards"))
    for made, runs in (
        (at_once, [("--from", str(DAYS[0]), "--to", str(DAYS[1]))]),
        (backwards, [("--date", str(day)) for day in [*DAYS[::-1], DAYS[0]]]),
    ):
        for dates in runs:
            ended = made.retail("run", *dates)
            assert ended.returncode == 0, ended.stdout + ended.stderr
    assert star_of(at_once) == star_of(backwards)


@pytest.mark.nightly
@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_both_engines_make_the_same_dimensions_of_the_same_descriptions(
    described: Installation, install: Install
) -> None:
    needs_java()
    stars = []
    for engine in ("sail", "spark"):
        made = with_master_of(described, install(f"described_{engine}"))
        ended = made.retail("run", "--date", str(DAYS[0]), RETAIL_ENGINE=engine)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        stars.append(star_of(made))
    assert stars[0] == stars[1]


def test_a_catalogue_that_fails_in_any_way_costs_no_sale(
    install: Install, truth: Callable[[list[date]], Figures]
) -> None:
    made = install("failing_catalog")
    service = "tests.end_to_end.failing_catalog:FailingCatalog"
    variables = {"RETAIL_RETAILERS__RETAILER_3__SERVICE": service, "PYTHONPATH": str(home())}
    ended = made.retail("run", "--date", str(DAYS[0]), **ASKS, **variables)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "catalogue failed: retailer_3" in " ".join(ended.stdout.split())
    assert made.delta_figures() == truth(DAYS[:1])
    assert {line["retailer_id"] for line in master(made, "products")} == {"retailer_1", "retailer_2"}
