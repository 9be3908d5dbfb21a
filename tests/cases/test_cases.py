"""Every case of `data` and `own` holds: played over HTTP, read by the real service, brought all the way to the star."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg2.extras
import pytest

from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.pipeline import runner
from retail.pipeline.workspace import Workspace
from retail.warehouse.embedded import server as embedded
from tests.cases.player import Held, Player, playing

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

# Further cases can be tried by their folder. Those in `data` were given to us, those in `own` we added.
FOLDERS: Final = (
    [Path(os.environ["RETAIL_TEST_CASES"])]
    if os.environ.get("RETAIL_TEST_CASES")
    else [Path(__file__).with_name(name) for name in ("data", "own")]
)
CASES: Final = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for file in sorted(folder.glob("*.json"))
}
ROWS: Final = """
    SELECT retailer_id, transaction_id, line_id, record_type, status, quantity, unit_price, discount_amount, tax_amount,
        total_amount, currency, sold_at, business_date
    FROM star.fact_sales
"""
AMOUNTS: Final = ("quantity", "total_amount", "tax_amount", "discount_amount", "unit_price")

Row = dict[str, Any]
Rows = dict[str, list[Row]]  # by case


class Asked(NamedTuple):
    """The dates that are run at one time, or compared with the retailer once more."""

    is_again: bool
    first: date
    last: date


@dataclass(frozen=True)
class Day:
    """What a case's API holds when its dates are run; `expected` is what must hold afterwards, if that is judged."""

    case: str
    asked: Asked
    answers: dict[str, Any]
    expected: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.case}-{self.asked.first}{'-again' if self.asked.is_again else ''}"


@dataclass(frozen=True)
class Star:
    """The rows of each case, and the retailers that failed in the run."""

    rows: Rows
    failed: dict[str, str]


def days_of(case: str) -> list[Day]:
    found = CASES[case]
    days = found.get("days") or [
        found | {"star": {k: found.get(k) or [] for k in ("expected", "exclusions", "sums")}}
    ]
    return [
        Day(
            case,
            Asked(
                "asked" in day,
                date.fromisoformat(day["date"]),
                date.fromisoformat(day.get("to") or day["date"]),
            ),
            day["answers"],
            day.get("star"),
        )
        for day in days
    ]


DAYS: Final = [day for case in CASES for day in days_of(case)]


def retailer_of(case: str) -> str:
    return "case_" + case.split("-", maxsplit=1)[0].lower()


def settings_of(player: Player, folder: Path) -> Settings:
    retailers = {}
    for case, found in CASES.items():
        address = f"{player.address}/{case}"
        options = {name: value for name, value in found["options"].items() if name != "time_zone"}
        if found["retailer_service"] == "amazon":
            options["token_url"] = f"{address}/auth/o2/token"
        retailers[retailer_of(case)] = {
            "service": found["retailer_service"],
            "name": case,
            "base_url": address,
            "time_zone": found["options"]["time_zone"],
            "options": options,
        }
    return Settings(
        engine="sail",
        start_date=min(day.asked.first for day in DAYS) - timedelta(days=30),
        lake={"url": str(folder / "lake")},
        extract={"master_calls": 0},
        warehouse={"embedded": True, "data_folder": str(folder / "postgresql"), "database": "cases"},
        retailers=retailers,
    )


def secrets() -> Secrets:
    names = ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
    values = {
        f"RETAIL_{retailer_of(case).upper()}_{name}": f"{case} {name}" for case in CASES for name in names
    }
    return Secrets(values | {"RETAIL_CUSTOMER_PEPPER": "a pepper for the cases of 32 bytes"})


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Asked, Star]]:
    """The star after each time that dates were run, all cases being retailers of one lake."""
    folder = tmp_path_factory.mktemp("cases")
    found: dict[Asked, Star] = {}
    with playing() as player:
        settings = settings_of(player, folder)
        with embedded.running(settings.warehouse), Workspace(settings, secrets()) as workspace:
            for case, of in CASES.items():
                player.held[case] = Held(of["retailer_service"])
            for asked in sorted({day.asked for day in DAYS}, key=lambda asked: (asked.last, asked.is_again)):
                together = [day for day in DAYS if day.asked == asked]
                for held in player.held.values():
                    held.now = datetime.combine(asked.last, time(20), UTC) + timedelta(days=1)
                for day in together:
                    player.held[day.case].answers = day.answers
                days = (asked.last - asked.first).days + 1
                units = [
                    (retailer_of(day.case), asked.first + timedelta(days=number))
                    for day in together
                    for number in range(days)
                ]
                result = runner.run(workspace, units, PlainReport(console()), reconcile=asked.is_again)
                found[asked] = Star(rows_by_case(workspace), result.failed)
            assert player.not_played == []
            yield found


def rows_by_case(workspace: Workspace) -> Rows:
    rows: Rows = {case: [] for case in CASES}
    of = {retailer_of(case): case for case in CASES}
    with (
        workspace.warehouse.connect("read the star") as connection,
        connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
    ):
        cursor.execute(ROWS)
        for row in cursor:
            rows[of[row["retailer_id"]]].append(dict(row))
    return rows


@pytest.mark.parametrize("day", [day for day in DAYS if day.expected is not None], ids=str)
def test_the_star_holds_what_is_right(day: Day, stars: dict[Asked, Star]) -> None:
    star = stars[day.asked]
    rows, expected = star.rows[day.case], day.expected or {}
    assert retailer_of(day.case) not in star.failed
    left = [row for row in rows if row["status"] == "completed" and any(row[name] for name in AMOUNTS[:3])]
    for wanted in expected.get("expected", []):
        same = [
            row
            for row in rows
            if row["transaction_id"] == wanted["transaction_id"]
            and row["record_type"] == wanted["record_type"]
            and wanted["line_id"] in (None, row["line_id"])
        ]
        assert len(same) == 1, (wanted, rows)
        assert differences(same[0], wanted) == {}
        left = [row for row in left if row is not same[0]]
    assert left == []
    for wanted in expected.get("sums", []):
        of_it = [row for row in rows if row["transaction_id"] == wanted["transaction_id"]]
        sums = {
            name: sum((row[name] or Decimal(0) for row in of_it), Decimal(0))
            for name in AMOUNTS
            if name in wanted
        }
        assert differences(sums, {name: wanted[name] for name in sums}) == {}


def differences(row: Row, wanted: Row) -> dict[str, tuple[object, object]]:
    """What is other than wanted: by name what is there and what is wanted."""
    within = Decimal(wanted.get("within") or "0.005")
    found = {}
    for name, value in wanted.items():
        there = row.get(name)
        if name in ("within", "reason") or (name == "line_id" and value is None):
            continue
        if name in AMOUNTS and value is not None:
            same = abs((there or Decimal(0)) - Decimal(value)) <= within
        elif name == "sold_at":
            same = there == datetime.fromisoformat(value)
        else:
            same = (None if there is None else str(there)) == value
        if not same:
            found[name] = (there, value)
    return found
