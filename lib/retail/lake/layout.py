"""The location of each object of the lake: every key is made here, and nowhere else.

payloads/<retailer_id>/date=YYYY-MM-DD/run=<run_id>/page-00001.json.gz     what a retailer answered
raw/<retailer_id>/year=YYYY/month=MM/day=DD/sales_data.json                a day's sales, one SalesRecord a line
raw/master-data/<products|stores>/<retailer_id>/run=<run_id>/              its catalogue's records
staged/<name>, quarantine, star/<table>                                    Delta tables
quality/                                                                   validations, Data Docs, profile
ops/                                                                       the run ledger, leases, notes
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

# Folders of Delta tables, which `retail maintain` looks after.
STAR: Final = "star/"
STAR_TABLES: Final = ("dim_date", "dim_product", "dim_customer", "dim_store", "dim_retailer", "fact_sales")
STAGED: Final = "staged/"
QUALITY: Final = "quality/"
QUARANTINE: Final = "quarantine"
STAGED_LINES: Final = f"{STAGED}lines"
STAGED_SALES: Final = f"{STAGED}sales"
PROFILE: Final = f"{QUALITY}profile"

VALIDATIONS: Final = f"{QUALITY}validations/"
DATA_DOCS: Final = f"{QUALITY}data_docs/"
ACKNOWLEDGED: Final = f"{QUALITY}accepted/"

OPS: Final = "ops/"
RUNS: Final = f"{OPS}runs/"
DONE: Final = f"{OPS}done/"
OUT_OF_REACH: Final = f"{OPS}out-of-reach/"
LEASE: Final = f"{OPS}lease/"
TASK_FAILURES: Final = f"{OPS}failures/"
PENDING_REPLAYS: Final = f"{OPS}replays.json"
TABLE_REWRITES: Final = f"{OPS}rewrites.json"
FORMAT: Final = f"{OPS}format.json"
TABLES: Final = f"{OPS}tables.json"
CUSTOMERS: Final = f"{OPS}customers.json"
ERASED: Final = f"{OPS}erased.json"
ERASURES: Final = f"{OPS}erasures/"
PEPPER: Final = f"{OPS}pepper.json"
REBUILD: Final = f"{OPS}rebuild.json"
DAMAGED: Final = f"{OPS}damaged/"


def payload_day(retailer_id: str, logical_date: date) -> str:
    """The folder of all pages of a retailer's logical date, with one folder per run."""
    return f"payloads/{retailer_id}/date={logical_date.isoformat()}/"


def payload_run(retailer_id: str, logical_date: date, run_id: str) -> str:
    """The folder of the pages that one run fetched for a retailer's logical date."""
    return f"{payload_day(retailer_id, logical_date)}run={run_id}/"


def payload_page(folder: str, page: int) -> str:
    """One page in a run's folder; pages count from 1."""
    return f"{folder}page-{page:05d}.json.gz"


def payload_folder(retailer_id: str) -> str:
    """The folder of all pages of a retailer."""
    return f"payloads/{retailer_id}/"


def erasure(run_id: str) -> str:
    """The certificate of an erasure."""
    return f"{ERASURES}{run_id}.json"


def raw_folder(retailer_id: str) -> str:
    """The folder of all raw files of a retailer."""
    return f"raw/{retailer_id}/"


def raw_file(retailer_id: str, logical_date: date) -> str:
    """The raw file of a retailer's logical date."""
    day = f"year={logical_date:%Y}/month={logical_date:%m}/day={logical_date:%d}"
    return f"{raw_folder(retailer_id)}{day}/sales_data.json"


def master_folder(kind: Literal["products", "stores"], retailer_id: str) -> str:
    """The folder of a retailer's master data of that kind, with one folder per run.

    Kept apart from the retailer's sales, which are read by their whole folder; no retailer can be called `master-data`.
    """
    return f"raw/master-data/{kind}/{retailer_id}/"


def staged_table(name: str) -> str:
    """The Delta table of rows that were derived for a table of the star and wait for their merge."""
    return f"{STAGED}{name}"


def star_table(name: str) -> str:
    """A Delta table of the star."""
    return f"{STAR}{name}"


def validation(run_id: str, step: str) -> str:
    """The findings of a run's suites in a step."""
    return f"{VALIDATIONS}{run_id}/{step}.json"


def run_folder(run_id: str) -> str:
    """The folder of everything the ledger knows about a run."""
    return f"{RUNS}{run_id}/"


def run_record(run_id: str) -> str:
    """What the run is for, and when it began."""
    return f"{run_folder(run_id)}run.json"


def run_steps(run_id: str) -> str:
    """The folder of the run's steps that ended."""
    return f"{run_folder(run_id)}steps/"


def run_step(run_id: str, step: str) -> str:
    """A step that ended, with its counts and versions."""
    return f"{run_steps(run_id)}{step}.json"


def merge_plan(table: str) -> str:
    """The name of the step that records what a merge into a table of the star is going to do."""
    return f"merge-plan-{table}"


def set_aside(run_id: str, key: str) -> str:
    """Where a rebuild keeps an object of a damaged log."""
    return f"{DAMAGED}{run_id}/{key}"


def run_checked(run_id: str) -> str:
    """The check that covers what the run merged: its own, or a later run's."""
    return f"{run_folder(run_id)}checked.json"


def run_end(run_id: str) -> str:
    """How the run ended."""
    return f"{run_folder(run_id)}ended.json"


def done(retailer_id: str, logical_date: date) -> str:
    """The run that completed this retailer's day, through to the views."""
    return f"{DONE}{retailer_id}/{logical_date}.json"


def out_of_reach(retailer_id: str, logical_date: date) -> str:
    """The run that found that the retailer no longer shows this day."""
    return f"{OUT_OF_REACH}{retailer_id}/{logical_date}.json"


def checkpoint(retailer_id: str) -> str:
    """The date up to which scheduled runs have completed all of the retailer's days."""
    return f"{OPS}checkpoints/{retailer_id}.json"


def payload_fields(retailer_id: str) -> str:
    """The fields that the retailer's responses have had so far."""
    return f"{OPS}payload-fields/{retailer_id}.json"


def doctor_probe(name: str) -> str:
    """An object that `retail doctor` writes, reads and deletes."""
    return f"{OPS}doctor/{name}"
