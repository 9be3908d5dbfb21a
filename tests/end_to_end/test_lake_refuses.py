"""The lake does not take what one retailer answered: the run fails at once, and goes on later."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from retail.cli.local import demo
from retail.errors import LeaseHeldError, StorageError
from retail.lake.layout import OUT_OF_REACH
from retail.landing import payloads
from retail.pipeline import runner
from tests.end_to_end.conftest import CLOCK, Truth
from tests.end_to_end.installation import Installation, told
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

Install = Callable[..., Installation]
DAYS = [date(2017, 1, 1), date(2017, 1, 2)]


@pytest.fixture
def slow() -> Iterator[str]:
    """Retailers 1 and 2 take a second for each answer."""
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        for retailer in ("retailer_1", "retailer_2"):
            fault = {"retailer": retailer, "kind": "slow", "times": 1000, "seconds": 1}
            requests.post(f"{address}/simulator/faults", json=fault, timeout=10).raise_for_status()
        yield address


def test_a_lake_that_takes_no_page_of_one_day_stops_all_and_the_same_command_goes_on(
    install: Install, slow: str, truth: Truth
) -> None:
    made = install("refusing", address=slow)
    small_pages = {
        "RETAIL_RETAILERS__RETAILER_1__OPTIONS": json.dumps(
            {"token_url": f"{slow}/auth/o2/token", "marketplace_ids": ["ATVPDKIKX0DER"], "page_size": 20}
        ),
        "RETAIL_RETAILERS__RETAILER_2__OPTIONS": json.dumps({"page_size": 20}),
    }
    command = ("backfill", "--from", str(DAYS[0]), "--to", str(DAYS[1]), "--parallel", "2")
    obstacle = made.folder / "lake" / "payloads" / "retailer_2" / f"date={DAYS[1]}"
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()

    failed = made.retail(*command, **small_pages)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert f"{obstacle}/run=" in failed.stderr
    assert "[storage]" in failed.stderr
    assert "FAILED" not in failed.stdout
    kept = _pages(made)

    obstacle.unlink()
    requests.delete(f"{slow}/simulator/faults", timeout=10).raise_for_status()
    ended = made.retail(*command, **small_pages)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    after = _pages(made)
    assert len({page.parent.name for page in after}) == 1, "the same run went on"
    assert kept.items() <= after.items()
    for retailer in ("retailer_1", "retailer_2"):
        assert 0 < _of(kept, retailer) < _of(after, retailer), (
            "it stopped where it was, nothing fetched is lost"
        )
    assert made.postgresql_figures() == truth(DAYS)


def test_a_lease_that_is_lost_while_retailers_are_asked_is_no_fault_of_theirs(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> str:
        raise LeaseHeldError("run 1 lost its lease on lake while it worked", hint="run again")

    monkeypatch.setattr(payloads, "write", lost)
    said = told(install("lease_lost"), "run", "--date", str(DAYS[0]), code=1)
    in_operations("run … lost its lease on … while it worked", said)


def test_a_page_of_one_retailer_that_is_damaged_stops_no_other(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("damaged")
    with monkeypatch.context() as patch:
        patch.setitem(runner.STEP_FUNCTIONS, "land", _no_room)
        told(made, "run", "--date", str(DAYS[0]), code=1)
    *_, page = sorted((made.folder / "lake" / "payloads" / "retailer_2").rglob("*.json.gz"))
    page.write_bytes(page.read_bytes()[:-20])
    said = told(made, "run", "--date", str(DAYS[0]), "--only", "retailer_1", "--only", "retailer_2", code=3)
    assert re.search(rf"retailer_2 FAILED\b.*: 2017-01-01 .*: {page} ", said)


@pytest.mark.parametrize("backup", [True, False])
def test_a_damaged_page_of_an_earlier_run_stops_no_other_retailer_and_is_brought_back_or_fetched_anew(
    backup: bool, install: Install, truth: Truth
) -> None:
    made = install(f"damaged_earlier_{backup}")
    two = ("--only", "retailer_1", "--only", "retailer_2")
    told(made, "run", "--date", str(DAYS[0]), *two)
    page = next((made.folder / "lake" / "payloads" / "retailer_2").rglob("*.json.gz"))
    content = page.read_bytes()

    page.write_bytes(content[:-20])
    said = told(made, "run", "--date", str(DAYS[0]), *two, "--again", code=3)
    assert re.search(rf": 2017-01-01 .*: {page} ", said)
    in_operations("… FAILED, the others continued: … is missing: … is damaged", said)
    assert not (made.folder / "lake" / OUT_OF_REACH).exists(), "the day stays due"
    if backup:
        page.write_bytes(content)
        told(made, "run", "--date", str(DAYS[0]), *two)
    else:
        shutil.rmtree(page.parent)
        told(made, "run", "--date", str(DAYS[0]), "--only", "retailer_2", "--again")
    expected = {key: figures for key, figures in truth([DAYS[0]]).items() if key[0] in two}
    assert made.postgresql_figures() == expected


def _no_room(_: object) -> NoReturn:
    raise StorageError("no room left", hint="make room")


def _pages(made: Installation) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (made.folder / "lake" / "payloads").rglob("*.json.gz")}


def _of(pages: dict[Path, bytes], retailer: str) -> int:
    return sum(retailer in page.parts for page in pages)
