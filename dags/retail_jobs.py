"""What the DAG's tasks do: run one of jobs/*.py as a process of its own, and tell the lake's ledger where it fails.

Airflow has an environment of its own, without the pipeline's packages; nothing of `retail` is imported here. Secrets
come from Airflow's connections and go into the environment of that process alone: not into an argument, a template
field or an XCom, and what the process prints is masked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from airflow.sdk.log import mask_secret

INGEST: Final = "ingest_retailers_to_s3"
# The command that does by hand what the task does.
COMMANDS: Final = {
    INGEST: "ingest",
    "transform_s3_to_postgres": "transform",
    "data_quality_check": "check",
    "refresh_materialized_views": "refresh",
}
PARTIAL: Final = 3
# A configuration or a quality gate that says no will say it again in five minutes.
_IN_VAIN: Final = (2, 4)
_LINES_KEPT: Final = 200
_SECONDS_TO_END: Final = 30
_SECONDS_TO_NOTE: Final = 300


@dataclass(frozen=True)
class Configuration:
    """conf/airflow.toml, with its paths made absolute."""

    home: Path
    time_zone: str
    conf: Path
    python: Path
    launcher: str
    spark_arguments: tuple[str, ...]
    retry_delay: timedelta
    timeout: timedelta

    @classmethod
    def read(cls, home: Path) -> Configuration:
        """Raises ValueError with what is wrong, which Airflow shows as the DAG's import error."""
        path = Path(os.environ.get("RETAIL_AIRFLOW_CONF") or home / "conf" / "airflow.toml")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        if values.get("launcher") not in ("python", "spark-submit"):
            raise ValueError(f'{path}: launcher must be "python" or "spark-submit"')
        try:
            return cls(
                home=home,
                time_zone=values.pop("time_zone"),
                conf=home / values.pop("conf"),
                python=home / values.pop("python"),
                launcher=values.pop("launcher"),
                spark_arguments=tuple(values.pop("spark_arguments", ())),
                retry_delay=timedelta(minutes=values.pop("retry_minutes", 5)),
                timeout=timedelta(hours=values.pop("timeout_hours", 20)),
                **values,
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error.args[0]} is missing") from None
        except TypeError as error:
            raise ValueError(f"{path}: a key that nobody reads: {', '.join(values)}") from error

    def command(self, script: str, arguments: list[str]) -> list[str]:
        """The job as the launcher is given it."""
        job = [str(self.home / "jobs" / f"{script}.py"), *arguments]
        if self.launcher == "spark-submit":
            return [str(self.home / "spark-submit.sh"), *self.spark_arguments, *job]
        return [str(self.python), *job]


def run_name(run_id: str) -> str:
    """The DAG run's id as the pipeline takes a run's name: what is readable of it, and a hash that keeps two apart."""
    readable = re.sub(r"\+00:00$|[:-]", "", run_id).replace("__", "-")
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", readable).strip(".-")[:32]
    return f"{safe or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"


class RetailJob(BaseOperator):
    """One of jobs/*.py for this DAG run. Its result is its exit code and, where it is partial, who is missing.

    Fails without another try where the same again would come of it: a wrong configuration, a quality gate.
    """

    template_fields = ()

    def __init__(self, *, configuration: Configuration, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        arguments = ["--run-id", run_name(context["dag_run"].run_id)]
        last_day = context["params"].get("to")
        if self.task_id == INGEST and last_day:
            arguments += ["--to", str(last_day)]
        said: list[str] = []
        for line in self._lines(self.configuration.command(self.task_id, arguments)):
            self.log.info("%s", line)
            said = [*said, line][-_LINES_KEPT:]
        assert self._process is not None  # noqa: S101
        code = self._process.returncode
        if code == 0:
            return {"exit_code": 0}
        if code == PARTIAL and self.task_id == INGEST:
            missing = "\n".join(line for line in said if " FAILED, the others went on" in line)
            self.log.warning("Partial: the tasks behind go on for the other retailers.\n%s", missing)
            return {"exit_code": code, "missing": missing or "\n".join(said[-5:])}
        failure = AirflowFailException if code in _IN_VAIN else AirflowException
        raise failure(f"exit code {code}: {_reason(said)}")

    def _lines(self, command: list[str]) -> Iterator[str]:
        """What the job prints, as it comes, no secret in it. However this ends, the job ends with it."""
        given = dict(of_connections(self.configuration, self.task_id))
        hidden = sorted(secrets_in(given), key=len, reverse=True)
        self.log.info("%s", " ".join(command))
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=self.configuration.home,
            env=environment_of(self.configuration, given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            assert self._process.stdout is not None  # noqa: S101
            for line in self._process.stdout:
                for secret in hidden:
                    line = line.replace(secret, "***")  # noqa: PLW2901
                yield line.rstrip("\n")
            self._process.wait()
        finally:
            self.on_kill()

    def on_kill(self) -> None:
        """A task that is cleared, marked or timed out ends its job: first asked to, then made to."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for how in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_SECONDS_TO_END)
                return


class AllRetailersAnswered(BaseOperator):
    """Red where a retailer is missing from this run, so that a partial run does not look as if all were well."""

    def execute(self, context: Any) -> None:
        ended = context["ti"].xcom_pull(task_ids=INGEST) or {}
        if ended.get("exit_code") == PARTIAL:
            raise AirflowFailException(
                f"the run is partial: {ended['missing']}\n"
                "  next: nothing is lost, the next run fetches what is missing; "
                "for it to be sooner, trigger the DAG once the retailer answers"
            )


def note_failure(context: Any) -> None:
    """The failure callback: failure, reason and next command go into the ledger, where `retail status` shows them."""
    _note(context, again=False)


def note_retry(context: Any) -> None:
    """The same for an attempt that is followed by another."""
    _note(context, again=True)


def _note(context: Any, *, again: bool) -> None:
    task, ti = context["task"], context["ti"]
    name = run_name(context["dag_run"].run_id)
    reason, _, hint = str(context.get("exception") or "the task was ended from outside").partition(
        "\n  next: "
    )
    record = {
        "run": name,
        "task": ti.task_id,
        "attempt": f"{ti.try_number} of {(ti.max_tries or 0) + 1}",
        "reason": reason,
        "next": hint.strip() or "see the reason",
        "command": _next_command(ti.dag_id, ti.task_id, name, again=again),
    }
    configuration = getattr(task, "configuration", None) or Configuration.read(home())
    command = [str(configuration.python), "-m", "retail.cli", "note-failure"]
    try:
        noted = subprocess.run(  # noqa: S603
            command,
            input=json.dumps(record),
            env=environment_of(configuration, dict(of_connections(configuration))),
            cwd=configuration.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_TO_NOTE,
        )
        said = noted.stderr.strip() if noted.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        said = str(error)
    task.log.error("Failed: %s\nNext: %s\n%s", record["reason"], record["command"], record["next"])
    if said:
        task.log.error("The failure could not be written to the ledger: %s", said)


def home() -> Path:
    """The checkout that this DAG lies in, or RETAIL_HOME."""
    return Path(os.environ.get("RETAIL_HOME") or Path(__file__).resolve().parents[1])


def _next_command(dag_id: str, task_id: str, name: str, *, again: bool) -> str:
    if again:
        return "none: Airflow tries the task again"
    if task_id not in COMMANDS:
        return f"airflow dags trigger {dag_id}"
    return f"retail {COMMANDS[task_id]} --run-id {name}; or, in Airflow, clear the task {task_id}"


def _reason(said: list[str]) -> str:
    """What the job said last: its error with the next step, or else its last lines."""
    begins = [number for number, line in enumerate(said) if line.startswith("retail: ")]
    found = said[begins[-1] :] if begins else said[-5:]
    return "\n".join(found).removeprefix("retail: ") or "it said nothing"


def environment_of(configuration: Configuration, given: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment without Airflow's own, and over it what is given."""
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
    """What must not be seen. Airflow is told too, but masks only its log, not the copy on the scheduler's output."""
    found = [value for name, value in given.items() if name not in _NO_SECRETS]
    for secret in found:
        mask_secret(secret)
    return found


def of_connections(configuration: Configuration, task_id: str | None = None) -> Iterator[tuple[str, str]]:
    """What the task needs of the connections, by variable, and no more: only the ingest asks retailers, and it needs
    no PostgreSQL. Without a task, the way to the lake alone.
    """
    yield from _fields("retail_s3", _S3)
    if task_id == INGEST:
        yield from _fields("retail_customer", {"password": "RETAIL_CUSTOMER_PEPPER"})
        for retailer_id in tomllib.loads(configuration.conf.read_text(encoding="utf-8"))["retailers"]:
            prefix = f"RETAIL_{retailer_id.upper()}"
            named = {"login": f"{prefix}_CLIENT_ID", "password": f"{prefix}_CLIENT_SECRET"}
            yield from _fields(f"retail_{retailer_id}", named, extra_prefix=prefix)
    elif task_id in COMMANDS:
        yield from _fields("retail_warehouse", _WAREHOUSE)


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

# Masked, a user or database called `retail` would black out half of the log.
_NO_SECRETS: Final = frozenset(
    variable for named in (_S3, _WAREHOUSE) for variable in named.values() if variable.startswith("RETAIL_")
) - {_WAREHOUSE["password"]}


def _fields(
    connection_id: str, named: Mapping[str, str], *, extra_prefix: str | None = None
) -> Iterator[tuple[str, str]]:
    """The connection's fields by the variable that each is for; nothing where there is no such connection.

    With `extra_prefix` each further field of its extra is a variable too: refresh_token, access_token.
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
        for field, value in extra.items():
            yield f"{extra_prefix}_{field.upper()}", str(value)
