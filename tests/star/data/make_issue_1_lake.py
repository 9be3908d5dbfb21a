"""Makes issue_1_lake.tar.gz with the code as of commit 5ac199e; see README.md."""

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
from tests.conftest import settings_for
from tests.star.conftest import record
from tests.steps import step_context

LATER = {"updated_at": "2017-01-06T09:00:00.000000Z"}
DAYS: dict[tuple[str, date], list[Any]] = {
    ("retailer_1", date(2017, 1, 5)): [
        record(),
        record(line_id="2", customer_id=None, product_id="p2", product_name=None, total_amount="0.10"),
        record(transaction_id="t2", store_id=None, store_name=None, total_amount="7.2500"),
        record(transaction_id="t3", currency=None),
    ],
    ("retailer_2", date(2017, 1, 5)): [record(retailer_id="retailer_2", currency="EUR")],
    ("retailer_1", date(2017, 1, 6)): [
        record(**LATER, status="cancelled", quantity="0", total_amount="0"),
        record(**LATER, transaction_id="t2", business_date="2016-12-31", sold_at="2016-12-31T20:00:00.000000Z"),
        record(transaction_id="t4", updated_at="2017-01-06T10:00:00.000000Z", product_name="Blue mug"),
    ],
}  # fmt: skip
RUNS = (tuple(DAYS)[:2], tuple(DAYS)[2:])


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for("sail", Path(folder) / "lake")
        quality = settings.quality.model_copy(update={"quarantine_lines": 10})
        with Workspace(settings.model_copy(update={"quality": quality}), Secrets({})) as workspace:
            for unit, lines in DAYS.items():
                text = "".join(line.to_line() + "\n" for line in lines)
                workspace.storage.write(raw_file(*unit), text.encode())
            for number, units in enumerate(RUNS, start=1):
                run = workspace.ledger.begin(f"run-{number}", units, tasks=("transform",), engine="sail")
                context = step_context(workspace, run)
                for name in ("stage", "gate", "merge"):
                    result = STEP_FUNCTIONS[name](context)
                    workspace.ledger.end_step(run.run_id, name, result.to_json(), seconds=0)
                workspace.ledger.end(run.run_id, "success")
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted((Path(folder) / "lake").rglob("*")):
                if path.is_file() and "staged" not in path.parts:
                    entry = tar.gettarinfo(path, path.relative_to(Path(folder) / "lake").as_posix())
                    entry.uname = entry.gname = ""
                    entry.uid = entry.gid = 0
                    with path.open("rb") as file:
                        tar.addfile(entry, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
