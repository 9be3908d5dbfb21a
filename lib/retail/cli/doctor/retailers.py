"""The findings of `retail doctor` on the retailers: each is logged in to, and asked once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from retail.cli.doctor.finding import Finding, failed
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.errors import ConfigurationError, RetailError
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.registry import open_service, windows_of
from retail.sources.service import ChecksAccess

CHECK: Final = "retailer"
_SECONDS: Final = 10.0  # a person is waiting for the answer


def examine_retailers(settings: Settings, secrets: Secrets) -> Iterator[Finding]:
    """One finding per retailer. Each takes a call or two and its token, and some seconds at most."""
    quick = settings.extract.model_copy(
        update={
            "tries": 1,
            "retry_budget_seconds": 0,
            "timeout_seconds": min(settings.extract.timeout_seconds, _SECONDS),
        }
    )
    once = settings.model_copy(update={"extract": quick})
    with ThreadPoolExecutor(max_workers=min(16, len(settings.retailers))) as pool:
        yield from pool.map(lambda name: _examine(name, once, secrets), settings.retailers)


def _examine(retailer_id: str, settings: Settings, secrets: Secrets) -> Finding:
    retailer = settings.retailers[retailer_id]
    check = f"{CHECK} {retailer_id}"
    try:
        service = open_service(retailer_id, settings, secrets, quota_policy=QuotaPolicy(waits=False))
        if isinstance(service, ChecksAccess):
            service.check_access()
        else:
            day = datetime.now(ZoneInfo(retailer.time_zone)).date() - timedelta(days=1)
            day = min(day, settings.runs.until or day)
            service.estimate(list(windows_of(settings, [(retailer_id, day)]).values()))
    except ConfigurationError as error:
        said = "not asked: its configuration or its secrets are not complete"
        return replace(failed(check, retailer.base_url, error, retailer=retailer_id), what=said)
    except RetailError as error:
        found = failed(check, retailer.base_url, error, retailer=retailer_id)
        if "extract.tries" not in error.hint:
            return found
        hint = f"check retailers.{retailer_id}.base_url, and that it can be reached from here; a run asks for longer"
        return replace(found, next=hint)
    return Finding(
        check=check,
        what=f"{retailer.service} takes the login and answers",
        where=retailer.base_url,
        retailer=retailer_id,
    )
