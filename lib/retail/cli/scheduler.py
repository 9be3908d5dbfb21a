"""Commands for a scheduler or a script, not for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import IO, Final

import click
from pydantic import ValidationError

from retail.cli.options import with_settings
from retail.config.settings import Settings
from retail.errors import ConfigurationError
from retail.lake import engine, spark_artifacts
from retail.lake.storage import open_storage
from retail.runs.task_failures import Failure, note


@click.command("note-failure", hidden=True)
@click.argument("record", type=click.File(), default="-")
@with_settings
def note_failure(settings: Settings, /, record: IO[str]) -> None:
    """Write a task's failure, given as JSON (run, task, attempt, reason, next, command), to the ledger."""
    try:
        failure = Failure.model_validate_json(record.read())
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise ConfigurationError(problems, hint="see `retail note-failure --help`") from None
    note(open_storage(settings.lake, settings.engine), failure)


@click.command("spark-options", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("submitted", nargs=-1, type=click.UNPROCESSED)
@with_settings
def spark_options(settings: Settings, /, submitted: tuple[str, ...]) -> None:
    """The jars and configuration for spark-submit, each word on a line of its own.

    SUBMITTED are the words that spark-submit gets beside them: if they bring Delta, ours is left out. A Spark on this
    machine alone listens on loopback.
    """
    options = engine.spark_options(settings) | engine.local_options(_master(submitted))
    jars = engine.jars(settings, delta=not spark_artifacts.names_delta(submitted))
    click.echo(f"--jars\n{','.join(map(str, jars))}")
    for key, value in options.items():
        click.echo(f"--conf\n{key}={value}")


def _master(submitted: Sequence[str]) -> str:
    """The master that spark-submit.sh will have: the last that is named."""
    named = [value for option, value in pairwise(submitted) if option == "--master"]
    named += [word.partition("=")[2] for word in submitted if word.startswith("--master=")]
    return named[-1] if named else os.environ.get("SPARK_MASTER") or "local[*]"


COMMANDS: Final[tuple[click.Command, ...]] = (note_failure, spark_options)
