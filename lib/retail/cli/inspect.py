"""Commands that look: what has run, and is everything there."""

from __future__ import annotations

import sys
from typing import Final

import click

from retail import terminal
from retail.cli.options import with_settings
from retail.doctor import examine
from retail.resources import Resources
from retail.secrets import Secrets
from retail.settings import Settings
from retail.status import show_status


@click.command()
@with_settings
def status(settings: Settings, /) -> None:
    """Runs, their steps, and how far each retailer has come."""
    with Resources(settings, Secrets()) as resources:
        show_status(resources, terminal.console())


@click.command()
@with_settings
def doctor(settings: Settings, /) -> None:
    """Is everything there: engine, storage, PostgreSQL, secrets; and what to do if not."""
    sys.exit(examine(settings, Secrets(), terminal.console()))


COMMANDS: Final[tuple[click.Command, ...]] = (status, doctor)
