"""`retail doctor`: check that everything is in place, and say what to do if it is not."""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from retail.cli.doctor.bucket import examine_bucket
from retail.config.secrets import Secrets
from retail.config.settings import LakeSettings, Settings
from retail.errors import RetailError
from retail.lake import layout
from retail.lake.engine import open_session
from retail.lake.storage import open_storage
from retail.sources.registry import problems
from retail.warehouse.connection import Warehouse, open_warehouse
from retail.warehouse.schema import ddl

_RETRY_SECONDS: Final = 3.0  # a person is waiting for the answer


def examine(settings: Settings, conf: Path, secrets: Secrets, out: Console) -> int:
    """Print one line per finding; returns 0 if a run could start, else 2. `conf` is the source of the settings."""
    failed = 0
    out.print(f"  ok    configuration file: {conf.absolute()}", markup=False, soft_wrap=True)
    for name, check in _checks(settings, secrets):
        try:
            out.print(f"  ok    {name}: {check()}", markup=False)
        except RetailError as error:
            failed += 1
            out.print(f"  FAIL  {name}: {error}", markup=False)
    out.print(
        "Everything is in place." if not failed else f"{failed} problem(s) to fix before a run can start."
    )
    return 2 if failed else 0


def _checks(settings: Settings, secrets: Secrets) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "configuration and secrets", lambda: _configuration(settings, secrets)
    lake = settings.lake.model_copy(
        update={"s3_retry_seconds": min(settings.lake.s3_retry_seconds, _RETRY_SECONDS)}
    )
    yield "storage", lambda: _storage(lake)
    if lake.url.startswith(("s3://", "s3a://")):
        yield "bucket", lambda: examine_bucket(lake)
    yield f"engine {settings.engine}", lambda: _engine(settings)
    yield "PostgreSQL", lambda: _warehouse(settings, secrets)
    yield "Java, for the Spark engine", lambda: _java(needed=settings.engine == "spark")


def _configuration(settings: Settings, secrets: Secrets) -> str:
    found = problems(settings, secrets, settings.retailers)
    if found:
        raise RetailError("; ".join(found), hint="fix conf/*.toml or the environment")
    return f"{len(settings.retailers)} retailers"


def _storage(lake: LakeSettings) -> str:
    storage = open_storage(lake)
    key = layout.doctor_probe(uuid.uuid4().hex)
    if not storage.create(key, b"1") or storage.create(key, b"2"):
        storage.delete(key)
        raise RetailError(
            f"{storage.url} allows an object to be created twice, so two runs could work at once",
            hint="use a store with conditional writes (If-None-Match), such as Amazon S3",
        )
    storage.delete(key)
    return f"{storage.url} is writable and guards against two writers"


def _engine(settings: Settings) -> str:
    with open_session(settings) as session:
        return f"returned {session.range(3).count()} of 3 rows, Spark API {session.version}"


def _warehouse(settings: Settings, secrets: Secrets) -> str:
    with open_warehouse(settings.warehouse, secrets) as warehouse:
        return f"{warehouse.dsn()}, {schema_of(warehouse)}"


def schema_of(warehouse: Warehouse) -> str:
    """The schema's version, and what the next publish will apply. Raises WarehouseError if it could not be applied."""
    state = ddl.state(warehouse)
    pending = [migration.name for migration in state.migrations]
    pending += [file.name for file in state.definitions if not state.migrations]
    if not pending:
        without = "" if state.has_roles else "; the optional roles of sql/roles.sql are not installed"
        return f"schema version {state.version}, nothing pending{without}"
    names = f"{', '.join(pending[:3])}{f' and {len(pending) - 3} more' if len(pending) > 3 else ''}"
    return f"schema version {state.version}; pending, applied by the next publish: {names}"


def _java(*, needed: bool) -> str:
    java = shutil.which("java")
    if java is None:
        if needed:
            raise RetailError("no java on the PATH", hint="install a JDK 17 or newer")
        return "not found, and not needed by this configuration"
    banner = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', banner)
    if needed and (version is None or int(version[1]) < 17):
        raise RetailError("java is older than 17", hint="install a JDK 17 or newer")
    return banner.splitlines()[0] if banner else java
