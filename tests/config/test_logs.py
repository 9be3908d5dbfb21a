"""Log lines: JSON where there is no terminal, the run's id in each, whatever thread writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from retail.config import logs


@pytest.fixture(autouse=True)
def run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_run", {})
    yield
    structlog.reset_defaults()


def test_every_line_bears_the_run_s_id_in_whichever_thread(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    log = structlog.get_logger()
    log.warning("before")
    logs.bind_run("run-1")
    log.warning("here")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(log.warning, "there", retailer="retailer_1").result()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("run_id")) for line in lines] == [
        ("before", None), ("here", "run-1"), ("there", "run-1"),
    ]  # fmt: skip
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_steps_are_told_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger().info("quiet")
    logs.configure(verbose=True)
    structlog.get_logger().info("told")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["told"]
