"""The lake for other readers: the SQL of `sql/athena` and `sql/spark`, filled in for this lake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from retail.config.settings import Settings, home
from retail.errors import ConfigurationError, EngineError, StorageError
from retail.lake import delta, layout, location, sql_text
from retail.lake.storage import Storage
from retail.records import RAW_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_VIEW: Final = "mv_"


def athena(settings: Settings) -> list[str]:
    """Statements that register this lake in Athena, each for a query of its own. Raises ConfigurationError."""
    place = settings.lake.url.rstrip("/").partition("://")[2]
    if not place:
        raise ConfigurationError(
            [f"lake.url: {settings.lake.url} is a folder, and Athena reads S3"],
            hint="name the bucket: RETAIL_LAKE__URL=s3://your-bucket/retail retail sql --print athena",
        )
    values = {
        # Escaped as in Hive, whose syntax Athena's DDL follows.
        "lake": f"s3://{place}".replace("\\", r"\\").replace("'", r"\'"),
        "fields": RAW_SCHEMA,
        "retailers": ",".join(settings.retailers),
        "first_year": f"{settings.start_date:%Y}",
    }
    files = [*_files("athena", views=False), *_files("athena", views=True)]
    return [statement for file in files for statement in _filled(file, values)]


def spark(settings: Settings, storage: Storage) -> list[str]:
    """Statements that create a temporary view of everything in the lake, for a Spark elsewhere.

    Raises StorageError if the lake is empty.
    """
    return _over(storage.shared_path(""), settings, storage)


def _over(path: str, settings: Settings, storage: Storage) -> list[str]:
    lake = {"lake": location.in_sql(path.rstrip("/"))[1:-1]}
    made = [*_raw(settings, storage, lake), *_star(storage, lake)]
    if not made:
        raise StorageError(
            f"there is nothing to read in {storage.url} yet",
            hint="run `retail run` for at least one day first",
        )
    return made


def register(session: SparkSession, settings: Settings, storage: Storage) -> None:
    """Create the views of `spark` in the session. Raises StorageError, EngineError."""
    for statement in _over(storage.engine_path(""), settings, storage):
        try:
            session.sql(statement)
        except Exception as error:  # raised by an engine for a table that it cannot read
            raise EngineError(
                f"the engine could not create a view over {storage.url}: {str(error).strip()[:500]}\n{statement}",
                hint="check the lake with `retail status` and `retail check`",
            ) from error


def _raw(settings: Settings, storage: Storage, lake: Mapping[str, str]) -> Iterator[str]:
    landed = [name for name in settings.retailers if next(storage.list(layout.raw_folder(name)), None)]
    for retailer in landed:
        yield from _filled(
            _file("spark", "raw_retailer"), {**lake, "retailer": retailer, "fields": RAW_SCHEMA}
        )
    if landed:
        together = "\nUNION ALL\n".join(f"SELECT * FROM raw_{retailer}" for retailer in landed)
        yield from _filled(_file("spark", "raw_sales"), {"raw_of_every_retailer": together})


def _star(storage: Storage, lake: Mapping[str, str]) -> Iterator[str]:
    tables = [file for file in _files("spark", views=False) if not file.stem.startswith("raw_")]
    there = [file for file in tables if delta.version(storage, layout.star_table(file.stem)) is not None]
    for file in there:
        yield from _filled(file, lake)
    if there == tables:
        for file in _files("spark", views=True):
            yield from _filled(file, {})


def _files(dialect: str, *, views: bool) -> list[Path]:
    files = sorted((home() / "sql" / dialect).glob("*.sql"))
    return [file for file in files if file.stem.startswith(_VIEW) == views]


def _file(dialect: str, name: str) -> Path:
    return home() / "sql" / dialect / f"{name}.sql"


def _filled(file: Path, values: Mapping[str, str]) -> list[str]:
    """The statements of the file, with each name replaced by its value in `values`."""
    text = file.read_text(encoding="utf-8")
    if values:
        names = re.compile(rf":({'|'.join(values)})\b")
        text = names.sub(lambda name: values[name[1]], text)
    return sql_text.split(text)[0]
