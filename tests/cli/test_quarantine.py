"""`retail quarantine accept` and `reopen` as a person gives them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable, write_deltalake

from retail.cli import main
from retail.config.settings import load_settings
from retail.lake.storage import Storage, open_storage
from retail.star.quarantine import table as quarantine
from retail.star.quarantine.acknowledged import load

DAY = date(2017, 1, 1)
LINES = [
    # retailer, transaction, amount, reasons
    ("retailer_1", "t1", "5.00", "negative quantity on a sale"),
    ("retailer_1", "t2", "7.00", "negative quantity on a sale; missing product_id"),
    ("retailer_1", "t3", None, "bad total_amount"),
    ("retailer_2", "t4", "9.00", "bad total_amount"),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A lake with these lines in quarantine."""
    monkeypatch.setenv("RETAIL_LAKE__URL", str(tmp_path / "lake"))
    monkeypatch.setenv("COLUMNS", "200")
    retailers, transactions, amounts, reasons = (list(each) for each in zip(*LINES, strict=True))
    same = {
        "logical_date": DAY,
        "severity": "error",
        "warnings": "",
        "source_ref": "p#/0",
        "run_id": "r1",
        "currency": "USD",
    }
    money = pa.array([Decimal(each) if each else None for each in amounts], pa.decimal128(18, 4))
    lines = {
        "from_retailer": retailers,
        "transaction_id": transactions,
        "value": transactions,
        "reasons": reasons,
    }
    table = pa.table(
        {name: [each] * len(LINES) for name, each in same.items()} | lines | {"total_amount": money}
    )
    write_deltalake(tmp_path / "lake/quarantine", table)
    return open_storage(load_settings().lake)


def retail(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", *arguments])


def name_of(transaction: str) -> str:
    shown = retail("show").output
    found = re.search(rf"^(\w{{12}})  retailer_\d 2017-01-01\n(?:  .+\n)+{transaction}$", shown, re.MULTILINE)
    assert found, shown
    return found[1]


def test_an_accepted_line_is_told_as_such_and_no_longer_listed(lake: Storage) -> None:
    name = name_of("t1")
    accepted = retail("accept", name[:9], "--because", "they closed the shop")
    assert accepted.exit_code == 0, accepted.output
    assert re.fullmatch(
        r"accepted for good \d{4}-\d\d-\d\d \d\d:\d\d UTC: 1 rows, 5.00 USD, because: they closed the shop\n",
        accepted.output,
    )
    listed = retail("list").output
    assert "total: 3 rows, 16.00 USD" in listed
    assert "accepted for good, and not shown: 1 rows, 5.00 USD (--accepted)" in listed
    told = retail("list", "--accepted").output
    assert "total: 1 rows, 5.00 USD" in told
    assert "because: they closed the shop" in told
    assert re.search(r"accepted: +\S+ \S+ UTC, because: they closed the shop", retail("show", name).output)
    assert "accepted:" not in retail("show", name_of("t2")).output

    assert retail("reopen", name).output == "reopened: 1 lines\n"
    assert "total: 4 rows, 21.00 USD" in retail("list").output
    assert load(lake).acceptances == ()
    assert [key[-10:] for key in lake.list("quality/accepted/")] == ["00001.json", "00002.json"]


def test_lines_are_chosen_by_retailer_and_by_any_of_their_reasons(lake: Storage) -> None:
    assert (
        "2 rows, 12.00 USD"
        in retail("accept", "--reason", "negative quantity on a sale", "--because", "x").output
    )
    assert "1 rows, because" in retail("accept", "--only", "retailer_1", "--because", "y").output
    assert [(each.retailer_id, each.rows) for each in quarantine.groups(lake)] == [("retailer_2", 1)]
    assert [(each.rows, dict(each.money)) for each in load(lake).acceptances] == [
        (2, {"USD": "12.0000"}),
        (1, {}),
    ]
    assert "No quarantined lines match." in retail("accept", "--only", "retailer_1", "--because", "z").output
    assert retail("reopen", "--only", "retailer_1").output == "reopened: 3 lines\n"
    assert retail("reopen", "--only", "retailer_1").output == "No accepted lines match.\n"


def restaged(lake: Storage, **changes: str) -> None:
    """What a later run puts there in the place of t1: the same text, refused for something else."""
    there = DeltaTable(f"{lake.url}/quarantine").to_pyarrow_table().to_pylist()
    rows = [row | changes if row["value"] == "t1" else row for row in there]
    schema = DeltaTable(f"{lake.url}/quarantine").to_pyarrow_table().schema
    write_deltalake(f"{lake.url}/quarantine", pa.Table.from_pylist(rows, schema=schema), mode="overwrite")


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "critical"},
        {"reasons": "customer_id is an e-mail address"},
        {"reasons": "negative quantity on a sale; missing product_id"},
    ],
)
def test_a_line_that_is_refused_for_something_else_is_open_whatever_was_accepted(
    lake: Storage, changes: dict[str, str]
) -> None:
    assert retail("accept", name_of("t1"), "--because", "x").exit_code == 0
    restaged(lake, **changes, run_id="r2")
    assert quarantine.accepted_of(lake, "r2") == []
    assert sum(each.rows for each in quarantine.groups(lake)) == len(LINES)
    assert "accepted:" not in retail("show", name_of("t1")).output


def test_an_accepted_line_that_nothing_refuses_any_more_is_counted(lake: Storage) -> None:
    assert retail("accept", "--only", "retailer_1", "--because", "x").exit_code == 0
    units = {("retailer_1", DAY), ("retailer_2", DAY)}
    assert quarantine.no_longer_refused(lake, units) == 0
    restaged(lake, value="t1, mended")
    assert quarantine.no_longer_refused(lake, units) == 1
    assert quarantine.no_longer_refused(lake, {("retailer_2", DAY)}) == 0
    told = retail("reopen", "--only", "retailer_1").output
    assert told == "reopened: 2 lines; 1 are no longer rejected as accepted\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("accept", "abc"), "Missing option '--because'"),
        (("accept", "abc", "--because", " "), "must give a reason"),
        (("accept", "--because", "x"), "select lines with"),
        (("accept", "zzz", "--because", "x"), "zzz must match one open line in quarantine, but matches none"),
        (("accept", "", "--because", "x"), "must match one open line in quarantine, but matches "),
        (("reopen",), "select lines with"),
        (("reopen", "zzz"), "zzz must match one accepted line, but matches none"),
    ],
)
def test_what_is_meant_is_not_guessed(lake: Storage, arguments: tuple[str, ...], told: str) -> None:
    refused = retail(*arguments)
    assert refused.exit_code == 2
    assert told in " ".join(refused.output.replace("│", " ").split())
    assert load(lake).version == 0
