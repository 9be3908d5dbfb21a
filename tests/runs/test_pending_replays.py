"""Days that are staged again are noted until the run that staged them last has come to its end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from retail.errors import StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.lake.storage.local import LocalStorage
from retail.runs import pending_replays

FIRST, SECOND = ("retailer_1", date(2017, 1, 1)), ("retailer_2", date(2017, 1, 9))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path)


def test_what_a_run_staged_again_is_left_until_that_run_ends(storage: Storage) -> None:
    assert pending_replays.left(storage) == set()
    pending_replays.begin(storage, "run-1", {FIRST, SECOND})
    pending_replays.end(storage, "run-2")
    assert pending_replays.left(storage) == {FIRST, SECOND}
    pending_replays.end(storage, "run-1")
    assert pending_replays.left(storage) == set()
    assert list(storage.list("ops/")) == []


def test_a_day_is_left_by_the_run_that_staged_it_last(storage: Storage) -> None:
    pending_replays.begin(storage, "run-1", {FIRST, SECOND})
    pending_replays.begin(storage, "run-2", {FIRST})
    pending_replays.end(storage, "run-1")
    assert pending_replays.left(storage) == {FIRST}
    pending_replays.begin(storage, "run-1", {FIRST})  # an older run that stages once more
    pending_replays.end(storage, "run-2")
    assert pending_replays.left(storage) == {FIRST}
    pending_replays.end(storage, "run-1")
    assert pending_replays.left(storage) == set()


@pytest.mark.parametrize("damaged", ["[", "[]", '{"run-1": [["retailer_1"]]}', '{"run-1": 7}'])
def test_a_damaged_note_is_named_with_what_to_do(storage: Storage, damaged: str) -> None:
    storage.write(layout.PENDING_REPLAYS, damaged.encode())
    with pytest.raises(StorageError, match=r"ops/replays.json cannot be read"):
        pending_replays.left(storage)
