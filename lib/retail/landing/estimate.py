"""The plan before a backfill: calls, minutes and quota per retailer, shown before any sale is fetched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.errors import ConfigurationError, RetailError
from retail.runs.days import RetailerDay
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.registry import open_service, problems, windows_of
from retail.sources.service import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The cost of fetching `days` days of a retailer; `seconds` covers waits for quota and for responses.

    Days that are not over are left out. `estimate` is None if the retailer could not be asked; `failure` says why.
    """

    retailer_id: str
    days: int
    seconds: float
    estimate: Estimate | None
    failure: str | None


def plan(settings: Settings, secrets: Secrets, units: Sequence[RetailerDay]) -> list[Planned]:
    """The plan for each retailer of the units; their secrets are needed. Raises ConfigurationError."""
    retailers = sorted({retailer for retailer, _ in units})
    found = problems(settings, secrets, retailers)
    if found:
        raise ConfigurationError(found)
    with ThreadPoolExecutor(max_workers=max(1, len(retailers))) as pool:
        return list(pool.map(lambda retailer: _of_retailer(settings, secrets, retailer, units), retailers))


def _of_retailer(
    settings: Settings, secrets: Secrets, retailer_id: str, units: Sequence[RetailerDay]
) -> Planned:
    of_retailer = [unit for unit in units if unit[0] == retailer_id]
    asked = [window for _, window in sorted(windows_of(settings, of_retailer).items())]
    windows = [window for window in asked if window.end <= datetime.now(UTC)]
    if not windows:
        failure = f"{retailer_id}: {asked[0].logical_date} has not ended there"
        return Planned(retailer_id=retailer_id, days=len(asked), seconds=0, estimate=None, failure=failure)
    started = time.monotonic()
    try:
        service = open_service(retailer_id, settings, secrets, quota_policy=QuotaPolicy(waits=False))
        estimate = service.estimate(windows)
    except RetailError as error:
        return Planned(
            retailer_id=retailer_id, days=len(windows), seconds=0, estimate=None, failure=str(error)
        )
    seconds_a_call = (time.monotonic() - started) / max(1, estimate.asked)
    return Planned(
        retailer_id=retailer_id,
        days=len(windows),
        seconds=estimate.quota_seconds + estimate.calls * seconds_a_call,
        estimate=estimate,
        failure=None,
    )
