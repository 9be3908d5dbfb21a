"""Steps 1 and 2 of a run: the retailers are asked, and what they answered becomes raw files."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial

import structlog

from retail.catalogues import described, look_up_named
from retail.errors import (
    DamagedError,
    ExtractError,
    LeaseHeldError,
    NobodyAnsweredError,
    RetailError,
    StorageError,
)
from retail.extract import payloads
from retail.extract.exchange import Clock
from retail.extract.extracting import PageWritten, extract
from retail.extract.landing import land, require_whole
from retail.extract.master import Named
from retail.extract.payload_fields import NewField, PayloadFields
from retail.extract.quota import Patience, QuotaWait
from retail.extract.retailers import open_service, sales_of
from retail.extract.service import Service
from retail.extract.windows import Window, window_of
from retail.job import Job, Record, as_json, rows_at
from retail.quality import suites, tie_out
from retail.records import HopCount
from retail.runs.units import Unit
from retail.settings import Settings

log = structlog.get_logger()

# So many new fields of the answers are told in a line; the record of the step has all.
_SHOWN_FIELDS = 5


def extract_step(job: Job) -> Record:
    """Step 1. The retailers are asked side by side; one that fails stops no other.

    Raises NobodyAnsweredError where all of them failed, with nothing fetched.
    """
    interrupted = threading.Event()
    job.report.expects("extract", len(job.run.units), "retailer-days")
    with _warm_up(), ThreadPoolExecutor(max_workers=max(1, len(job.run.retailers))) as pool:
        asking = [pool.submit(_extract_retailer, job, each, interrupted) for each in job.run.retailers]
        try:
            results = [each.result() for each in asking]
        except BaseException:
            interrupted.set()  # else the pool waits for retailers that wait for their quota
            raise
    extracted = [[retailer, day.isoformat()] for each in results for retailer, day in sorted(each.units)]
    failed = {
        retailer: each.failure
        for retailer, each in zip(job.run.retailers, results, strict=True)
        if each.failure is not None
    }
    if failed and not extracted:
        raise NobodyAnsweredError(failed)
    warnings = [str(new) for each in results for new in each.new_fields]
    summary = f"{len(extracted)} retailer-days fetched"
    if failed:
        summary += f"; FAILED: {', '.join(sorted(failed))}"
    if warnings:
        summary += f"; {len(warnings)} fields of the answers are new: {'; '.join(warnings[:_SHOWN_FIELDS])}"
    return {"extracted": extracted, "failed": failed, "warnings": warnings, "summary": summary}


def land_step(job: Job) -> Record:
    """Step 2. Each day's payload pages become its raw file; fetched = skipped + superseded + landed.

    What the sales name and is not known yet is then looked up in the retailers' catalogues, for the dimensions.
    """
    counts: list[HopCount] = []
    named: dict[str, Named] = {}
    units = job.units_to_process()
    job.report.expects("land", len(units), "retailer-days")
    for retailer_id in sorted({retailer for retailer, _ in units}):
        sales = sales_of(retailer_id, job.resources.settings)
        revision = job.resources.settings.retailers[retailer_id].mapping_revision
        named[retailer_id] = {"products": Counter(), "stores": Counter()}
        for retailer, day in units:
            if retailer == retailer_id:
                landed = land(
                    sales,
                    job.resources.storage,
                    retailer_id=retailer_id,
                    logical_date=day,
                    mapping_revision=revision,
                )
                counts += landed.counts
                named[retailer_id]["products"] += landed.products
                named[retailer_id]["stores"] += landed.stores
                job.report.progress("land", 1, f"{retailer_id} {day}")
    tie_out.require([tie_out.FETCHED], counts)
    summary = f"{rows_at(counts, 'landed'):,} lines landed" + _skipped(counts)
    silent = sorted({retailer for retailer, _ in units} - {count.retailer_id for count in counts})
    if silent:
        counts += [_nothing_landed(retailer) for retailer in silent]
        summary += f"; nothing from {', '.join(silent)}"
    looked_up = look_up_named(job, named) if job.recorded("extract") is not None else []
    return {
        "counts": as_json(counts),
        "looked_up": [asdict(each) for each in looked_up],
        "summary": summary + described(looked_up),
    }


def window_of_unit(settings: Settings, unit: Unit) -> Window:
    """The window that a retailer's logical date asks for, in its zone and with the configured overlap."""
    retailer_id, logical_date = unit
    return window_of(
        logical_date,
        time_zone=settings.retailers[retailer_id].time_zone,
        overlap=timedelta(minutes=settings.extract.overlap_minutes),
        start_date=settings.start_date,
    )


@dataclass
class _Fetched:
    """The units that were fetched, why the others were not, and fields that no answer had before."""

    units: list[Unit] = field(default_factory=list)
    failure: str | None = None
    new_fields: list[NewField] = field(default_factory=list)


def _extract_retailer(job: Job, retailer_id: str, interrupted: threading.Event) -> _Fetched:
    """Raises, and interrupts the others, where the lake cannot be written; whatever else fails is the retailer's."""
    fetched = _Fetched()
    units = [unit for unit in job.run.units if unit[0] == retailer_id]
    try:
        fields = PayloadFields(
            job.resources.storage,
            retailer_id,
            job.run.run_id,
            has_ended=lambda run_id: job.resources.ledger.step(run_id, "extract") is not None,
        )
        try:
            _extract_units(job, units, fetched.units, fields, interrupted)
        finally:
            fetched.new_fields = fields.keep()
    except RetailError as error:
        if _is_of_the_lake(error):
            interrupted.set()
            raise
        log.error("retailer failed", retailer=retailer_id, error=str(error))
        fetched.failure = f"{_missing(units, fetched.units)}{error}"
    except Exception as error:  # a fault in one service must not stop the other retailers
        log.exception("retailer failed", retailer=retailer_id)
        name = type(error).__name__
        fetched.failure = f"{_missing(units, fetched.units)}{retailer_id}: unexpected {name}; see the log"
    return fetched


@dataclass(frozen=True)
class _Asking:
    """What the threads share that ask one retailer for its days."""

    job: Job
    fields: PayloadFields
    patience: Patience
    interrupted: threading.Event
    left: deque[Unit]
    failed: threading.Event = field(default_factory=threading.Event)


def _extract_units(
    job: Job, units: list[Unit], fetched: list[Unit], fields: PayloadFields, interrupted: threading.Event
) -> None:
    """Adds to `fetched` as it goes, for what was fetched before a failure counts.

    Days that are fetched side by side share the retailer's quota; once one has failed, no other is begun.
    """
    patience = Patience(waits=job.manner.patient, tell=lambda wait: _tell(job, wait))
    asking = _Asking(job, fields, patience, interrupted, deque(units))

    def work() -> None:
        try:
            for unit in _extracted(asking):
                fetched.append(unit)
                job.report.progress("extract", 1, f"{unit[0]} {unit[1]}")
        except BaseException as error:
            asking.failed.set()
            if _is_of_the_lake(error):
                interrupted.set()
            raise

    workers = min(job.manner.parallel, len(units))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        working = [pool.submit(work) for _ in range(workers)]
    failures = [failure for each in working if (failure := each.exception()) is not None]
    for failure in sorted(failures, key=_is_of_the_lake, reverse=True):
        raise failure


def _is_of_the_lake(error: BaseException) -> bool:
    """No fault of a retailer: every other one meets it as well, and so does each step behind."""
    return isinstance(error, StorageError | LeaseHeldError) and not isinstance(error, DamagedError)


def _extracted(asking: _Asking) -> Iterator[Unit]:
    """Each unit that no other thread takes, once it is fetched. A thread has a service of its own."""
    job, retailer_id = asking.job, asking.fields.retailer_id
    service = open_service(
        retailer_id,
        job.resources.settings,
        job.resources.secrets,
        clock=Clock(sleep=lambda seconds: _sleep(seconds, retailer_id, asking.interrupted)),
        patience=asking.patience,
    )
    while not asking.failed.is_set():
        try:
            unit = asking.left.popleft()
        except IndexError:
            return
        _fetch(asking, service, unit)
        yield unit


def _fetch(asking: _Asking, service: Service, unit: Unit) -> None:
    job, storage = asking.job, asking.job.resources.storage
    retailer_id, day = unit
    lay_there = bool(payloads.keys(storage, retailer_id, day))
    extract(
        service,
        storage,
        retailer_id=retailer_id,
        window=window_of_unit(job.resources.settings, unit),
        run_id=job.run.run_id,
        anew=job.manner.anew,
        look=asking.fields.look,
        on_page=partial(_page_kept, job, asking.interrupted),
    )
    if lay_there:
        # A damaged page that is found here is its retailer's failure; found in landing, it would be the run's.
        require_whole(storage, retailer_id, day)


def _missing(units: list[Unit], fetched: list[Unit]) -> str:
    """The logical dates that a retailer did not come to the end of, for the begin of a message."""
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


def _page_kept(job: Job, interrupted: threading.Event, page: PageWritten) -> None:
    job.report.progress("extract", 0, f"{page.retailer_id} page {page.number}")
    _stop_if(interrupted.is_set(), page.retailer_id)


def _tell(job: Job, wait: QuotaWait) -> None:
    text = f"{wait.retailer_id} for its quota, {wait.seconds:.0f} s, until {wait.until:%H:%M:%S} UTC"
    log.info("waits for quota", retailer=wait.retailer_id, seconds=round(wait.seconds), until=str(wait.until))
    job.report.waits("extract", text)


def _sleep(seconds: float, retailer_id: str, interrupted: threading.Event) -> None:
    _stop_if(interrupted.wait(seconds), retailer_id)


def _stop_if(interrupted: bool, retailer_id: str) -> None:
    if interrupted:
        raise ExtractError(f"{retailer_id}: interrupted", hint="the same command goes on where it stopped")


@contextmanager
def _warm_up() -> Iterator[None]:
    """Great Expectations takes seconds to import: done while the retailers are asked."""
    warm = threading.Thread(target=suites.warm_up, name="warm-up", daemon=True)
    warm.start()
    yield
    warm.join()


def _skipped(counts: list[HopCount]) -> str:
    """What was left out on purpose, by reason."""
    reasons = sorted({count.reason for count in counts if count.hop == "skipped" and count.reason})
    each = (
        f"{sum(count.rows for count in counts if count.reason == reason):,} {reason}" for reason in reasons
    )
    return f"; skipped: {', '.join(each)}" if reasons else ""


def _nothing_landed(retailer: str) -> HopCount:
    return HopCount(
        hop="landed", retailer_id=retailer, business_date=None, currency=None, rows=0, money=Decimal(0)
    )
