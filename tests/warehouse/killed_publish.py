"""One publish over Sail, killed without warning: python -m tests.warehouse.killed_publish PLACE CALL ARGUMENTS

`ARGUMENTS` is JSON: the lake, its versions, the run, and PostgreSQL. See tests/kill/striking.py for the rest.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from retail.config.secrets import Secret
from retail.lake.engine import open_session
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import publish
from tests.conftest import settings_for
from tests.kill.striking import kill_at
from tests.warehouse.literals import Lake


def main(place: str, call: str, arguments: str) -> None:
    os.setsid()  # what is killed is the process group
    given = json.loads(arguments)
    lake = Lake(Path(given["lake"]))
    with open_session(settings_for("sail", Path(given["lake"]))) as session:
        kill_at(place, call)
        publish(
            session,
            lake.storage,
            Warehouse(**given["warehouse"], password=Secret(given["password"])),
            run_id=given["run_id"],
            pending_run_ids=[given["run_id"]],
            months=given["months"],
            delta_versions=given["versions"],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
