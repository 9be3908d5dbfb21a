"""The command `retail`. Exit codes: 0 all well, 2 usage or configuration, 3 partial, 4 quality, 1 anything else."""

from __future__ import annotations

import atexit
import functools
import os
import re
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from retail.cli import admin, customers, data_docs, inspect, quarantine, rebuild, run, scheduler
from retail.cli.local import command
from retail.cli.options import Commands
from retail.cli.output import streams
from retail.cli.sql import command as sql
from retail.config import environment, logs
from retail.config.settings import load_settings
from retail.errors import ConfigurationError
from retail.lake import temporary_folder
from retail.outgoing_text import printable, remember

UMASK: Final = "RETAIL_UMASK"
# Credentials that other programs' variables hold; our own are known as soon as they are read.
_OF_OTHERS: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Process(Commands):
    """Called as a function, as a script does, the command is the whole process and ends it."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises nothing: whatever happens, the process ends with the command's exit code."""
        code: object = 1
        streams.prepare()
        _name_home()
        for variable in _OF_OTHERS:
            remember(os.environ.get(variable, ""))
        try:
            _keep_files_private()
            self.main(*args, **kwargs)
        except SystemExit as ended:
            code = ended.code
        except ConfigurationError as error:
            code = error.exit_code
            click.echo(f"retail: [{error.code}] {error}", err=True)
        except BaseException as error:
            _report(error)
        _end(code if isinstance(code, int) else int(code is not None))


def _name_home() -> None:
    """Give a user without a home, as in many containers, a folder that only they can write: libraries ask for one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(temporary_folder.folder())


def _keep_files_private() -> None:
    """Make what this process writes its user's alone, or what RETAIL_UMASK says. Raises ConfigurationError."""
    given = os.environ.get(UMASK, "077")
    if not re.fullmatch("0?[0-7]{3}", given):
        raise ConfigurationError([f"{UMASK} is {given!r}: give it three octal digits, such as 027"])
    os.umask(int(given, 8))


def _report(error: BaseException) -> None:
    """An error that nothing below names: where it happened for us, and what to do for the user."""
    lost = streams.why_lost(error)
    if lost is None:
        with suppress(OSError, ValueError):
            sys.stderr.write(printable("".join(traceback.format_exception(error))))
    said = f"the output could not be written: {lost}" if lost else f"{type(error).__name__}: {error}"
    hint = (
        "write it elsewhere; what the command did is kept, and given again it resumes where it stopped"
        if lost
        else "this is a fault of retail-lakehouse: report it with the lines above. Given again, the command resumes"
        " where it stopped"
    )
    with suppress(OSError, ValueError):
        click.echo(f"retail: [failed] {printable(said)}\n  next: {hint}", err=True)


def _end(code: int) -> NoReturn:
    """End the process once everything is closed: run the atexit handlers, flush the output, and nothing else.

    The interpreter's own exit would wait for the threads of every pool, one of which an engine may have left without a
    response, and cut the others off wherever they are: docs/decisions/0026-the-end-of-a-process.md.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader is gone
            code = code or 1
    os._exit(code)


@click.group(cls=Process, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--conf",
    type=click.Path(path_type=Path),
    help="TOML file [RETAIL_CONF; else retail.toml or conf/local.toml of this folder, else of the package's].",
)
@click.option("-v", "--verbose", is_flag=True, help="Log each step to stderr.")
@click.version_option(package_name="retail-lakehouse")
@click.pass_context
def main(ctx: click.Context, conf: Path | None, verbose: bool) -> None:
    """Retailers' sales to a Delta star and PostgreSQL views, every row and cent tied out."""
    logs.configure(verbose=verbose)
    environment.drop_libpq()
    environment.keep_loopback_direct()
    ctx.obj = functools.cache(lambda: load_settings(conf))


for _command in (
    *run.COMMANDS,
    *inspect.COMMANDS,
    *quarantine.COMMANDS,
    *data_docs.COMMANDS,
    *admin.COMMANDS,
    *rebuild.COMMANDS,
    *customers.COMMANDS,
    *sql.COMMANDS,
    *command.COMMANDS,
    *scheduler.COMMANDS,
):
    main.add_command(_command)
