"""A lake in a place with an odd name: both engines, deltalake and SQL find it, and nothing is written beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable
from tests.conftest import settings_for

from retail.errors import ConfigurationError
from retail.lake import delta, external_tables, location, temporary_folder
from retail.lake.engine import open_session
from retail.lake.layout import raw_folder
from retail.lake.storage import open_storage

ODD = "a é日e\u0301 #100% ' \" ` [b] * {c} ? + & = : ~^|$;,!@(<>"


@pytest.mark.parametrize(
    "name",
    [
        "sail",
        pytest.param(
            "spark", marks=[pytest.mark.spark, pytest.mark.nightly, pytest.mark.xdist_group("spark")]
        ),
    ],
)
def test_a_folder_with_every_odd_character_holds_a_lake_and_nothing_is_written_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    monkeypatch.chdir(folder)
    settings = settings_for(name, folder)
    storage = open_storage(settings.lake, settings.engine)
    storage.write(f"{raw_folder('retailer_1')}year=2017/month=01/day=01/sales_data.json", b"{}\n{}\n")
    with open_session(settings) as session:
        rows = session.createDataFrame([(1, "x y"), (2, "ü%")], "id int, part string")
        delta.replace(rows, storage, "star/t", partition_by=["part"])
        rows.createOrReplaceTempView("new_rows")
        target = location.in_sql(storage.engine_path("star/t"))
        session.sql(
            f"MERGE INTO delta.{target} AS t USING new_rows AS s ON t.id = s.id"
            " WHEN MATCHED AND t.id = 1 THEN UPDATE SET id = 11"
        ).collect()
        session.sql(f"UPDATE delta.{target} SET id = 12 WHERE id = 2").collect()
        assert {row.id for row in delta.read(session, storage, "star/t").collect()} == {11, 12}
        first = delta.read(session, storage, "star/t", at=0)
        assert {row.id for row in first.collect()} == {1, 2}
        external_tables.register(session, settings, storage)
        assert session.sql("SELECT count(*) AS n FROM raw_sales WHERE year = '2017'").collect()[0].n == 2
    delta.add_columns(storage, "star/t", {"extra": "string"})
    found = delta.query(storage, "star/t", "SELECT sum(id) AS n FROM {table}")
    assert found == [{"n": 23}]
    opened = DeltaTable(storage.delta_url("star/t"))
    opened.optimize.compact()
    opened.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    opened.create_checkpoint()
    assert {row["id"] for row in delta.rows(storage, "star/t", where="id > 0")} == {11, 12}
    assert [each.name for each in tmp_path.iterdir()] == [ODD]
    assert sorted(each.name for each in folder.iterdir()) == ["raw", "star"]
    assert (
        f"text.{location.in_sql(f'{folder}/raw/retailer_1')}" in external_tables.spark(settings, storage)[0]
    )


@pytest.mark.parametrize(
    ("url", "engine", "named"),
    [
        ("a%20b", "sail", "'%20'"),
        ("a%20b", "spark", "'%20'"),
        ("a\\b", "sail", r"'\\'"),
        ("a\nb", "sail", r"'\\n'"),
        ("s3://bucket/a b", "sail", "' '"),
        ("s3://bucket/aéb", "sail", "'é'"),
        ("s3://bucket/a{b", "spark", "'{'"),
        ("s3://bucket/a%20b", "spark", "'%20'"),
        ("s3://bucket/a//b", "sail", "'//'"),
        ("s3://bucket/../b", "spark", "'..'"),
    ],
)
def test_what_a_client_would_write_elsewhere_is_refused_by_name(
    url: str, engine: location.Engine, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        open_storage(settings_for(engine, Path("x")).lake.model_copy(update={"url": url}), engine)
    assert named in refused.value.problems[0]
    assert refused.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_plain_folder_has_no_alias_and_spark_takes_more_names_as_they_are(tmp_path: Path) -> None:
    assert location.for_engine(tmp_path / "a=b+c", "sail") == tmp_path / "a=b+c"
    assert location.for_engine(tmp_path / "a b é", "spark") == tmp_path / "a b é"
    alias = location.for_engine(tmp_path / "a b", "sail")
    assert alias.resolve() == tmp_path / "a b"
    assert alias.parent == temporary_folder.folder()
    assert location.for_engine(tmp_path / "a b", "sail") == alias != location.alias_of(tmp_path / "a  b")


def test_a_temporary_folder_with_an_odd_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t m p").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t m p"))
    made = temporary_folder.folder.__wrapped__()
    assert made.is_dir()
    assert not made.is_relative_to(tmp_path)


def test_a_spark_elsewhere_has_no_alias_and_refuses_a_pattern(tmp_path: Path) -> None:
    location.require_shared(settings_for("spark", tmp_path / "a b").lake)
    with pytest.raises(ConfigurationError) as refused:
        location.require_shared(settings_for("spark", tmp_path / "a[b").lake)
    assert "'['" in refused.value.problems[0]
