"""Master data: the retailers' catalogue entries for the products and stores that the sales name.

    raw/master-data/<products|stores>/<retailer_id>/run=<run_id>/<products|stores>-00001.json

Each id is looked up once, and ids that the catalogue does not know are recorded too. Look-ups come after the sales: a
catalogue that fails, or holds more than fits into a run, costs no sale. Files are added and never changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final, Literal, TypeAlias

import structlog

from retail.config.settings import ExtractSettings
from retail.errors import ExtractError, RefusedError
from retail.lake.layout import master_folder, raw_file
from retail.lake.storage import Storage
from retail.records import MasterRecord, ProductRecord, StoreRecord
from retail.sources.catalog import Catalog
from retail.sources.http.messages import Clock
from retail.sources.pii import title_without_contacts
from retail.sources.values.timestamps import utc_text

Kind: TypeAlias = Literal["products", "stores"]
# Ids, with the number of lines that name each.
Named: TypeAlias = dict[Kind, Counter[str]]

# Records per object in the lake, which is the most a resumed run has to look up again.
_CHUNK: Final = 100

_MAY_READ: Final = (
    "let the application read the catalogue: Amazon's role Product Listing, Shopify's scopes read_products and "
    "read_locations; sales are not affected"
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """The outcome for the products and stores that some sales name.

    `known` were described before, or were recently looked up without result. Looked up now, `found` have a description
    and `missing` have none. `left` wait for a later run. `failure` says why the catalogue stopped.
    """

    retailer_id: str
    known: int = 0
    found: int = 0
    missing: int = 0
    left: int = 0
    failure: str | None = None

    @property
    def asked(self) -> int:
        return self.found + self.missing


def named_in_sales(storage: Storage, retailer_id: str, days: Iterable[date]) -> Named:
    """The products and stores that the raw files of those days name. Raises ObjectNotFoundError if one is missing."""
    named: Named = {"products": Counter(), "stores": Counter()}
    for day in days:
        for line in storage.read(raw_file(retailer_id, day)).splitlines():
            values = json.loads(line)
            named["products"].update(filter(None, [values["product_id"]]))
            named["stores"].update(filter(None, [values["store_id"]]))
    return named


def look_up(
    catalog: Catalog,
    storage: Storage,
    settings: ExtractSettings,
    *,
    retailer_id: str,
    named: Named,
    run_id: str,
    deadline: Deadline,
) -> LookedUp:
    """Look up the ids that the sales have `named` and no master file knows, those on most lines first.

    Makes at most `settings.master_calls` calls, until the `deadline`, whose clock is the catalogue's. Raises
    StorageError but never ExtractError: a catalogue that fails is a warning, and the next run tries again.
    """
    since = deadline.clock.now() - timedelta(days=settings.master_days)
    wanted, known = {}, 0
    for kind, ids in named.items():
        recorded = _recorded(storage, kind, retailer_id, since=since)
        most_first = sorted(ids, key=lambda name: (-ids[name], name))
        wanted[kind] = [name for name in most_first if name not in recorded]
        known += len(ids) - len(wanted[kind])
    looked_up = LookedUp(retailer_id=retailer_id, known=known, left=sum(map(len, wanted.values())))
    if looked_up.left and settings.master_calls:
        writer = _Writer(storage, retailer_id, run_id)
        failure = None
        try:
            calls = catalog.describe(wanted["products"], wanted["stores"])
            for records in islice(calls, settings.master_calls):
                writer.add(records)
                if deadline.is_over:
                    break
        except TimeIsUpError:
            pass
        except RefusedError as error:
            hint = _MAY_READ if error.status in (401, 403) else error.hint
            failure = str(ExtractError(error.message, hint=hint))
        except ExtractError as error:
            failure = str(error)
        finally:
            writer.flush()
        looked_up = replace(
            looked_up,
            found=writer.found,
            missing=writer.missing,
            left=looked_up.left - writer.found - writer.missing,
            failure=failure,
        )
    _log(looked_up)
    return looked_up


class Deadline:
    """A deadline `seconds` from now, and a clock that refuses to sleep past it."""

    def __init__(self, seconds: float, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        self._ends = clock.monotonic() + seconds
        self._sleep = clock.sleep
        self.clock = replace(clock, sleep=self._sleep_in_time)

    @property
    def is_over(self) -> bool:
        return self.clock.monotonic() >= self._ends

    def _sleep_in_time(self, seconds: float) -> None:
        if self.clock.monotonic() + seconds > self._ends:
            raise TimeIsUpError("extract.master_seconds are used up", hint="the next run continues")
        self._sleep(seconds)


class TimeIsUpError(ExtractError):
    """Continuing would mean sleeping past the deadline."""


class _Writer:
    """Collects records until they fill an object, then writes it next to the existing ones."""

    def __init__(self, storage: Storage, retailer_id: str, run_id: str) -> None:
        self._storage, self._retailer_id, self._run_id = storage, retailer_id, run_id
        self._kept: dict[Kind, list[str]] = {"products": [], "stores": []}
        self._seen: set[tuple[Kind, str]] = set()
        self.found = self.missing = 0

    def add(self, records: Iterable[MasterRecord]) -> None:
        for record in records:
            kind: Kind = "products" if isinstance(record, ProductRecord) else "stores"
            if (kind, record.id) in self._seen:
                continue
            self._seen.add((kind, record.id))
            self._kept[kind].append(_without_contacts(record).to_line() + "\n")
            if is_described(record):
                self.found += 1
            else:
                self.missing += 1
            if len(self._kept[kind]) >= _CHUNK:
                self._write(kind)

    def flush(self) -> None:
        for kind in self._kept:
            self._write(kind)

    def _write(self, kind: Kind) -> None:
        lines, self._kept[kind] = self._kept[kind], []
        folder = f"{master_folder(kind, self._retailer_id)}run={self._run_id}/"
        number = sum(1 for _ in self._storage.list(folder)) + 1 if lines else 0
        # A resumed run already has objects.
        while lines and not self._storage.create(
            f"{folder}{kind}-{number:05d}.json", "".join(lines).encode()
        ):
            number += 1


def is_described(record: MasterRecord) -> bool:
    """Whether the catalogue names it; a record without a name would blank the name from the sales."""
    name = record.product_name if isinstance(record, ProductRecord) else record.store_name
    return name is not None


def _recorded(storage: Storage, kind: Kind, retailer_id: str, *, since: datetime) -> set[str]:
    """The ids that are described, and those that the catalogue did not know when asked after `since`."""
    keys = list(storage.list(master_folder(kind, retailer_id)))
    found = set[str]()
    with ThreadPoolExecutor(max_workers=16) as pool:
        for data in pool.map(storage.read, keys):
            found.update(_ids_recorded(kind, data, since=utc_text(since)))
    return found


def _ids_recorded(kind: Kind, lines: bytes, *, since: str) -> Iterator[str]:
    for line in lines.splitlines():
        try:
            values = json.loads(line)
            record = ProductRecord(**values) if kind == "products" else StoreRecord(**values)
            holds = is_described(record) or record.fetched_at >= since
        except (ValueError, TypeError):
            continue  # a broken line counts for nothing; the star warns about it
        if holds and isinstance(record.id, str):
            yield record.id


def _without_contacts(record: MasterRecord) -> MasterRecord:
    """Keeps e-mail addresses and phone numbers in names of products and stores out of the lake."""
    if isinstance(record, ProductRecord):
        return replace(
            record,
            product_name=_clean(record.product_name),
            brand=_clean(record.brand),
            category=_clean(record.category),
        )
    return replace(record, store_name=_clean(record.store_name), store_city=_clean(record.store_city))


def _clean(words: str | None) -> str | None:
    return None if words is None else title_without_contacts(words)


def _log(looked_up: LookedUp) -> None:
    emit = log.warning if looked_up.failure else log.info
    emit(
        "looked_up",
        retailer_id=looked_up.retailer_id,
        known=looked_up.known,
        found=looked_up.found,
        missing=looked_up.missing,
        unknown_still=looked_up.left,
        **({"failure": looked_up.failure} if looked_up.failure else {}),
    )
