"""Reads a random shop as the pipeline does, day by day up to landing, and compares it at the end."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.layout import raw_folder
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.landing.reconcile import Comparison
from retail.pipeline.emptied_orders import ended_lines
from retail.records import DELETED, SalesRecord
from retail.sources.http.messages import Clock
from retail.sources.registry import open_service, sales_of, windows_of
from retail.sources.service import Reconcilable
from retail.sources.window import window_of_unit
from tests.cases.mixtures import DAYS, FATES, START, ZONE, Shop, Totals
from tests.cases.player import Held, Player

_PAGE = re.compile(r"date=([^/]+)/run=([^/]+)/page-([0-9]+)")
_SECRETS = {
    f"RETAIL_{service.upper()}_{name}": name
    for service in FATES
    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
}


class Reading:
    """One shop read into one lake, up to landing."""

    def __init__(self, player: Player, made: Shop, folder: Path) -> None:
        self.held = player.held.setdefault(made.service, Held(made.service))
        self.name, self.made, self.lake = made.service, made, LocalStorage(folder / "lake")
        address = f"{player.address}/{made.service}"
        options = {"token_url": f"{address}/auth/o2/token", "marketplace_ids": ["ATVPDKIKX0DER"]}
        self.settings = Settings(
            start_date=START,
            lake={"url": "unused"},
            retailers={
                made.service: {
                    "service": made.service,
                    "name": made.service,
                    "base_url": address,
                    "time_zone": ZONE.key,
                    "options": options if made.service == "amazon" else {},
                }
            },
        )

    def read(self, day: date) -> None:
        """Fetch and land a day in the night after it."""
        now, unit = self.wake(day + timedelta(days=1)), (self.name, day)
        extract(
            self.service(now), self.lake, retailer_id=self.name, run_id=_run_id(now),
            window=windows_of(self.settings, [unit])[unit], now=lambda: now,
        )  # fmt: skip
        self.land(day, now)

    def compare(self, day: date, now: datetime) -> None:
        """Compare a day with the retailer again, and land it."""
        window, rows = window_of_unit(self.settings, (self.name, day)), self.rows()
        service = self.service(now)
        assert isinstance(service, Reconcilable)
        comparison = Comparison(
            storage=self.lake, retailer_id=self.name, window=window, run_id=_run_id(now), now=lambda: now
        )
        start, end = f"{window.start + window.overlap:%Y-%m-%dT%H:%M}", f"{window.end:%Y-%m-%dT%H:%M}"
        known = {
            str(row.transaction_id): row.status != DELETED
            for row in rows
            if row.record_type == "sale" and row.status != "cancelled" and start <= str(row.sold_at) < end
        }
        found = comparison.compare(service, sales_of(self.name, self.settings), known)
        gone = [row for row in rows if row.transaction_id in found.deleted]
        comparison.withdraw(gone, status=DELETED)
        self.land(day, now)

    def land(self, day: date, now: datetime) -> None:
        sales = sales_of(self.name, self.settings)
        landed = land(sales, self.lake, retailer_id=self.name, logical_date=day)
        if lines := ended_lines(self.rows(), landed.emptied):
            window = window_of_unit(self.settings, (self.name, day))
            Comparison(
                storage=self.lake, retailer_id=self.name, window=window, run_id=_run_id(now), now=lambda: now
            ).withdraw(lines, status="cancelled")
            land(sales, self.lake, retailer_id=self.name, logical_date=day)

    def wake(self, day: date) -> datetime:
        """It is night at the retailer's: its API shows what it holds then."""
        self.held.now = datetime.combine(day, time(8), UTC)
        self.held.answers = self.made.answers(self.held.now)
        return self.held.now

    def service(self, now: datetime):
        secrets = Secrets(_SECRETS | {"RETAIL_CUSTOMER_PEPPER": "a pepper of the cases, 32 bytes long"})
        return open_service(self.name, self.settings, secrets, clock=Clock(now=lambda: now))

    def rows(self) -> list[SalesRecord]:
        """The row that counts of each line of all raw files, as the star orders versions (decision 0002)."""
        newest: dict[tuple[str | None, ...], SalesRecord] = {}
        for key in self.lake.list(raw_folder(self.name)):
            for line in self.lake.read(key).decode().splitlines():
                row = SalesRecord.from_line(line)
                newest[row.natural_key] = max(newest.get(row.natural_key, row), row, key=_version)
        return [*newest.values()]

    def totals(self) -> Totals:
        found: dict[tuple[str, date], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        for row in self.rows():
            key = (str(row.transaction_id), date.fromisoformat(str(row.business_date)))
            values = (row.quantity, row.total_amount, row.tax_amount)
            found[key] = [
                total + Decimal(value or 0) for total, value in zip(found[key], values, strict=True)
            ]
        return {
            key: (int(units), net, tax) for key, (units, net, tax) in found.items() if units or net or tax
        }


def _run_id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-mixture"


def _version(row: SalesRecord) -> tuple[str, int, tuple[str, ...]]:
    page = _PAGE.search(row.source_ref)
    assert page is not None
    day, run, number = page.groups()
    return str(row.updated_at), int(row.mapping_version or 0), (run, day, number)


def read_whole(player: Player, made: Shop, folder: Path) -> Totals:
    """Each day read in its night, and all compared once everything has happened."""
    reading = Reading(player, made, folder)
    for number in range(DAYS):
        reading.read(START + timedelta(days=number))
    now = reading.wake(START + timedelta(days=DAYS + 3))
    for number in range(DAYS):
        reading.compare(START + timedelta(days=number), now)
    return reading.totals()


def differences(player: Player, made: Shop, folder: Path) -> dict[tuple[str, date], tuple[object, object]]:
    """Where what lands is not what is true: by transaction and business date, both of them."""
    found, true = read_whole(player, made, folder), made.truth()
    pairs = {key: (found.get(key), true.get(key)) for key in found.keys() | true.keys()}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
