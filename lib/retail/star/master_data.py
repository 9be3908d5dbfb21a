"""Master data from the retailers' catalogues: reads the master files, and prefers them to what sales say."""

from __future__ import annotations

from typing import Final, Literal

import structlog
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from retail.lake.layout import master_folder
from retail.records import PRODUCT_FIELDS, STORE_FIELDS
from retail.runs.lake_context import LakeContext
from retail.star.table import Table, Transform, newest_per, with_content_hash

_FIELDS: Final = {"products": PRODUCT_FIELDS, "stores": STORE_FIELDS}
# A description's time is always written by `utc_text`, whose meaning the engines agree on.
_INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$"

log = structlog.get_logger(__name__)


def read(context: LakeContext, table: Table, kind: Literal["products", "stores"]) -> DataFrame | None:
    """The newest description of each product or store, as rows of the table without its key; None if there is none.

    Lines that cannot be read are skipped with a warning.
    """
    lines = None
    for retailer_id in context.settings.retailers:
        folder = master_folder(kind, retailer_id)
        if next(iter(context.storage.list(folder)), None) is None:
            continue
        text = context.session.read.text(context.storage.engine_path(folder)).select(
            "value", F.lit(retailer_id).alias("from_retailer")
        )
        lines = text if lines is None else lines.unionByName(text)
    if lines is None:
        return None
    parsed = parse(lines.where("trim(value) <> ''"), table, _FIELDS[kind])
    broken = parsed.where("is_broken").count()
    if broken:
        log.warning("master_lines_left_out", table=table.name, lines=broken)
    return newest(parsed, table)


def parse(lines: DataFrame, table: Table, fields: tuple[str, ...]) -> DataFrame:
    """The table's attributes and order from lines (value, from_retailer), with `is_broken`."""
    schema = ", ".join(f"{name} string" for name in fields)
    fetched_at = F.when(F.col("json.fetched_at").rlike(_INSTANT), F.col("json.fetched_at"))
    missing = " OR ".join(f"{name} IS NULL OR {name} = ''" for name in table.natural_key)
    return (
        lines.withColumn("json", F.from_json("value", schema))
        .withColumn("fetched_at", fetched_at)
        .select(
            "value",
            "from_retailer",
            *(F.col(f"json.{name}").alias(name) for name in table.attributes),
            F.expr("try_cast(fetched_at AS timestamp)").alias("updated_at"),  # Spark 3.5 has it in SQL only
            F.col("json.source_ref").alias("source_ref"),
            F.lit(0).alias("mapping_version"),
            F.lit("").alias("fetch_order"),
        )
        # Spark reads a truncated line as far as it goes; the last field shows it.
        .withColumn(
            "is_broken",
            F.expr(
                f"rtrim(value) NOT LIKE '%}}' OR source_ref IS NULL OR updated_at IS NULL OR {missing} "
                "OR retailer_id <> from_retailer"
            ),
        )
        .select(*table.attributes, *table.order, "is_broken")
    )


def newest(parsed: DataFrame, table: Table) -> DataFrame:
    """One row per natural key: the newest that has a name, which is the first attribute after the key."""
    name = next(name for name in table.attributes if name not in table.natural_key)
    return (
        parsed.where(f"NOT is_broken AND {name} IS NOT NULL")
        .drop("is_broken")
        .transform(with_content_hash(table))
        .transform(newest_per(*table.natural_key))
    )


def preferring(described: DataFrame | None, table: Table) -> Transform:
    """Replaces all of a row's own attributes by its description, if there is one.

    So a described row does not depend on which sale came last. Rows that are only described are not added.
    """
    if described is None:
        return lambda rows: rows
    names = (*table.attributes, *table.order, "content_hash")
    given = described.select(*(F.col(name).alias(f"given_{name}") for name in names))
    on = " AND ".join(f"{name} = given_{name}" for name in table.natural_key)
    chosen = [
        F.when(F.col("given_updated_at").isNotNull(), F.col(f"given_{name}"))
        .otherwise(F.col(name))
        .alias(name)
        for name in names
    ]
    return lambda rows: rows.join(given, F.expr(on), "left").select(table.key, *chosen)
