"""What is done to Delta tables without an engine."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from retail import delta
from retail.errors import StorageError
from retail.storage import LocalStorage, Storage, open_storage
from tests.s3 import S3Server

S3 = pytest.param("s3", marks=[pytest.mark.s3, pytest.mark.xdist_group("s3")])


@pytest.fixture(params=["folder", S3])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return LocalStorage(tmp_path)
    server: S3Server = request.getfixturevalue("s3_server")
    return open_storage(server.new_lake())


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
    with pytest.raises(StorageError, match="star/t could not be given channel: 403 for …") as caught:
        delta.add_columns(storage, "star/t", {"channel": "string"})
    assert "very-secret" not in str(caught.value)
