"""Step 1: fetch from the retailers in parallel. A failure affects one retailer, or one day, only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from retail.errors import (
    DamagedError,
    ExtractError,
    LeaseHeldError,
    NobodyAnsweredError,
    NotFetchedError,
    OutOfReachError,
    RetailError,
    StorageError,
)
from retail.landing import payloads, pepper
from retail.landing.fetch import PageWritten, extract
from retail.landing.field_drift import NewField, PayloadFields, WatchedField
from retail.landing.land import require_whole
from retail.landing.reconcile import Compared
from retail.pipeline import reconcile
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import ExtractResult
from retail.quality.suites import validation
from retail.runs.days import RetailerDay
from retail.sources.http.messages import Clock
from retail.sources.http.rate_limit import QuotaPolicy, QuotaWait
from retail.sources.registry import open_service, sales_of, watched_of, windows_of
from retail.sources.service import Service
from retail.sources.window import Window

log = structlog.get_logger()

# The orders that the star has of each day, if they are to be compared, and whether they count.
KnownOrders = Mapping[RetailerDay, Mapping[str, bool]]

# Errors that make one day unavailable while the retailer still answers for others.
_OF_ONE_DAY = (OutOfReachError, DamagedError, NotFetchedError)


# New and watched fields shown in one line; the step's record has all of them.
_SHOWN_FIELDS = 5


def extract_step(context: StepContext) -> ExtractResult:
    """Step 1. Fetch from the retailers in parallel; one that fails stops no other.

    Raises NobodyAnsweredError if all of them failed and nothing was fetched. Does not raise if one answered but cannot
    give these days, because the next attempt would end the same way.
    """
    step = _Step(context, reconcile.known_orders(context) if context.run.reconcile else {})
    context.report.expects("extract", len(context.run.units), "retailer-days")
    with _warm_up(), ThreadPoolExecutor(max_workers=max(1, len(context.run.retailers))) as pool:
        futures = [pool.submit(_ask_retailer, step, each) for each in context.run.retailers]
        try:
            results = [each.result() for each in futures]
        except BaseException:
            step.interrupted.set()  # else the pool waits for retailers that wait for their quota
            raise
    extracted = [unit for each in results for unit in sorted(each.units)]
    failed = {
        retailer: each.failure
        for retailer, each in zip(context.run.retailers, results, strict=True)
        if each.failure is not None
    }
    for_days = [
        retailer for retailer, each in zip(context.run.retailers, results, strict=True) if each.answers
    ]
    if failed and not extracted and not for_days:
        raise NobodyAnsweredError(failed)
    new = [str(found) for each in results for found in each.new_fields]
    watched = [str(found) for each in results for found in each.watched]
    summary = f"{len(extracted)} retailer-days fetched"
    if context.run.reconcile:
        compared = {unit: found for each in results for unit, found in each.compared.items()}
        summary = f"{len(extracted)} retailer-days compared: {reconcile.withdraw(context, compared)}"
    if failed:
        summary += f"; FAILED: {', '.join(sorted(failed))}"
    if new:
        summary += f"; {len(new)} new fields in the responses: {'; '.join(new[:_SHOWN_FIELDS])}"
    if watched:
        summary += f"; {len(watched)} watched fields with a value: {'; '.join(watched[:_SHOWN_FIELDS])}"
    return ExtractResult(
        extracted=extracted,
        failed=failed,
        failed_for_days=for_days,
        out_of_reach=[unit for each in results for unit in sorted(each.out_of_reach)],
        warnings=new + watched,
        summary=summary,
    )


@dataclass
class Fetched:
    """The units that were fetched, why the others were not, new fields, and watched ones with a value.

    `without` holds the days that a responding retailer could not deliver; fetching continues after them.
    """

    units: list[RetailerDay] = field(default_factory=list)
    without: dict[RetailerDay, RetailError] = field(default_factory=dict)
    failure: str | None = None
    answers: bool = False
    new_fields: list[NewField] = field(default_factory=list)
    watched: list[WatchedField] = field(default_factory=list)
    compared: dict[RetailerDay, Compared] = field(default_factory=dict)

    @property
    def out_of_reach(self) -> list[RetailerDay]:
        return [unit for unit, error in self.without.items() if isinstance(error, OutOfReachError)]


@dataclass(frozen=True)
class _Step:
    """State shared by the threads of all retailers. `known` are the orders to compare."""

    context: StepContext
    known: KnownOrders
    interrupted: threading.Event = field(default_factory=threading.Event)


def _ask_retailer(step: _Step, retailer_id: str) -> Fetched:
    """Raises, and interrupts the others, if the lake cannot be written; any other failure is the retailer's alone."""
    context, fetched = step.context, Fetched()
    units = [unit for unit in context.run.units if unit[0] == retailer_id]
    try:
        fields = PayloadFields(
            context.storage,
            retailer_id,
            context.run_id,
            has_ended=lambda run_id: context.ledger.step(run_id, "extract") is not None,
            watched=watched_of(retailer_id, context.settings),
        )
        try:
            _extract_units(step, units, fetched, fields)
        finally:
            fetched.watched = fields.with_value()
            fetched.new_fields = fields.keep()
        if fetched.without:
            kinds = {type(error): error for error in reversed(fetched.without.values())}
            reasons = "\n".join(map(str, kinds.values()))
            fetched.failure, fetched.answers = f"{_missing(units, fetched.units)}{reasons}", True
    except RetailError as error:
        if _is_of_the_lake(error):
            step.interrupted.set()
            raise
        log.error("retailer failed", retailer=retailer_id, error=str(error))
        fetched.failure = f"{_missing(units, fetched.units)}{error}"
    except Exception as error:  # a fault in one service must not stop the other retailers
        log.exception("retailer failed", retailer=retailer_id)
        name = type(error).__name__
        fetched.failure = f"{_missing(units, fetched.units)}{retailer_id}: unexpected {name}; see the log"
    return fetched


@dataclass(frozen=True)
class _Extraction:
    """State shared by the threads that fetch one retailer's days."""

    step: _Step
    fields: PayloadFields
    quota_policy: QuotaPolicy
    left: deque[RetailerDay]
    windows: dict[RetailerDay, Window]
    compared: dict[RetailerDay, Compared]
    failed: threading.Event = field(default_factory=threading.Event)


def _extract_units(step: _Step, units: list[RetailerDay], fetched: Fetched, fields: PayloadFields) -> None:
    """Appends to `fetched` as it goes, because whatever was fetched before a failure counts.

    Days fetched in parallel share the retailer's quota. Once one has failed, no other is started, unless the failure
    affects that day alone.
    """
    context = step.context
    policy = QuotaPolicy(waits=context.options.patient, tell=lambda wait: _report_wait(context, wait))
    quota_policy = context.quotas.setdefault(fields.retailer_id, policy)
    own = [unit for unit in context.run.units if unit[0] == fields.retailer_id]
    windows = windows_of(context.settings, own, fetched=_fetched_before(context, own))
    # A comparison takes the newest days first: what is left when the quota is used up matters least.
    left = deque(reversed(units) if context.run.reconcile else units)
    extraction = _Extraction(step, fields, quota_policy, left, windows, fetched.compared)

    def work() -> None:
        try:
            for unit in _extracted(extraction, fetched.without):
                fetched.units.append(unit)
                context.report.progress("extract", 1, f"{unit[0]} {unit[1]}")
        except BaseException as error:
            extraction.failed.set()
            if _is_of_the_lake(error):
                step.interrupted.set()
            raise

    workers = min(context.options.parallel, len(units))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        working = [pool.submit(work) for _ in range(workers)]
    failures = [failure for each in working if (failure := each.exception()) is not None]
    for failure in sorted(failures, key=_is_of_the_lake, reverse=True):
        raise failure


def _fetched_before(context: StepContext, units: list[RetailerDay]) -> dict[RetailerDay, datetime]:
    """Up to when the days before these units were fetched, where the run does not fetch them itself.

    A retailer's time zone may have been moved since: the hours between the two midnights belong to no other day.
    """
    before = {(retailer, day - timedelta(days=1)) for retailer, day in units} - set(units)
    ends = {unit: payloads.fetched_to(context.storage, *unit) for unit in before}
    return {unit: end for unit, end in ends.items() if end is not None}


def _is_of_the_lake(error: BaseException) -> bool:
    """Not the retailer's fault: every other retailer hits the error too, and so does every later step."""
    return isinstance(error, StorageError | LeaseHeldError) and not isinstance(error, _OF_ONE_DAY)


def _extracted(extraction: _Extraction, without: dict[RetailerDay, RetailError]) -> Iterator[RetailerDay]:
    """Yields each unit this thread takes, once it is fetched; puts units that are unavailable into `without`.

    Each thread has its own service.
    """
    step, retailer_id = extraction.step, extraction.fields.retailer_id
    service = open_service(
        retailer_id,
        step.context.settings,
        pepper.with_earlier(step.context.storage, step.context.secrets),
        clock=Clock(sleep=lambda seconds: _sleep(seconds, retailer_id, step.interrupted)),
        quota_policy=extraction.quota_policy,
    )
    while not extraction.failed.is_set():
        try:
            unit = extraction.left.popleft()
        except IndexError:
            return
        try:
            if step.context.run.reconcile:
                extraction.compared[unit] = reconcile.compare(step.context, service, unit, step.known[unit])
            else:
                _fetch(extraction, service, unit)
        except _OF_ONE_DAY as error:
            log.error("day failed", retailer=retailer_id, logical_date=str(unit[1]), error=str(error))
            without[unit] = error
        else:
            yield unit


def _fetch(extraction: _Extraction, service: Service, unit: RetailerDay) -> None:
    context, interrupted = extraction.step.context, extraction.step.interrupted
    storage = context.storage
    retailer_id, day = unit
    pages = payloads.keys(storage, retailer_id, day)
    # Find a damaged page before asking the retailer: anything fetched alongside it would be useless.
    for key in pages:
        payloads.read(storage, key)
    extract(
        service,
        storage,
        retailer_id=retailer_id,
        window=extraction.windows[unit],
        run_id=context.run_id,
        force=context.options.force,
        sales=sales_of(retailer_id, context.settings),
        look=extraction.fields.look,
        on_page=partial(_page_kept, context, interrupted),
    )
    if pages:
        # A missing page found here fails the day; found during landing, it would fail the run.
        require_whole(storage, retailer_id, day)


def _missing(units: list[RetailerDay], fetched: list[RetailerDay]) -> str:
    """The logical dates that were not fetched completely, as the start of a message."""
    days = sorted({day for _, day in units} - {day for _, day in fetched})
    if not days:
        return ""
    if len(days) == 1:
        return f"{days[0]} is missing: "
    unbroken = (days[-1] - days[0]).days == len(days) - 1
    return (
        f"{days[0]} to {days[-1]} are missing: "
        if unbroken
        else f"{len(days)} days from {days[0]} to {days[-1]} are missing: "
    )


def _page_kept(context: StepContext, interrupted: threading.Event, page: PageWritten) -> None:
    context.report.progress("extract", 0, f"{page.retailer_id} page {page.number}")
    _stop_if(interrupted.is_set(), page.retailer_id)


def _report_wait(context: StepContext, wait: QuotaWait) -> None:
    log.info(
        "waiting for quota", retailer=wait.retailer_id, seconds=round(wait.seconds), until=str(wait.until)
    )
    context.report.waits("extract", str(wait))


def _sleep(seconds: float, retailer_id: str, interrupted: threading.Event) -> None:
    _stop_if(interrupted.wait(seconds), retailer_id)


def _stop_if(interrupted: bool, retailer_id: str) -> None:
    if interrupted:
        raise ExtractError(f"{retailer_id}: interrupted", hint="the same command resumes where it stopped")


@contextmanager
def _warm_up() -> Iterator[None]:
    """Import Great Expectations, which takes seconds, while the retailers are being fetched."""
    warm = threading.Thread(target=validation.warm_up, name="warm-up", daemon=True)
    warm.start()
    yield
    warm.join()
