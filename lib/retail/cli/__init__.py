"""The command `retail`. Exit codes: 0 all well, 2 usage or configuration, 3 partial, 4 quality, 1 anything else."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from retail.cli import admin, data_docs, inspect, quarantine, run, scheduler
from retail.cli.local import command
from retail.cli.options import Commands
from retail.cli.sql import command as sql
from retail.config import logs
from retail.config.settings import load_settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--conf",
    type=click.Path(path_type=Path),
    help="TOML file [RETAIL_CONF; else conf/local.toml of this folder, else of the package's].",
)
@click.option("-v", "--verbose", is_flag=True, help="Log each step to stderr.")
@click.version_option(package_name="retail-lakehouse")
@click.pass_context
def main(ctx: click.Context, conf: Path | None, verbose: bool) -> None:
    """Retailers' sales to a Delta star and PostgreSQL views, every row and cent tied out."""
    logs.configure(verbose=verbose)
    ctx.obj = functools.cache(lambda: load_settings(conf))


for _command in (
    *run.COMMANDS,
    *inspect.COMMANDS,
    *quarantine.COMMANDS,
    *data_docs.COMMANDS,
    *admin.COMMANDS,
    *sql.COMMANDS,
    *command.COMMANDS,
    *scheduler.COMMANDS,
):
    main.add_command(_command)
