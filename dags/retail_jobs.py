"""The DAG's tasks: each runs one of jobs/*.py as a separate process, and records a failure in the lake's ledger.

Airflow has its own environment, without the pipeline's packages, so nothing of `retail` is imported here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from retail_configuration import COMMANDS, INGEST, Configuration, home
from retail_connections import environment_of, of_connections, secrets_in

PARTIAL: Final = 3
# A wrong configuration or a failed quality gate would fail again in five minutes.
_IN_VAIN: Final = (2, 4)
_BACKFILL: Final = "backfill"
_LINES_KEPT: Final = 200
_DAYS_COMPARED: Final = 14
_SECONDS_TO_END: Final = 30
_SECONDS_TO_NOTE: Final = 300


def default_arguments(configuration: Configuration) -> dict[str, Any]:
    """What every task of both DAGs does when it fails: two more tries, and a record in the ledger."""
    return {
        "retries": 2,
        "retry_delay": configuration.retry_delay,
        "execution_timeout": configuration.timeout,
        "on_failure_callback": note_failure,
        "on_retry_callback": note_retry,
    }


def run_name(run_id: str) -> str:
    """The DAG run's id as a run name for the pipeline: its readable part, and a hash that keeps two runs apart."""
    readable = re.sub(r"(\d{4})-(\d\d)-(\d\d)T.*", r"\1\2\3", run_id)
    safe = re.sub(r"[^A-Za-z0-9.]+", "-", readable).strip(".-")[:24]
    return f"{safe or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"


def _is_cleared(ti: Any, retries: int) -> bool:
    """Whether somebody cleared the task, so that it must be redone even though it succeeded; false for a retry.

    A clear grants the task new retries, on top of its earlier tries: from then on its maximum is higher than that of a
    task that nobody cleared. Every try after the clear redoes the work: the try before may have failed at its start.
    """
    return bool((ti.max_tries or 0) > retries)


class RetailJob(BaseOperator):
    """One of jobs/*.py for this DAG run. Its result is its exit code and, for a partial run, the missing retailers.

    Fails without another try if it would fail the same way: a wrong configuration, a quality gate.
    """

    template_fields = ()

    def __init__(self, *, configuration: Configuration, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self._process: subprocess.Popen[str] | None = None

    def arguments(self, context: Any) -> list[str]:
        """The job's arguments."""
        arguments = ["--run-id", run_name(context["dag_run"].run_id)]
        if self.task_id == INGEST:
            arguments += self._days(context)
        if _is_cleared(context["ti"], self.retries):
            arguments.append("--redo")
        return arguments

    def _days(self, context: Any) -> list[str]:
        """The days to fetch: a backfill's the one before its night, any other run's up to the last complete one."""
        run, last_day = context["dag_run"], context["params"].get("to")
        if run.run_type == _BACKFILL:
            night = run.logical_date.astimezone(ZoneInfo(self.configuration.time_zone)).date()
            return ["--date", str(night - timedelta(days=1))]
        return ["--to", str(last_day)] if last_day else []

    def execute(self, context: Any) -> dict[str, Any]:
        said: list[str] = []
        for line in self._lines(self.configuration.command(self.task_id, self.arguments(context))):
            self.log.info("%s", line)
            said = [*said, line][-_LINES_KEPT:]
        assert self._process is not None  # noqa: S101
        code = self._process.returncode
        if code == 0:
            return {"exit_code": 0}
        if code == PARTIAL and self.task_id == INGEST:
            missing = _missing(said)
            self.log.warning("Partial: the next tasks continue for the other retailers.\n%s", missing)
            return {"exit_code": code, "missing": missing}
        failure = AirflowFailException if code in _IN_VAIN else AirflowException
        raise failure(f"exit code {code}: {_reason(said)}")

    def _lines(self, command: list[str]) -> Iterator[str]:
        """The job's output, line by line, with secrets masked. However this ends, the job ends too."""
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
        """Ends the job of a task that was cleared, marked or timed out: first by SIGINT, then by SIGKILL."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for how in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_SECONDS_TO_END)
                return


class ReconcileJob(RetailJob):
    """Compares the last weeks with the retailers again, without waiting for a quota that the nightly run needs."""

    def arguments(self, context: Any) -> list[str]:
        del context
        today = datetime.now(ZoneInfo(self.configuration.time_zone)).date()
        first, last = (today - timedelta(days=days) for days in (_DAYS_COMPARED + 1, 2))
        return ["--from", str(first), "--to", str(last), "--no-wait"]


class AllRetailersAnswered(BaseOperator):
    """Fails if a retailer is missing from this run, so that a partial run is visible."""

    def execute(self, context: Any) -> None:
        ended = context["ti"].xcom_pull(task_ids=INGEST) or {}
        if ended.get("exit_code") == PARTIAL:
            raise AirflowFailException(
                f"the run is partial: {ended['missing']}\n"
                "  next: nothing is lost: the next run fetches what is missing and available; "
                "to fetch it sooner, trigger the DAG once the retailer answers"
            )


def note_failure(context: Any) -> None:
    """The failure callback: records failure, reason and next command in the ledger; `retail status` shows them."""
    _note(context, again=False)


def note_retry(context: Any) -> None:
    """The same for a failed attempt that Airflow retries."""
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


def _next_command(dag_id: str, task_id: str, name: str, *, again: bool) -> str:
    if again:
        return "none: Airflow retries the task"
    if task_id not in COMMANDS:
        return f"airflow dags trigger {dag_id}"
    return f"retail {COMMANDS[task_id]} --run-id {name}; or, in Airflow, clear the task {task_id}"


def _missing(said: list[str]) -> str:
    """The missing retailers in a partial run's output, with the reasons; its last lines if it names none."""
    found = [number for number, line in enumerate(said) if " FAILED, the others continued" in line]
    lines = itertools.takewhile(
        lambda line: not line.startswith("Give the same command"), said[found[0] :] if found else ()
    )
    return "\n".join(line for line in lines if line) or "\n".join(said[-5:])


def _reason(said: list[str]) -> str:
    """The job's error with the next step, or else its last lines."""
    begins = [number for number, line in enumerate(said) if line.startswith("retail: ")]
    found = said[begins[-1] :] if begins else said[-5:]
    return "\n".join(found).removeprefix("retail: ") or "the job printed nothing"
