"""`retail sql`: query the lake, and show other programs how to read it."""

from __future__ import annotations

import sys
from typing import Final

import click

from retail.cli.options import with_settings
from retail.cli.output import console
from retail.cli.sql import prompt
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake import external_tables
from retail.lake.storage import open_storage
from retail.pipeline.workspace import Workspace


@click.command()
@click.argument("statement", required=False)
@click.option(
    "--engine", type=click.Choice(["sail", "spark"]), help="The engine to use [the configuration's]."
)
@click.option(
    "--rows", default=1_000, show_default=True, type=click.IntRange(1), help="Rows to show at most."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV instead of a table.")
@click.option(
    "--no-formulas",
    is_flag=True,
    help="With --csv: put ' before a text that a spreadsheet would take for a formula.",
)
@click.option(
    "--print",
    "dialect",
    type=click.Choice(["athena", "spark"]),
    help="Only print the DDL for that reader.",
)
@with_settings
def sql(
    settings: Settings,
    /,
    *,
    statement: str | None,
    engine: str | None,
    rows: int,
    as_csv: bool,
    no_formulas: bool,
    dialect: str | None,
) -> None:
    """Query the lake in SQL, without PostgreSQL: the star, the raw files and the views.

    Runs STATEMENT, or standard input, or opens a prompt on a terminal. Read-only.
    """
    if dialect is not None:
        _print(settings, dialect)
        return
    if no_formulas and not as_csv:
        raise click.UsageError("--no-formulas is for --csv")
    show = prompt.as_csv(no_formulas=no_formulas) if as_csv else prompt.as_table(rows)
    settings = settings.model_copy(update={"engine": engine or settings.engine})
    with Workspace(settings, Secrets()) as workspace:
        external_tables.register(workspace.session, settings, workspace.storage)
        if statement is not None:
            prompt.run(workspace.session, [statement], show)
        elif sys.stdin.isatty():
            prompt.converse(workspace.session, console.console(), show)
        else:
            prompt.run(workspace.session, [sys.stdin.read()], show)


def _print(settings: Settings, dialect: str) -> None:
    to_athena = dialect == "athena"
    ready = (
        external_tables.athena(settings)
        if to_athena
        else external_tables.spark(settings, open_storage(settings.lake, settings.engine))
    )
    click.echo("\n\n".join(f"{each};" for each in ready))


COMMANDS: Final[tuple[click.Command, ...]] = (sql,)
