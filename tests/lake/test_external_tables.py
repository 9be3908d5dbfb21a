"""The SQL for other readers, ready for a lake, says what the code says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from tests.conftest import settings_for

from retail.config.settings import LakeSettings, Settings, home
from retail.errors import ConfigurationError, StorageError
from retail.lake import external_tables
from retail.lake.layout import raw_file
from retail.lake.storage.local import LocalStorage
from retail.records import RAW_SCHEMA
from retail.star import TABLES

VIEWS = sorted(path.stem for path in (home() / "sql" / "views").glob("mv_*.sql"))
LAKE = "s3://a-bucket/it's here"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for("sail", tmp_path).model_copy(update={"lake": LakeSettings(url=LAKE)})


def properties(create: exp.Expression) -> dict[str, str]:
    return {
        found.this.name: found.args["value"].name
        for found in create.find_all(exp.Property)
        if type(found) is exp.Property
    }


def test_athena_is_told_of_the_raw_files_each_table_of_the_star_and_each_view(settings: Settings) -> None:
    told = [sqlglot.parse_one(statement, dialect="athena") for statement in external_tables.athena(settings)]
    assert all(isinstance(statement, exp.Create) for statement in told)
    kinds = [(str(each.args["kind"]), each.find(exp.Table).name) for each in told]
    tables = {("TABLE", table.name) for table in TABLES} | {("TABLE", "raw_sales")}
    assert set(kinds) == tables | {("VIEW", view) for view in VIEWS}
    assert len(kinds) == len(set(kinds))
    assert [kind for kind, _ in kinds] == sorted(
        kind for kind, _ in kinds
    )  # a view when its tables are there


def test_athena_reads_each_table_of_the_star_where_the_pipeline_writes_it(settings: Settings) -> None:
    for table in TABLES:
        [statement] = [text for text in external_tables.athena(settings) if f"EXISTS {table.name}\n" in text]
        create = sqlglot.parse_one(statement, dialect="athena")
        location = create.find(exp.LocationProperty)
        assert location is not None
        assert location.this.this == f"{LAKE}/{table.path}/"
        assert properties(create) == {"table_type": "DELTA"}  # type: ignore[arg-type]
        assert not list(create.find_all(exp.ColumnDef))


@pytest.fixture
def raw(settings: Settings) -> exp.Expression:
    [statement] = [text for text in external_tables.athena(settings) if "EXISTS raw_sales" in text]
    return sqlglot.parse_one(statement, dialect="athena")  # type: ignore[return-value]


def test_the_raw_table_s_columns_are_sales_record_s_in_order_with_their_types(raw: exp.Expression) -> None:
    columns = [column.sql(dialect="hive").lower() for column in raw.this.find_all(exp.ColumnDef)]
    assert ", ".join(columns) == RAW_SCHEMA


def test_spark_s_raw_columns_are_sales_record_s_in_order_with_their_types(
    settings: Settings, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path / "lake")
    storage.write(raw_file("retailer_1", date(2017, 1, 5)), b"")
    [of_retailer, _] = external_tables.spark(settings, storage)
    assert f"from_json(value, '{RAW_SCHEMA}') AS sale" in of_retailer


def test_the_raw_partitions_lead_to_the_very_files_that_are_landed(raw: exp.Expression) -> None:
    told = properties(raw)
    assert told["projection.enabled"] == "true"
    assert told["projection.retailer.values"] == "retailer_1,retailer_2,retailer_3"
    assert told["projection.year.range"] == "2017,NOW"  # from start_date on
    partitioned = raw.find(exp.PartitionedByProperty)
    assert partitioned is not None
    names = [column.name for column in partitioned.find_all(exp.ColumnDef)]
    assert names == ["retailer", "year", "month", "day"]
    day = {"retailer": "retailer_2", "year": "2017", "month": "01", "day": "05"}
    for name in ("month", "day"):
        assert (told[f"projection.{name}.type"], told[f"projection.{name}.digits"]) == ("integer", "2")
    folder = re.sub(r"\$\{(\w+)\}", lambda name: day[name[1]], told["storage.location.template"])
    assert folder + "sales_data.json" == f"{LAKE}/{raw_file('retailer_2', date(2017, 1, 5))}"


def test_athena_has_no_use_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder, and Athena reads S3"):
        external_tables.athena(settings_for("sail", tmp_path))


def test_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="run `retail run`"):
        external_tables.spark(settings_for("sail", tmp_path), LocalStorage(tmp_path / "lake"))


def test_before_the_star_is_built_the_raw_files_of_who_has_some_can_be_read(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "a `lake`")
    storage.write(raw_file("retailer_2", date(2017, 1, 5)), b"")
    ready = external_tables.spark(settings_for("sail", tmp_path), storage)
    names = [re.findall(r"VIEW (\w+)", statement) for statement in ready]
    assert names == [["raw_retailer_2"], ["raw_sales"]]
    assert f"text.`{tmp_path}/a ``lake``/raw/retailer_2`" in ready[0]
