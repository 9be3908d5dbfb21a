"""Payload pages: what a retailer answered, without personal data. They change only where customers do.

payloads/<retailer_id>/date=YYYY-MM-DD/run=<run_id>/page-00001.json.gz
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from retail.errors import DamagedError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.landing import erased
from retail.sources.values.json_path import JSON, at, dump, parse, text
from retail.sources.values.timestamps import is_normal, utc_text
from retail.sources.window import Window

_KEY = re.compile(r"/run=(?P<run>[^/]+)/page-(?P<page>\d{5,})\.json\.gz$", re.ASCII)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)

CHANGES: Final = "changes"
ORDERS: Final = "orders"
WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One page, with everything needed to resume after it. Times are texts of `utc_text`.

    `walk` names the pass through the window that the page belongs to: the run and page where it began. A run that
    resumes after another run's pages keeps that run's walk; `walk_page` counts the walk's pages from 1. A walk is
    complete with a page that names no next cursor.

    `kind` says what the page holds: CHANGES of the day, which alone make a day complete; ORDERS that were compared with
    the retailer again; or WITHDRAWN lines, which the star has and the retailer no longer.
    """

    retailer_id: str
    run_id: str
    walk: str
    walk_page: int
    logical_date: str
    window_start: str
    window_end: str
    page: int
    fetched_at: str
    next_cursor: str | None
    answer: JSON
    kind: str = CHANGES

    def is_of(self, window: Window) -> bool:
        """Whether the page was requested for the changes in this window."""
        return self.kind == CHANGES and (self.window_start, self.window_end) == (
            utc_text(window.start),
            utc_text(window.end),
        )


def folder_of(retailer_id: str, logical_date: date, run_id: str | None = None) -> str:
    """The folder of a date, or of one run in it. Raises ValueError for a run id that is not a plain name."""
    if run_id is None:
        return layout.payload_day(retailer_id, logical_date)
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id!r}: a run id may have only letters, digits, `.`, `_` and `-`")
    return layout.payload_run(retailer_id, logical_date, run_id)


def key_of(retailer_id: str, logical_date: date, run_id: str, page: int) -> str:
    """The key of one page; pages count from 1."""
    return layout.payload_page(folder_of(retailer_id, logical_date, run_id), page)


def walk_of(run_id: str, first_page: int) -> str:
    """The name of a walk that began with this page."""
    return f"{run_id}/{first_page}"


def keys(storage: Storage, retailer_id: str, logical_date: date, run_id: str | None = None) -> list[str]:
    """The pages of a date, or of one run in it, in order of run and page."""
    found = storage.list(folder_of(retailer_id, logical_date, run_id))
    return sorted((key for key in found if _KEY.search(key)), key=_place)


def last(storage: Storage, retailer_id: str, logical_date: date, run_id: str | None = None) -> Payload | None:
    """The last page of a run, or of the newest run that has any; None without pages. Raises DamagedError for a gap."""
    found = keys(storage, retailer_id, logical_date, run_id)
    if not found:
        return None
    newest = _place(found[-1])
    pages = sum(1 for key in found if _place(key)[0] == newest[0])
    if pages != newest[1]:
        raise DamagedError(
            f"{retailer_id}: run {newest[0]} has {pages} pages of {logical_date}, but the last is page {newest[1]}",
            hint="restore the missing pages from a backup, or re-fetch the day with `retail run --again`",
        )
    return read(storage, found[-1])


def write(storage: Storage, payload: Payload) -> str | None:
    """Write the page under its key and return the key; if the key exists, write nothing and return None.

    The link to customers who were erased is left out.
    """
    names = erased.of(storage, payload.retailer_id)
    window: JSON = {"start": payload.window_start, "end": payload.window_end}
    envelope: dict[str, JSON] = {
        "retailer_id": payload.retailer_id,
        "run_id": payload.run_id,
        "walk": payload.walk,
        "walk_page": payload.walk_page,
        "logical_date": payload.logical_date,
        "window": window,
        "page": payload.page,
        "fetched_at": payload.fetched_at,
        "next_cursor": payload.next_cursor,
        "answer": erased.without(payload.answer, names),
    }
    if payload.kind != CHANGES:
        envelope |= {"kind": payload.kind}
    key = key_of(payload.retailer_id, date.fromisoformat(payload.logical_date), payload.run_id, payload.page)
    # No time in the gzip header: the same page gives the same bytes. Level 4 takes a third of the time of 9.
    written = storage.create(key, gzip.compress(dump(envelope).encode(), compresslevel=4, mtime=0))
    return key if written else None


def read(storage: Storage, key: str) -> Payload:
    """The page. Raises DamagedError if the object is damaged."""
    try:
        envelope = parse(gzip.decompress(storage.read(key)))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DamagedError(
            f"{storage.url}/{key} is damaged: {error}",
            hint="restore it from a backup; or delete its run's folder, and re-fetch that date",
        ) from None
    place = _place(key)
    return Payload(
        retailer_id=text(envelope, "retailer_id") or "",
        run_id=place[0],
        walk=text(envelope, "walk") or walk_of(place[0], 1),
        walk_page=int(text(envelope, "walk_page") or place[1]),
        logical_date=text(envelope, "logical_date") or "",
        window_start=text(envelope, "window", "start") or "",
        window_end=text(envelope, "window", "end") or "",
        page=place[1],
        fetched_at=text(envelope, "fetched_at") or "",
        next_cursor=text(envelope, "next_cursor"),
        answer=at(envelope, "answer"),
        kind=text(envelope, "kind") or CHANGES,
    )


def read_all(storage: Storage, retailer_id: str, logical_date: date) -> Iterator[tuple[str, Payload]]:
    """Every page of a date with its key, in order of run and page, one at a time."""
    for key in keys(storage, retailer_id, logical_date):
        yield key, read(storage, key)


def fetched_to(storage: Storage, retailer_id: str, logical_date: date) -> datetime | None:
    """Up to when a date was fetched, by the last pages of its runs; None if no run came to the end of its window."""
    seen, ends = set[str](), []
    for key in reversed(keys(storage, retailer_id, logical_date)):
        run_id, _ = _place(key)
        if run_id in seen:
            continue
        try:
            page = read(storage, key)
        except DamagedError:
            seen.add(run_id)  # fetching or landing that day reports it
            continue
        if page.kind == CHANGES:  # what was withdrawn stands after a run's pages of changes
            seen.add(run_id)
            if page.next_cursor is None and is_normal(page.window_end):
                ends.append(datetime.fromisoformat(page.window_end))
    return max(ends, default=None)


def since_walk_began(storage: Storage, last: Payload) -> Iterator[Payload]:
    """The pages of `last`'s date, from the run in which its walk began, in order, one at a time."""
    first_run = last.walk.rpartition("/")[0]
    for key in keys(storage, last.retailer_id, date.fromisoformat(last.logical_date)):
        if _place(key)[0] >= first_run:
            yield read(storage, key)


def _place(key: str) -> tuple[str, int]:
    match = _KEY.search(key)
    return (match["run"], int(match["page"])) if match else ("", 0)
