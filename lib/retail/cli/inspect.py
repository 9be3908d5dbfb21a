"""Commands that inspect: what has run, and whether everything is in place."""

from __future__ import annotations

import sys
from typing import Final

import click

from retail.cli.doctor.examine import examine, show_json
from retail.cli.doctor.finding import failed
from retail.cli.explain.render import show as show_explained
from retail.cli.explain.trace import explain as explain_line
from retail.cli.options import with_settings
from retail.cli.output import console
from retail.cli.status.overview import show_run, show_status
from retail.cli.status.reconciliation import show_gaps, show_restated, show_tie_out
from retail.cli.status.task_failures import show_failures
from retail.config.secrets import Secrets
from retail.config.settings import Settings, configuration_file
from retail.errors import ConfigurationError, TieOutError
from retail.pipeline.workspace import Workspace


@click.command()
@click.option("--tie-out", is_flag=True, help="Show rows and money of a run at each hop, and every identity.")
@click.option("--restated", is_flag=True, help="Show published figures that a run changed, and why.")
@click.option("--gaps", is_flag=True, help="Show silent stores and missing days.")
@click.option("--run", "run_id", metavar="RUN", help="The run to show [the newest]. Alone: its steps.")
@with_settings
def status(settings: Settings, /, *, tie_out: bool, restated: bool, gaps: bool, run_id: str | None) -> None:
    """Show recent runs, each retailer's progress and what runs next, or one run's steps and figures."""
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        if restated:
            show_restated(workspace, out, run_id)
        if gaps:
            show_gaps(workspace, out, run_id)
        if tie_out and not show_tie_out(workspace, out, run_id):
            sys.exit(TieOutError.exit_code)
        if tie_out or restated or gaps:
            return
        if run_id is not None:
            show_run(workspace, out, run_id)
        else:
            # A scheduler's names are long, and nothing need be cut in a log.
            wide = out if out.is_terminal else console.uncut()
            show_status(workspace, wide)
            show_failures(workspace, wide)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, /, *, as_json: bool) -> None:
    """Try everything that a run needs, and say what to fix.

    Logs in to each retailer with one call, writes, reads and deletes in the lake with each of its clients, looks at the
    login's rights in PostgreSQL, and reads rules and suites. Exits as a run would: 2 for the configuration or a refused
    login, 3 if some retailers cannot be read, else 1.
    """
    conf = configuration_file(context.find_root().params["conf"])
    try:
        settings: Settings = context.obj()
    except ConfigurationError as error:
        if not as_json:
            raise
        show_json(console.uncut(), [failed("configuration file", str(conf.absolute()), error)])
        sys.exit(error.exit_code)
    sys.exit(examine(settings, conf, Secrets(), console.console(), as_json=as_json))


# A sales_key may begin with a minus.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="SALES_KEY|TRANSACTION")
@with_settings
def explain(settings: Settings, /, name: str) -> None:
    """Trace a line from the view back to the retailer's answer."""
    with Workspace(settings, Secrets()) as workspace:
        show_explained(console.console(), explain_line(workspace, name))


COMMANDS: Final[tuple[click.Command, ...]] = (status, doctor, explain)
