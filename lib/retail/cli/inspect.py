"""Commands that look: what has run, and is everything there."""

from __future__ import annotations

import sys
from typing import Final

import click

from retail import terminal
from retail.cli.options import with_settings
from retail.doctor import examine
from retail.errors import TieOutError
from retail.explain import explain as explain_line
from retail.explained import show as show_explained
from retail.proofs import show_gaps, show_restated, show_tie_out
from retail.resources import Resources
from retail.secrets import Secrets
from retail.settings import Settings, configuration_file
from retail.shown_failures import show_failures
from retail.status import show_run, show_status


@click.command()
@click.option("--tie-out", is_flag=True, help="Rows and money of a run at each hop, and every identity.")
@click.option("--restated", is_flag=True, help="Published figures that a run changed, and by what.")
@click.option("--gaps", is_flag=True, help="Silent stores, and days that never came in.")
@click.option("--run", "run_id", metavar="RUN", help="Of this run [the newest]; alone, its steps.")
@with_settings
def status(settings: Settings, /, *, tie_out: bool, restated: bool, gaps: bool, run_id: str | None) -> None:
    """Runs, how far each retailer has come, what runs next; the steps of a run; or what proves its figures."""
    out = terminal.console()
    with Resources(settings, Secrets()) as resources:
        if restated:
            show_restated(resources, out, run_id)
        if gaps:
            show_gaps(resources, out, run_id)
        if tie_out and not show_tie_out(resources, out, run_id):
            sys.exit(TieOutError.exit_code)
        if tie_out or restated or gaps:
            return
        if run_id is not None:
            show_run(resources, out, run_id)
        else:
            # A scheduler's names are long, and in a log nothing need be cut.
            wide = out if out.is_terminal else terminal.uncut()
            show_status(resources, wide)
            show_failures(resources, wide)


@click.command()
@with_settings
def doctor(settings: Settings, /) -> None:
    """Is everything there: engine, storage, PostgreSQL, secrets; and what to do if not."""
    conf = configuration_file(click.get_current_context().find_root().params["conf"])
    sys.exit(examine(settings, conf, Secrets(), terminal.console()))


# A sales_key may begin with a minus.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="SALES_KEY|TRANSACTION")
@with_settings
def explain(settings: Settings, /, name: str) -> None:
    """Where a figure comes from: a line's way back, from the view to what the retailer answered."""
    with Resources(settings, Secrets()) as resources:
        show_explained(terminal.console(), explain_line(resources, name))


COMMANDS: Final[tuple[click.Command, ...]] = (status, doctor, explain)
