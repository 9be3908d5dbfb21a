"""Taking a publish back is a run's work: all of it is done within the lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import settings_for

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage import Storage
from retail.pipeline import rollback
from retail.pipeline import workspace as opened
from retail.pipeline.workspace import Workspace
from retail.runs import lease
from retail.runs.fenced_storage import FencedStorage
from retail.warehouse.rollback import Prepared, Publish

NOW = datetime(2017, 1, 5, tzinfo=UTC)


def test_what_it_reads_and_writes_with_is_made_within_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Workspace(settings_for("sail", tmp_path), Secrets({}))
    seen: list[Storage] = []

    def is_held() -> bool:
        return lease.holder(work.storage, now=datetime.now(UTC)) is not None

    @contextmanager
    def session(_: Settings) -> Iterator[object]:
        assert is_held(), "the engine began before the lease was held"
        yield object()

    def taken_back(*_: object, judge: rollback.rollback.Judge, **__: object) -> None:  # type: ignore[name-defined]
        publishes = [Publish((name,), name, NOW, {"fact_sales": 1}) for name in ("run_2", "run_1")]
        judge(Prepared(publishes[0], publishes[1], [], True))

    def totals(_session: object, storage: Storage, *_: object, **__: object) -> list[object]:
        seen.append(storage)
        return []

    monkeypatch.setattr(opened, "open_session", session)
    monkeypatch.setattr(rollback, "prepare", lambda _: None)
    monkeypatch.setattr(rollback.rollback, "already", lambda *_: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(rollback, "published_runs", lambda _: {"run_1"})
    monkeypatch.setattr(rollback.rollback, "roll_back", taken_back)  # type: ignore[attr-defined]
    monkeypatch.setattr(rollback.merge, "totals", totals)  # type: ignore[attr-defined]
    work.__dict__["warehouse"] = object()

    with work:
        rollback.roll_back(work)

    assert [type(each) for each in seen] == [FencedStorage]
    assert not is_held()
