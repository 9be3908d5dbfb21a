"""`retail doctor`: check that everything is in place, and say what to do if it is not.

A check is a function that returns what it found in words, or a `Warned`, or raises a RetailError; to add one, yield it
in `_checks`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from retail.cli.doctor import lake
from retail.cli.doctor.bucket import examine_bucket
from retail.cli.doctor.finding import Finding, Warned, exit_code, failed
from retail.cli.doctor.published import examine_published
from retail.cli.doctor.retailers import examine_retailers
from retail.cli.doctor.tables import examine_tables
from retail.config.secrets import Secrets
from retail.config.settings import Settings, WarehouseSettings
from retail.errors import ConfigurationError, EngineError, RetailError, WarehouseRefusedError
from retail.lake import location, sail_server
from retail.landing import pepper
from retail.pipeline.workspace import Workspace
from retail.quality import drift
from retail.quality.rules import load_row_rules
from retail.quality.suites import validation
from retail.sources.registry import problems
from retail.star.row_checks import check_rules
from retail.warehouse import rights
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl

_RETRY_SECONDS: Final = 3.0  # a person is waiting for the answer
_SECONDS_FOR_JAVA: Final = 30
# What others need: without it they are not tried.
CONFIGURATION: Final = "configuration and secrets"
STORAGE: Final = "storage"
ENGINE: Final = "engine"
WAREHOUSE: Final = "PostgreSQL"

Check = tuple[
    str, str, Callable[[], str | Warned], tuple[str, ...]
]  # its name, where, the check, and the checks it needs


def examine(settings: Settings, conf: Path, secrets: Secrets, out: Console, *, as_json: bool = False) -> int:
    """Print what each check finds; returns the exit code. `conf` is the source of the settings."""
    findings = []
    for each in _findings(settings, conf, secrets):
        findings.append(each)
        if not as_json:
            _show(out, each)
    code = exit_code(findings)
    if as_json:
        show_json(out, findings)
    else:
        wrong = sum(not each.ok and not each.is_consequence for each in findings)
        out.print("Everything is in place." if not wrong else f"{wrong} problem(s) to fix.")
    return code


def show_json(out: Console, findings: list[Finding]) -> None:
    """Print the findings as one JSON object."""
    code = exit_code(findings)
    found = {"ok": code == 0, "exit_code": code, "findings": [each.to_json() for each in findings]}
    out.print(json.dumps(found, ensure_ascii=False, indent=2), markup=False, soft_wrap=True)


def _show(out: Console, found: Finding) -> None:
    where = f" ({found.where})" if found.where and found.where not in found.what else ""
    mark = ("warn" if found.warning else "ok  ") if found.ok else "FAIL"
    out.print(f"  {mark}  {found.check}: {found.what}{where}", markup=False)
    if found.next:
        out.print(f"        next: {found.next}", markup=False)


def _findings(settings: Settings, conf: Path, secrets: Secrets) -> Iterator[Finding]:
    yield Finding(check="configuration file", what=f"{conf.absolute()}", where=str(conf.absolute()))
    wrong: set[str] = set()
    quick = min(settings.lake.s3_retry_seconds, _RETRY_SECONDS)
    settings = settings.model_copy(
        update={"lake": settings.lake.model_copy(update={"s3_retry_seconds": quick})}
    )
    with Workspace(settings, secrets) as workspace:
        for name, where, check, needs in _checks(workspace, conf):
            if wrong.intersection(needs):
                continue
            found = _tried(name, where, check)
            if not found.ok:
                wrong.add(name)
            yield found
        yield from examine_retailers(settings, workspace.secrets)


def _tried(name: str, where: str, check: Callable[[], str | Warned]) -> Finding:
    try:
        found = check()
        if isinstance(found, Warned):
            return Finding(check=name, what=found.what, where=where, next=found.next, warning=True)
        return Finding(check=name, what=found, where=where)
    except RetailError as error:
        return failed(name, where, error)
    except (
        Exception
    ) as error:  # raised by an engine, a driver or a library: a finding too, and no stack trace
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:500]}"
        return failed(
            name,
            where,
            RetailError(said, hint="give the same command as `retail --verbose doctor`, and see the log"),
        )


def _checks(workspace: Workspace, conf: Path) -> Iterator[Check]:
    settings, secrets = workspace.settings, workspace.secrets
    url = settings.lake.url
    yield CONFIGURATION, str(conf), lambda: _configuration(settings, secrets), ()
    yield "rules and suites", str(conf.parent), lambda: _rules(settings.folder), ()
    yield STORAGE, url, lambda: lake.check_storage(workspace.storage), ()
    if location.is_bucket(settings.lake):
        yield "bucket", url, lambda: examine_bucket(settings.lake), (STORAGE,)
    yield "customers' pepper", url, lambda: _pepper(workspace), (STORAGE, CONFIGURATION)
    yield "deltalake in the lake", url, lambda: lake.check_deltalake(workspace.storage), (STORAGE,)
    yield "Delta tables", url, lambda: examine_tables(workspace), (STORAGE,)
    yield ENGINE, settings.engine, lambda: _engine(workspace), ()
    if settings.engine == "sail":
        yield "the engine's port", settings.engine, engine_port, (ENGINE,)
    in_lake = partial(_engine_in_lake, workspace)
    yield "engine in the lake", url, in_lake, (ENGINE, STORAGE)
    yield (
        "conditions of the rules",
        settings.engine,
        lambda: _conditions(workspace),
        (ENGINE, "rules and suites"),
    )
    server = (
        "embedded" if settings.warehouse.embedded else f"{settings.warehouse.host}:{settings.warehouse.port}"
    )
    yield WAREHOUSE, server, lambda: _warehouse(workspace.warehouse), ()
    if not settings.warehouse.is_on_this_machine:
        yield f"{WAREHOUSE} TLS", server, lambda: tls_of(settings.warehouse), ()
    yield f"{WAREHOUSE} rights", server, lambda: rights_of(workspace.warehouse), (WAREHOUSE,)
    yield "published runs", server, lambda: examine_published(workspace), (STORAGE, WAREHOUSE)
    needed = settings.engine == "spark"
    yield "Java, for the Spark engine", "PATH", lambda: _java(needed=needed), ()


def _configuration(settings: Settings, secrets: Secrets) -> str:
    found = problems(settings, secrets, settings.retailers)
    if found:
        raise ConfigurationError(found)
    return f"{len(settings.retailers)} retailers"


def _pepper(workspace: Workspace) -> str:
    note = pepper.require_unchanged(workspace.storage, workspace.secrets)
    if note is None:
        return "the next run notes it for this lake"
    return f"the one of this lake, rotated {note.rotations} times"


def _rules(beside: Path | None) -> str:
    """Everything that a run reads before it begins, and the suites as Great Expectations reads them."""
    found: list[str] = []
    names = validation.names(beside=beside)
    for read in (
        partial(load_row_rules, beside=beside),
        partial(drift.load_limits, beside=beside),
        partial(validation.read_all, beside=beside),
    ):
        try:
            read()
        except ConfigurationError as error:
            found += error.problems
    if not found:
        for name in names:
            try:
                validation.load(name, beside=beside)
            except ConfigurationError as error:
                found += error.problems
    if found:
        raise ConfigurationError(found, hint="fix these files: docs/DATA_QUALITY.md")
    return f"{len(load_row_rules(beside=beside))} row rules, {len(names)} suites"


def _engine(workspace: Workspace) -> str:
    session = workspace.session
    rows = session.range(3).count()
    if rows != 3:
        raise EngineError(f"the engine returned {rows} of 3 rows", hint="install its package again")
    return f"{workspace.settings.engine} returned {rows} of 3 rows, Spark API {session.version}"


def engine_port() -> str | Warned:
    """Who could use the engine of a run on this machine."""
    exposure = sail_server.exposure()
    if exposure is None:
        return "no other account of this machine can use it"
    return Warned(
        exposure,
        next='run in a container or on a machine with no other accounts, or with engine = "spark":'
        " docs/OPERATIONS.md, The engine is open to other accounts",
    )


def _engine_in_lake(workspace: Workspace) -> str:
    return lake.check_engine(workspace.session, workspace.storage)


def _conditions(workspace: Workspace) -> str:
    rules = load_row_rules(beside=workspace.settings.folder)
    check_rules(workspace.session, rules)
    return f"{len(rules)} work on a row"


def _warehouse(warehouse: Warehouse) -> str:
    return f"{warehouse.dsn()}, {schema_of(warehouse)}"


def tls_of(settings: WarehouseSettings) -> str | Warned:
    """How sure it is that the server is the one that is meant."""
    if settings.tls == "verify-full":
        return "the server must prove that it is the configured one"
    return Warned(
        f"with warehouse.sslmode {settings.tls} another machine in the network can pass for the server",
        next='set warehouse.sslmode = "verify-full" and warehouse.sslrootcert: docs/POSTGRESQL.md, TLS',
    )


def rights_of(warehouse: Warehouse) -> str:
    """What the login may do, in words. Raises WarehouseError if the server is read-only or a right is missing."""
    rights.require_writable(warehouse)
    lacking = [*rights.lacking(warehouse), *rights.lacking_for_schema(warehouse)]
    if lacking:
        raise WarehouseRefusedError(
            "; ".join(what for what, _ in lacking), hint="; ".join(sorted({remedy for _, remedy in lacking}))
        )
    if rights.may_create(warehouse):
        return f"{warehouse.user} may create, write and use temporary tables"
    owner = warehouse.role("owner")
    return (
        f"{warehouse.user} may write, and create no table: a new month's partition needs a member of {owner}"
    )


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
            raise EngineError("no java on the PATH", hint="install a JDK 17 or newer")
        return "not found, and not needed by this configuration"
    try:
        banner = subprocess.run(  # noqa: S603
            [java, "-version"], check=False, capture_output=True, text=True, timeout=_SECONDS_FOR_JAVA
        ).stderr
    except subprocess.TimeoutExpired:
        banner = ""
    version = re.search(r'version "(\d+)', banner)
    if needed and (version is None or int(version[1]) < 17):
        raise EngineError("java is older than 17, or does not answer", hint="install a JDK 17 or newer")
    return banner.splitlines()[0] if banner else java
