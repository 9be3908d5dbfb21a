"""Makes format_2_lake.tar.gz with the code as of commit 79da628; see README.md."""

from __future__ import annotations

import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from retail.config.secrets import Secrets
from retail.lake.layout import raw_file
from retail.pipeline.runner import STEP_FUNCTIONS
from retail.pipeline.workspace import Workspace
from retail.records import ProductRecord
from tests.conftest import settings_for
from tests.star.conftest import record
from tests.steps import step_context

FIFTH, SIXTH = date(2017, 1, 5), date(2017, 1, 6)
LATER = {"updated_at": "2017-01-06T09:00:00.000000Z"}
LATEST = {"updated_at": "2017-01-06T10:00:00.000000Z"}


def _page(day: date, number: int, *, retailer: str = "retailer_1") -> dict[str, str]:
    run_id = f"20170107T01000{day.day - 5}Z-a"
    page = f"payloads/{retailer}/date={day}/run={run_id}/page-00001.json.gz"
    return {"source_ref": f"{page}#/orders/{number}", "mapping_version": "3"}


DAYS: dict[tuple[str, date], list[Any]] = {
    ("retailer_1", FIFTH): [
        record(**_page(FIFTH, 0)),
        record(
            line_id="2", customer_id=None, product_id="p2", product_name=None, total_amount="0.10",
            discount_amount=None, tax_amount=None, **_page(FIFTH, 1),
        ),
        record(transaction_id="t2", store_id=None, store_name=None, total_amount="7.25", **_page(FIFTH, 2)),
        record(transaction_id="t3", currency=None, **_page(FIFTH, 3)),
        record(transaction_id="t5", product_id="p3", product_name="Plate – «large»"),  # of no page, by no mapping
    ],
    ("retailer_2", FIFTH): [
        record(retailer_id="retailer_2", currency="EUR", **_page(FIFTH, 0, retailer="retailer_2"))
    ],
    ("retailer_1", SIXTH): [
        record(**LATER, status="cancelled", quantity="0", total_amount="0", **_page(SIXTH, 0)),
        record(
            **LATER, transaction_id="t2", business_date="2016-12-31", sold_at="2016-12-31T20:00:00.000000Z",
            **_page(SIXTH, 1),
        ),
        record(**LATEST, transaction_id="t4", product_name="Blue mug", **_page(SIXTH, 2)),
        # As the day before: it lies in the overlap of both.
        record(
            line_id="2", customer_id=None, product_id="p2", product_name=None, total_amount="0.10",
            discount_amount=None, tax_amount=None, **_page(SIXTH, 3),
        ),
    ],
}  # fmt: skip
DESCRIBED = ProductRecord(
    retailer_id="retailer_1", product_id="p3", product_name="Plate", brand="Acme", category="Kitchen",
    fetched_at="2017-01-07T00:00:00.000000Z", source_ref="GET /items/p3",
)  # fmt: skip
RUNS = (tuple(DAYS)[:2], tuple(DAYS)[2:])


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for("sail", Path(folder) / "lake")
        quality = settings.quality.model_copy(update={"quarantine_lines": 10})
        with Workspace(settings.model_copy(update={"quality": quality}), Secrets({})) as workspace:
            for unit, lines in DAYS.items():
                text = "".join(line.to_line() + "\n" for line in lines)
                workspace.storage.write(raw_file(*unit), text.encode())
            workspace.storage.write(
                "raw/master-data/products/retailer_1/run=run-1/products-00001.json",
                f"{DESCRIBED.to_line()}\n".encode(),
            )
            for number, units in enumerate(RUNS, start=1):
                run = workspace.ledger.begin(f"run-{number}", units, tasks=("transform",), engine="sail")
                context = step_context(workspace, run)
                for name in ("stage", "gate", "merge"):
                    result = STEP_FUNCTIONS[name](context)
                    workspace.ledger.end_step(run.run_id, name, result.to_json(), seconds=0)
                workspace.ledger.end(run.run_id, "success")
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted((Path(folder) / "lake").rglob("*")):
                left_out = {"staged", "validations", "data_docs"} & {*path.parts}
                if path.is_file() and not left_out:
                    entry = tar.gettarinfo(path, path.relative_to(Path(folder) / "lake").as_posix())
                    entry.uname = entry.gname = ""
                    entry.uid = entry.gid = 0
                    with path.open("rb") as file:
                        tar.addfile(entry, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
