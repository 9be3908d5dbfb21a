"""The reports of `sql/reports` as an analyst runs them: by psql, with its variables."""

from __future__ import annotations

import csv
import os
import subprocess
from datetime import date

from retail.config.settings import home
from retail.warehouse.connection import Warehouse
from retail.warehouse.embedded.programs import binaries


def report(
    service: str, warehouse: Warehouse, *, retailer: str, first: date, last: date
) -> list[dict[str, str]]:
    """The rows of one report, each value as psql writes it."""
    variables = {"retailer": retailer, "first": str(first), "last": str(last), "ON_ERROR_STOP": "1"}
    command = [str(binaries() / "psql"), warehouse.dsn(), "--csv", "--no-psqlrc"]
    command += [option for name, value in variables.items() for option in ("-v", f"{name}={value}")]
    command += ["-f", str(home() / "sql" / "reports" / f"{service}.sql")]
    password = {} if warehouse.password is None else {"PGPASSWORD": warehouse.password.reveal()}
    ended = subprocess.run(
        command, env={**os.environ, **password}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return list(csv.DictReader(ended.stdout.splitlines()))
