"""What is done to Delta tables without an engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError
from tests.s3 import S3Server

from retail.config.settings import LakeSettings
from retail.errors import LeaseHeldError, StorageError
from retail.lake import delta
from retail.lake.storage import Storage, open_storage
from retail.lake.storage.local import LocalStorage
from retail.lake.storage.s3 import S3Storage
from retail.warehouse.embedded.cluster import free_port

S3 = pytest.param("s3", marks=[pytest.mark.s3, pytest.mark.xdist_group("s3")])


@pytest.fixture(params=["folder", S3])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return LocalStorage(tmp_path)
    server: S3Server = request.getfixturevalue("s3_server")
    return open_storage(server.new_lake())


def test_the_package_tries_by_time_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    lake = LakeSettings(
        url="s3://bucket/lake", s3_endpoint=f"http://127.0.0.1:{free_port()}", s3_path_style=True,
        s3_retry_seconds=0.4,
    )  # fmt: skip
    with pytest.raises(StorageError) as raised:
        delta.table(S3Storage(lake), "star/t")
    words = re.sub(r"\x1b\[\d*m|\s+|↳", " ", raised.value.message)
    assert re.search(r"max_retries:? +1000000\b", words), words
    assert re.search(r"retry_timeout:? +400ms", words), words


def test_a_table_gets_columns_of_our_types_in_one_commit_and_none_where_there_are_none(
    storage: Storage,
) -> None:
    rows = pa.table({"sales_key": [1, 2]})
    write_deltalake(storage.delta_url("star/t"), rows, storage_options=storage.delta_options())
    added = {"channel": "string", "key": "bigint", "n": "int", "day": "date", "at": "timestamp",
             "is_new": "boolean", "weight": "decimal(18,3)"}  # fmt: skip

    delta.add_columns(storage, "star/t", added)
    delta.add_columns(storage, "star/t", {})

    assert delta.version(storage, "star/t") == 1
    found = delta.table(storage, "star/t").to_pyarrow_table()
    assert found.column_names == ["sales_key", *added]
    assert found.sort_by("sales_key").to_pylist() == [
        {"sales_key": n, **dict.fromkeys(added)} for n in (1, 2)
    ]


def test_a_table_that_cannot_be_changed_is_named_and_no_secret_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    write_deltalake(storage.delta_url("star/t"), pa.table({"sales_key": [1]}))
    monkeypatch.setattr(LocalStorage, "delta_options", lambda _: {"aws_secret_access_key": "very-secret"})

    def refused(*_: object) -> None:
        raise DeltaError("403 for very-secret")

    monkeypatch.setattr("deltalake.table.TableAlterer.add_columns", refused)
    with pytest.raises(StorageError, match="star/t could not get the columns channel: 403 for …") as caught:
        delta.add_columns(storage, "star/t", {"channel": "string"})
    assert "very-secret" not in str(caught.value)


def test_a_secret_is_cut_out_before_the_text_is_cut_and_an_empty_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    options = {"aws_secret_access_key": "very-secret", "aws_session_token": ""}
    monkeypatch.setattr(LocalStorage, "delta_options", lambda _: options)
    told = delta.without_secrets(DeltaError("x" * 495 + "very-secret"), storage)
    assert told == "x" * 495 + "…"


def _the_log_is_damaged(table: Path) -> None:
    (table / "_delta_log" / f"{1:020}.json").write_text('{"add": {')


def _a_commit_is_gone(table: Path) -> None:
    (table / "_delta_log" / f"{1:020}.json").unlink()


def _a_file_is_damaged(table: Path) -> None:
    for file in table.glob("*.parquet"):
        file.write_text("x")


def _a_file_is_gone(table: Path) -> None:
    for file in table.glob("*.parquet"):
        file.unlink()


@pytest.mark.parametrize(
    "damage", [_the_log_is_damaged, _a_commit_is_gone, _a_file_is_damaged, _a_file_is_gone]
)
def test_a_damaged_table_is_named_with_a_next_step(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    storage = LocalStorage(tmp_path)
    for number in range(3):
        write_deltalake(storage.delta_url("star/t"), pa.table({"n": [number]}), mode="append")
    damage(tmp_path / "star" / "t")
    with pytest.raises(StorageError, match="star/t could not be read: ") as caught:
        list(delta.rows(storage, "star/t", where="n >= 0"))
    with pytest.raises(StorageError, match="star/t could not be read: "):
        delta.query(storage, "star/t", "SELECT sum(n) AS n FROM {table}")
    assert "backup" in caught.value.hint
    assert "<unknown>" not in str(caught.value)


def test_of_rows_the_chosen_ones_are_read_in_the_columns_that_are_there(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    write_deltalake(storage.delta_url("star/t"), pa.table({"n": [1, 2], "m": [3, 4]}))
    found = delta.rows(storage, "star/t", where="n = :n", values={"n": 2}, columns=["m", "not there"])
    assert list(found) == [{"m": 4}]


def test_a_condition_takes_values_of_any_text_number_and_day(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    least, first = -(2**63), date(2017, 1, 1)
    rows = {
        "id": ["it's :n", "x", 'say "hi"'],
        "n": [least, 2, 2**63 - 1],
        "day": [first, first, date(2017, 1, 2)],
    }
    write_deltalake(storage.delta_url("star/t"), pa.table(rows))

    def found(where: str, **values: Any) -> list[int]:
        read = delta.rows(storage, "star/t", where=where, values=values, columns=["n"])
        return sorted(row["n"] for row in read)

    assert found("id = :id", id="it's :n") == [least]
    assert found("id IN :ids OR n IN :none", ids=["x", 'say "hi"'], none=[]) == [2, 2**63 - 1]
    assert found("n = :n", n=least) == [least]
    assert found("n IN :n AND day <= :day", n={2, 2**63 - 1}, day=first) == [2]
    assert found("day IN :days", days=[date(2017, 1, 2)]) == [2**63 - 1]
    assert found("id = :id", id="' OR '' = '") == []


def test_rows_are_read_by_no_thread_that_holds_python_objects(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lived to the interpreter's end brought the whole process down, after it had done all."""
    write_deltalake(
        storage.delta_url("star/t"), pa.table({"n": [1]}), storage_options=storage.delta_options()
    )
    monkeypatch.setattr("deltalake.table.DeltaTable.to_pyarrow_dataset", None)
    monkeypatch.setattr("deltalake.fs.DeltaStorageHandler.from_table", None)
    assert list(delta.rows(storage, "star/t", where="n = 1")) == [{"n": 1}]


@pytest.mark.parametrize("lost_at", [1, 2])
def test_an_engine_s_commit_needs_the_lease_before_and_after(tmp_path: Path, lost_at: int) -> None:
    asked: list[int] = []

    class Losing(LocalStorage):
        def require_writer(self) -> None:
            asked.append(len(asked) + 1)
            if asked[-1] == lost_at:
                raise LeaseHeldError("the lease is another's", hint="wait")

    commits = 0
    with pytest.raises(LeaseHeldError), delta.as_writer(Losing(tmp_path)):
        commits += 1
    assert (commits, len(asked)) == (lost_at - 1, lost_at)
