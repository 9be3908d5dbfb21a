"""`retail erase`: a customer's link to the sales. `retail pepper rotate`: every customer's pseudonym."""

from __future__ import annotations

import sys
from typing import Final

import click
from rich.console import Console

from retail.cli.options import reporting, with_settings
from retail.cli.output import console
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.landing.customers import retailers as retailers_of
from retail.pipeline.erase import Certificate, names_of
from retail.pipeline.erase import erase as erase_customers
from retail.pipeline.published import require_own
from retail.pipeline.rotate_pepper import Rotated, rotate
from retail.pipeline.workspace import Workspace
from retail.runs import customers_note
from retail.runs.table_states import in_words

_RESUME: Final = "retail erase --resume"


@click.command()
@click.option(
    "--customer",
    metavar="ID",
    help="The retailer's identifier (e-mail address, customer number), or the pseudonym. -: read it from stdin.",
)
@click.option("--retailer", metavar="RETAILER", help="Only this retailer's customer [all retailers].")
@click.option("--resume", is_flag=True, help="Resume an erasure that was killed.")
@with_settings
def erase(settings: Settings, /, *, customer: str | None, retailer: str | None, resume: bool) -> None:
    """Remove the link between a customer and the sales from all that is stored; the sales keep every figure.

    Prints a certificate, which the lake keeps too: where it searched, what it changed, and that it found nothing
    afterwards. A killed erasure is resumed by --resume; until it has ended, no run works. Older versions of the tables
    that hold customers are deleted, so that no publish can be taken back to before it.
    """
    if resume == (customer is not None):
        raise click.UsageError("name the customer: --customer ID; or resume with --resume")
    if resume and retailer is not None:
        raise click.UsageError("--resume takes no --retailer")
    if customer == "-":
        customer = sys.stdin.readline()
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        if customer is None:
            note = customers_note.read(workspace.storage)
            if note is None or note.kind != "erase":
                raise click.UsageError("no erasure is left to resume")
            customers = list(note.customers)
        else:
            known = sorted({*settings.retailers, *retailers_of(workspace.storage)})
            if retailer is not None and retailer not in known:
                raise click.UsageError(f"--retailer {retailer}: the lake has {', '.join(known)}")
            chosen = [retailer] if retailer is not None else known
            customers = names_of(customer, chosen, storage=workspace.storage, secrets=workspace.secrets)
        require_own(workspace.ledger, workspace.warehouse)
        with reporting(out) as report:
            certificate = erase_customers(workspace, customers, report, command=_RESUME)
    _show(out, certificate)


@click.group()
def pepper() -> None:
    """The secret under which customers have their pseudonyms."""


@pepper.command("rotate")
@with_settings
def rotate_pepper(settings: Settings, /) -> None:
    """Bring every customer's pseudonym from RETAIL_CUSTOMER_PEPPER to RETAIL_NEW_PEPPER, in all that is stored.

    Pages, raw files, quarantine, the star and PostgreSQL; rows and money are compared before and after. A killed
    rotation is resumed by the same command with the same two peppers; until it has ended, no run works. Then set
    RETAIL_CUSTOMER_PEPPER to the new one: the earlier one is not needed any more.
    """
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        require_own(workspace.ledger, workspace.warehouse)
        with reporting(out) as report:
            rotated = rotate(workspace, report)
    _show_rotated(out, rotated)


def _show(out: Console, certificate: Certificate) -> None:
    for retailer, names in certificate.customers.items():
        not_found = certificate.not_found.get(retailer, [])
        for name in names:
            what = "not found    " if name in not_found else "erased       "
            out.print(f"{what} {retailer} {name}", soft_wrap=True, markup=False)
    for place, number in sorted(certificate.changed.items()):
        out.print(f"changed       {number:,} in {place}", soft_wrap=True, markup=False)
    if not certificate.changed:
        out.print("changed       nothing")
    out.print(f"searched      {', '.join(certificate.searched)}", soft_wrap=True, markup=False)
    out.print("found after   nothing")
    out.print(
        f"fact_sales    {certificate.rows:,} rows, {in_words(certificate.money)}: what they were before",
        soft_wrap=True,
    )
    out.print(f"not searched  {'; '.join(certificate.not_searched)}", soft_wrap=True)
    out.print(f"certificate   ops/erasures/{certificate.run_id}.json", markup=False)


def _show_rotated(out: Console, rotated: Rotated | None) -> None:
    if rotated is None:
        out.print("the lake has the new pepper already")
    else:
        for place, number in sorted(rotated.changed.items()):
            out.print(f"changed       {number:,} in {place}", soft_wrap=True, markup=False)
        out.print(
            f"fact_sales    {rotated.rows:,} rows, {in_words(rotated.money)}: what they were before",
            soft_wrap=True,
        )
        out.print(f"rotations     {rotated.rotations}")
    out.print(
        "next: set RETAIL_CUSTOMER_PEPPER to the new pepper, and unset RETAIL_NEW_PEPPER", soft_wrap=True
    )


COMMANDS: Final[tuple[click.Command, ...]] = (erase, pepper)
