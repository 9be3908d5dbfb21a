"""`retail data-docs`: the expectation suites' findings, as pages."""

from __future__ import annotations

from typing import Final

import click

from retail.cli.options import with_settings
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.pipeline.workspace import Workspace
from retail.quality.suites import data_docs as pages


@click.command("data-docs")
@with_settings
def data_docs(settings: Settings, /) -> None:
    """Build static pages of what the expectation suites found in recent runs."""
    with Workspace(settings, Secrets()) as workspace:
        made = pages.build(workspace.storage)
        click.echo(f"{made} pages; start with {workspace.storage.url}/{pages.INDEX}")


COMMANDS: Final[tuple[click.Command, ...]] = (data_docs,)
