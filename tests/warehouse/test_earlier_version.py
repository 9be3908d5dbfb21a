"""A lake, a PostgreSQL and a configuration that the code of commit 79da628 left go on with today's code.

`data/format_2.sql.gz` is a dump of the database to which that code published the lake `tests/star/data/format_2_lake`.
"""

from __future__ import annotations

import gzip
import tarfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from retail.config.settings import home, load_settings
from retail.lake import delta
from retail.lake.layout import raw_file
from retail.pipeline.runner import STEP_FUNCTIONS
from retail.quality import tie_out
from retail.star import merge
from retail.star.tables import fact_sales
from retail.warehouse.connection import Warehouse
from retail.warehouse.totals import star_totals
from tests.oracle.playing import Lake, settings_of
from tests.star.data import make_format_2_lake
from tests.steps import step_context
from tests.warehouse.versions import rows

DUMP = Path(__file__).with_name("data") / "format_2.sql.gz"
CONFIGURATIONS = Path(__file__).parents[1] / "config" / "data"


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session")
def test_a_day_that_comes_again_is_published_to_a_postgresql_of_before(
    session: SparkSession, engine: str, tmp_path: Path, empty: Warehouse
) -> None:
    with tarfile.open(Path(make_format_2_lake.__file__).with_name("format_2_lake.tar.gz")) as tar:
        tar.extractall(tmp_path / "lake", filter="data")
    rows(empty, gzip.decompress(DUMP.read_bytes()).decode())
    figures = "SELECT count(*), sum(total_amount) FROM star.fact_sales"
    before = rows(empty, figures)
    lake = Lake(session, settings_of(engine, tmp_path / "lake"))
    workspace = lake.workspace
    workspace.__dict__["warehouse"] = empty
    unit = ("retailer_1", date(2017, 1, 6))
    file = raw_file(*unit)
    corrected = workspace.storage.read(file).decode().replace('"10.00"', '"10.01"')
    workspace.storage.write(file, corrected.encode())
    context = step_context(
        workspace, workspace.ledger.begin("run-3", [unit], tasks=("transform",), engine=engine)
    )

    for step in ("stage", "gate", "merge", "publish"):
        result = STEP_FUNCTIONS[step](context)
        workspace.ledger.end_step("run-3", step, result.to_json(), seconds=0)

    at = delta.require_version(workspace.storage, fact_sales.TABLE.path)
    of_lake = merge.totals(session, workspace.storage, fact_sales.TABLE, None, at=at)
    assert (before, rows(empty, figures)) == ([(6, Decimal("40.1000"))], [(6, Decimal("40.1200"))])
    tie_out.require(
        [tie_out.POSTGRESQL], [*star_totals(empty), *(count.as_hop("delta_after") for count in of_lake)]
    )


@pytest.mark.parametrize("name", ["local", "aws"])
def test_a_configuration_of_before_means_what_it_meant(name: str) -> None:
    earlier = load_settings(CONFIGURATIONS / f"{name}_79da628.toml")
    today = load_settings(home() / "conf" / f"{name}.toml")
    assert earlier.model_dump() == today.model_dump()
