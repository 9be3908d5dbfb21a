"""Whatever goes wrong at a retailer, alone or mixed: all lands as if nothing had, or the error says what is missing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tests.sources.conftest import ENVIRONMENT

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.errors import ExtractError
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.sources.http.messages import Clock
from retail.sources.registry import open_service, sales_of
from retail.sources.window import window_of_unit

pytestmark = pytest.mark.slow

RETAILERS = ["retailer_1", "retailer_2", "retailer_3"]
KINDS = [
    "429", "500", "503", "slow", "cut", "broken_json", "drop", "expired_token", "repeated_page", "endless_cursor",
]  # fmt: skip
# What the client may give up at; everything else passes when it is asked again.
GIVEN_UP = ("repeated_page", "endless_cursor")
NOW = datetime(2017, 1, 20, 12, tzinfo=UTC)
DAY = date(2017, 1, 8)
# A part of the day is enough for a few pages, and quick.
UNTIL = datetime(2017, 1, 8, 10, tzinfo=UTC)

Line = dict[str, Any]


class KilledError(BaseException):
    """As a kill: nothing catches it."""


@dataclass
class Bench:
    """A simulator whose orders live on, and the pipeline's own way from it to a raw file.

    Only a disturbed way is impatient, so that a slow machine is no fault.
    """

    address: str
    settings: Settings
    is_disturbed: bool = False

    def switch_on(self, retailer_id: str, faults: list[dict[str, Any]]) -> None:
        self.is_disturbed = bool(faults)
        requests.delete(f"{self.address}/simulator/faults", timeout=30).raise_for_status()
        for fault in faults:
            asked = {"retailer": retailer_id, **fault}
            requests.post(f"{self.address}/simulator/faults", json=asked, timeout=30).raise_for_status()

    def waiting(self, retailer_id: str) -> list[dict[str, Any]]:
        """The faults that no request has met yet."""
        answer = requests.get(f"{self.address}/simulator/faults", timeout=30).json()
        found: list[dict[str, Any]] = answer[retailer_id]
        return found

    def bring_in(
        self, retailer_id: str, lake: LocalStorage, run_id: str, *, killed_behind: int | None = None
    ) -> list[Line]:
        """The lines of the raw file, without their places in the payloads. No time passes in waits."""

        def on_page(page: Any) -> None:
            if page.number == killed_behind:
                raise KilledError

        patient = self.settings.extract.model_copy(update={"timeout_seconds": 30.0})
        service = open_service(
            retailer_id,
            self.settings if self.is_disturbed else self.settings.model_copy(update={"extract": patient}),
            Secrets(ENVIRONMENT),
            clock=Clock(now=lambda: NOW, sleep=lambda _: None),
        )
        window = replace(window_of_unit(self.settings, (retailer_id, DAY)), end=UNTIL)
        extract(service, lake, retailer_id=retailer_id, window=window, run_id=run_id, on_page=on_page)
        landed = land(sales_of(retailer_id, self.settings), lake, retailer_id=retailer_id, logical_date=DAY)
        lines = [json.loads(line) for line in lake.read(landed.key).splitlines()]
        return [line | {"source_ref": None} for line in lines]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    options = ("--changes", "--speed", "0")
    with demo.simulator({**os.environ, **ENVIRONMENT}, clock=NOW, options=options) as address:
        amazon = {
            "token_url": f"{address}/auth/o2/token",
            "marketplace_ids": ["ATVPDKIKX0DER"],
            "page_size": 12,
        }
        zone = {"time_zone": "Etc/UTC", "base_url": address}
        retailers = {
            "retailer_1": {"service": "amazon", "name": "A", "options": amazon, **zone},
            "retailer_2": {"service": "walmart", "name": "W", **zone},
            "retailer_3": {"service": "shopify", "name": "S", "options": {"page_size": 12}, **zone},
        }
        yield Bench(
            address,
            Settings(
                start_date="2017-01-01",
                lake={"url": "unused"},
                extract={"tries": 4, "timeout_seconds": 1.0},
                retailers=retailers,
            ),
        )


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Line]]:
    bench.switch_on("retailer_1", [])
    return {
        retailer_id: bench.bring_in(retailer_id, LocalStorage(tmp_path_factory.mktemp("lake")), "r0")
        for retailer_id in RETAILERS
    }


@pytest.fixture
def ends_right(bench: Bench, undisturbed: dict[str, list[Line]]) -> Callable[..., None]:
    """Runs a day under faults, then without: what landed is whole each time, or the error names what is missing."""

    def judge(retailer_id: str, faults: list[dict[str, Any]], killed_behind: int | None = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lake = LocalStorage(Path(folder))
            bench.switch_on(retailer_id, faults)
            try:
                landed = bench.bring_in(retailer_id, lake, "r1", killed_behind=killed_behind)
                assert landed == undisturbed[retailer_id]
            except ExtractError as error:
                assert error.message.startswith(f"{retailer_id}: ")
                assert error.hint
                # Four tries: fewer faults than that, one after the other, are no reason to give up.
                harmless = sum(fault["times"] for fault in faults) < 4
                kinds = {fault["kind"] for fault in faults}
                assert not harmless or kinds & {*GIVEN_UP, "expired_token"}
            except KilledError:
                pass
            bench.switch_on(retailer_id, [])
            assert bench.bring_in(retailer_id, lake, "r2") == undisturbed[retailer_id]

    return judge


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_a_day_has_all_kinds_of_lines(undisturbed: dict[str, list[Line]], retailer_id: str) -> None:
    kinds = {(line["record_type"], line["status"]) for line in undisturbed[retailer_id]}
    assert {("sale", "completed"), ("sale", "cancelled")} <= kinds
    assert retailer_id == "retailer_1" or ("return", "completed") in kinds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_a_day_lands_whole_though_something_goes_wrong(
    bench: Bench, undisturbed: dict[str, list[Line]], lake: LocalStorage, retailer_id: str, kind: str
) -> None:
    # Two tries of four go wrong; a token is refreshed once only.
    times = 1 if kind == "expired_token" else 2
    bench.switch_on(retailer_id, [{"kind": kind, "after": 1, "times": times, "seconds": 1.2}])
    if kind in GIVEN_UP:
        with suppress(ExtractError):  # where the first pages of lists were met, which repeat none
            assert bench.bring_in(retailer_id, lake, "r1") == undisturbed[retailer_id]
    else:
        assert bench.bring_in(retailer_id, lake, "r1") == undisturbed[retailer_id]
        assert bench.waiting(retailer_id) == []
    bench.switch_on(retailer_id, [])
    assert bench.bring_in(retailer_id, lake, "r2") == undisturbed[retailer_id]


FAULTS = st.builds(
    lambda kind, after, times: {"kind": kind, "after": after, "times": times, "seconds": 1.2},
    st.sampled_from(KINDS),
    st.integers(0, 4),
    st.integers(1, 5),
)


@seed(int(os.environ["RETAIL_TEST_SEED"]))
@settings(
    max_examples=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(RETAILERS), st.lists(FAULTS, min_size=1, max_size=4), st.none() | st.integers(1, 4))
def test_any_mixture_of_faults_and_a_kill_lands_the_day_whole_or_says_what_is_missing(
    ends_right: Callable[..., None], retailer_id: str, faults: list[dict[str, Any]], killed_behind: int | None
) -> None:
    ends_right(retailer_id, faults, killed_behind)
