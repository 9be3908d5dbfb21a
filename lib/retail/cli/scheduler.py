"""Commands for a scheduler or a script, not for people."""

from __future__ import annotations

from typing import IO, Final

import click
from pydantic import ValidationError

from retail.cli.options import with_settings
from retail.config.settings import Settings
from retail.errors import ConfigurationError
from retail.lake import engine
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


@click.command("spark-options", hidden=True)
@with_settings
def spark_options(settings: Settings, /) -> None:
    """What spark-submit has to be told of jars and configuration, each word on a line of its own."""
    options = engine.spark_options(settings)
    click.echo(f"--jars\n{','.join(map(str, engine.jars(settings)))}")
    for key, value in options.items():
        click.echo(f"--conf\n{key}={value}")


COMMANDS: Final[tuple[click.Command, ...]] = (note_failure, spark_options)
