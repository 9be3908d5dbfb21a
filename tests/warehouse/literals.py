"""A star in literals: one sales line with everything usual left out, and the Delta tables that hold such lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import deltalake
import pyarrow as pa

from retail import star
from retail.config.settings import LakeSettings
from retail.lake.storage import Storage, open_storage
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import partitions

Row = dict[str, object]

_ARROW: dict[str, pa.DataType] = {
    "bigint": pa.int64(), "int": pa.int32(), "string": pa.string(), "boolean": pa.bool_(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "decimal(18,3)": pa.decimal128(18, 3), "decimal(18,4)": pa.decimal128(18, 4),
}  # fmt: skip

# The star's tables as Arrow has them.
SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    table.name: {name: _ARROW[kind] for name, kind in table.types.items()} for table in star.TABLES
}

_DAYS = [*(date(2017, 1, day) for day in range(1, 32)), date(2017, 2, 1), date(2017, 3, 1), date(2017, 4, 1)]


def _dimension(key: str, *rows: Mapping[str, object]) -> list[Row]:
    return [{key: -1}, *map(dict, rows)]


# With their unknown members. All but the retailers belongs to retailer_1.
DIMENSIONS: dict[str, list[Row]] = {
    "dim_date": _dimension(
        "date_key",
        *(
            {"date_key": int(f"{day:%Y%m%d}"), "calendar_date": day, "is_weekend": day.isoweekday() > 5}
            for day in _DAYS
        ),
    ),
    "dim_product": _dimension(
        "product_key",
        *({"product_key": n, "retailer_id": "retailer_1", "product_id": f"sku{n}"} for n in range(1, 10)),
    ),
    "dim_customer": _dimension(
        "customer_key",
        *({"customer_key": n, "retailer_id": "retailer_1", "customer_id": f"c{n}"} for n in range(1, 11)),
    ),
    "dim_store": _dimension(
        "store_key",
        *({"store_key": n, "retailer_id": "retailer_1", "store_id": f"s{n}"} for n in range(1, 4)),
    ),
    "dim_retailer": _dimension(
        "retailer_key",
        *(
            {"retailer_key": n, "retailer_id": f"retailer_{n}", "retailer_name": f"Retailer {n}"}
            for n in (1, 2)
        ),
    ),
}


def make_partitions(warehouse: Warehouse, months: Iterable[str]) -> list[str]:
    """The fact's partitions of the months that are not there yet, as a publish makes them; their names."""
    with warehouse.connect("make partitions") as connection, connection:
        made = partitions.missing(connection, months)
        for month in made:
            partitions.create(connection, month)
            partitions.attach(connection, month)
        return [month.name for month in made]


def line(sales_key: int, day: str, total: str, **columns: object) -> Row:
    """A completed sale of one piece by retailer_1 in USD, a transaction of its own, changed by run_1.

    Product, customer and store are unknown. `columns` say what is otherwise.
    """
    usual: Row = {
        "sales_key": sales_key,
        "retailer_id": "retailer_1",
        "transaction_id": f"t{sales_key}",
        "line_id": "1",
        "record_type": "sale",
        "status": "completed",
        "date_key": int(day.replace("-", "")),
        "product_key": -1,
        "customer_key": -1,
        "store_key": -1,
        "retailer_key": 1,
        "business_date": date.fromisoformat(day),
        "sold_at": datetime.fromisoformat(f"{day}T18:30:00+00:00"),
        "updated_at": datetime.fromisoformat(f"{day}T19:00:00+00:00"),
        "quantity": Decimal(1),
        "unit_price": Decimal(total),
        "discount_amount": Decimal(0),
        "tax_amount": Decimal(0),
        "total_amount": Decimal(total),
        "currency": "USD",
        "source_ref": "payloads/retailer_1/date=2017-01-05/run=a/page-00001.json.gz#/orders/0",
        "changed_run_id": "run_1",
    }
    return usual | {name: Decimal(value) if _is_number(name) else value for name, value in columns.items()}  # type: ignore[arg-type]


def _is_number(column: str) -> bool:
    return pa.types.is_decimal(SCHEMAS["fact_sales"].get(column, pa.null()))


class Lake:
    """Delta tables of the star, written with the deltalake package; each write of a table is a new version."""

    def __init__(self, root: Path) -> None:
        self.storage: Storage = open_storage(LakeSettings(url=str(root)))
        self.versions: dict[str, int] = {}

    def write(self, table: str, *rows: Row) -> None:
        """Add rows, changed by run_1 unless they say otherwise; columns that a row does not name are null."""
        schema = pa.schema(list(SCHEMAS[table].items()))
        usual = {"updated_at": datetime(2017, 1, 9, tzinfo=UTC), "content_hash": 7, "changed_run_id": "run_1"}
        month = [
            {"business_month": str(row["business_date"])[:7]} if "business_date" in row else {}
            for row in rows
        ]
        full = [usual | row | month[n] for n, row in enumerate(rows)]
        deltalake.write_deltalake(
            self.storage.engine_path(f"star/{table}"),
            pa.Table.from_pylist(full, schema=schema),
            mode="append",
            partition_by=["business_month"] if table == "fact_sales" else None,
        )
        self.versions[table] = self.versions.get(table, -1) + 1

    def replace(self, table: str, predicate: str, *rows: Row) -> None:
        """Other rows in the place of those of `predicate`, as a merge leaves them."""
        deltalake.DeltaTable(self.storage.engine_path(f"star/{table}")).delete(predicate)
        self.versions[table] += 1
        self.write(table, *rows)
