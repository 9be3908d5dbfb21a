"""Passes Airflow's connections into the environment of a job, and nowhere else.

No secret gets into an argument, a template field or an XCom, and the job's output is masked.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from retail_configuration import COMMANDS, INGEST, RECONCILE, Configuration

_S3: Final = {
    "login": "AWS_ACCESS_KEY_ID",
    "password": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "region_name": "RETAIL_LAKE__S3_REGION",
    "endpoint_url": "RETAIL_LAKE__S3_ENDPOINT",
}
_WAREHOUSE: Final = {
    "host": "RETAIL_WAREHOUSE__HOST",
    "port": "RETAIL_WAREHOUSE__PORT",
    "schema": "RETAIL_WAREHOUSE__DATABASE",
    "login": "RETAIL_WAREHOUSE__USER",
    "password": "RETAIL_WAREHOUSE_PASSWORD",
}
# Masking a user or database called `retail` would black out half of the log.
_NO_SECRETS: Final = frozenset(
    variable for named in (_S3, _WAREHOUSE) for variable in named.values() if variable.startswith("RETAIL_")
) - {_WAREHOUSE["password"]}


def environment_of(configuration: Configuration, given: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment without Airflow's own variables, overridden by `given`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lstrip("_").startswith("AIRFLOW")
        and name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    kept |= {"RETAIL_HOME": str(configuration.home), "RETAIL_CONF": str(configuration.conf)}
    kept |= {"RETAIL_PYTHON": str(configuration.python), "PYTHONUNBUFFERED": "1"}
    for name in given:
        kept.pop(f"{name}_FILE", None)
    return kept | given


def secrets_in(given: Mapping[str, str]) -> list[str]:
    """The values to mask. Airflow also gets them, but masks only its log, not the copy in the scheduler's output."""
    found = [value for name, value in given.items() if name not in _NO_SECRETS]
    for secret in found:
        mask_secret(secret)
    return found


_SECRET: Final = re.compile(r"(^|_)(id|key|secret|token|password)$", re.IGNORECASE)


def of_connections(configuration: Configuration, task_id: str | None = None) -> Iterator[tuple[str, str]]:
    """The variables that the task needs, from the connections: the ingest calls retailers and does not need PostgreSQL,
    a comparison needs both, and every other task PostgreSQL alone. Without a task, only those of the lake.
    """
    yield from _fields("retail_s3", _S3)
    if task_id in (INGEST, RECONCILE):
        yield from _fields("retail_customer", {"password": "RETAIL_CUSTOMER_PEPPER"})
        for retailer_id in tomllib.loads(configuration.conf.read_text(encoding="utf-8-sig"))["retailers"]:
            prefix = f"RETAIL_{retailer_id.upper()}"
            named = {"login": f"{prefix}_CLIENT_ID", "password": f"{prefix}_CLIENT_SECRET"}
            yield from _fields(f"retail_{retailer_id}", named, extra_prefix=prefix)
    if task_id in COMMANDS.keys() - {INGEST} | {RECONCILE}:
        yield from _fields("retail_warehouse", _WAREHOUSE)


def _fields(
    connection_id: str, named: Mapping[str, str], *, extra_prefix: str | None = None
) -> Iterator[tuple[str, str]]:
    """The connection's fields with the variable for each; nothing if the connection does not exist.

    With `extra_prefix`, each secret of its extra also becomes a variable: refresh_token, access_token. Other fields,
    such as Airflow's own, are left.
    """
    try:
        connection = Connection.get(connection_id)
    except AirflowNotFoundException:
        return
    extra = connection.extra_dejson or {}
    for field, variable in named.items():
        value = getattr(connection, field, None) or extra.get(field)
        if value:
            yield variable, str(value)
    if extra_prefix:
        for field in filter(_SECRET.search, extra):
            value = extra[field]
            yield f"{extra_prefix}_{field.upper()}", str(value)
