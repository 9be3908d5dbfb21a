"""`retail init`: a configuration for one's own retailers, and the names of the secrets that it needs."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click

from retail.config.secrets import PEPPER, PREFIX, WAREHOUSE_PASSWORD
from retail.config.settings import Settings, load_settings
from retail.errors import ConfigurationError
from retail.lake import location
from retail.sources.amazon.mapping import MARKETPLACES
from retail.sources.registry import secret_names

CONFIGURATION: Final = "retail.toml"
VARIABLES: Final = ".env.example"
IGNORED: Final = ".gitignore"
EMBEDDED: Final = "embedded"

# By currency where it is not that of North America: Amazon's own regions.
_EUROPE: Final = ("EUR", "GBP", "SEK", "PLN", "TRY", "EGP", "AED", "SAR", "INR", "ZAR")
_FAR_EAST: Final = ("JPY", "AUD", "SGD")
_IGNORED: Final = ".env\n/lake/\n/postgresql/\n"
_BEFORE_TODAY: Final = timedelta(days=7)


@dataclass(frozen=True)
class Answers:
    """What a configuration is written from. `shops` is the number of accounts or shops of each service."""

    shops: Mapping[str, int]
    time_zone: str
    currency: str
    start_date: date
    lake: str
    warehouse: str


@dataclass
class _Block:
    """A retailer's table of the configuration file."""

    name: str
    base_url: str
    comment: str
    options: dict[str, Any] = field(default_factory=dict)


@click.command()
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--amazon", type=click.IntRange(0, 50), help="Seller accounts at Amazon [1].")
@click.option("--walmart", type=click.IntRange(0, 50), help="Seller accounts at Walmart [1].")
@click.option("--shopify", type=click.IntRange(0, 50), help="Shops at Shopify [1].")
@click.option("--time-zone", help="The zone of the business days [America/New_York].")
@click.option("--currency", help="The currency of the sales [USD].")
@click.option("--start-date", metavar="DATE", help="The first day to load [seven days ago].")
@click.option("--lake", help="A folder, or s3://bucket/prefix [lake, in FOLDER].")
@click.option("--warehouse", help="postgresql://user@host:port/database without a password, or embedded.")
@click.option("--force", is_flag=True, help="Replace the files if they exist.")
def init(*, folder: Path, force: bool, **given: Any) -> None:
    """Write `retail.toml`, `.env.example` and, if there is none, `.gitignore` into FOLDER [this one].

    Asks on a terminal for what no option names; elsewhere takes the defaults. No secret is asked for, nor written.
    """
    answers = _answers(folder, given)
    settings = write(folder, answers, force=force)
    click.echo(
        f"wrote {folder / CONFIGURATION} and {folder / VARIABLES}: {len(settings.retailers)} "
        f"retailer{'s' if len(settings.retailers) != 1 else ''}"
    )
    click.echo("Next steps:")
    for line in (
        *([] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]),
        f"edit {CONFIGURATION}: what says your-… has to be filled in",
        f"cp {VARIABLES} .env && chmod 600 .env   then fill in the secrets",
        "set -a; . ./.env; set +a",
        "retail doctor",
        "retail run",
    ):
        click.echo(f"  {line}")


def write(folder: Path, answers: Answers, *, force: bool = False) -> Settings:
    """Write the files into `folder`, once the configuration's own loader has accepted what they say.

    A `.gitignore` keeps the secrets and the data out of version control; one that exists is left as it is. Raises
    ConfigurationError if the loader does not accept, or if a file exists and may not be replaced; nothing is written
    then.
    """
    existing = [str(folder / name) for name in (CONFIGURATION, VARIABLES) if (folder / name).exists()]
    if existing and not force:
        raise ConfigurationError(
            [f"{path} exists" for path in existing],
            hint="name another folder, or give --force to replace what is there",
        )
    was_there = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{CONFIGURATION}.new"
    try:
        draft.write_text(_configuration(answers, folder.resolve()), encoding="utf-8")
        settings = _accepted(draft)
        (folder / VARIABLES).write_text(_variables(settings), encoding="utf-8")
        if not (folder / IGNORED).exists():
            (folder / IGNORED).write_text(_IGNORED, encoding="utf-8")
        draft.replace(folder / CONFIGURATION)
    finally:
        draft.unlink(missing_ok=True)
        if not was_there and not any(folder.iterdir()):
            folder.rmdir()
    return settings


def is_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


def _accepted(draft: Path) -> Settings:
    """The settings that the file holds. Raises ConfigurationError in words for who answered the questions."""
    try:
        settings = load_settings(draft)
        location.require_usable(settings.lake, settings.engine)
    except ConfigurationError as error:
        raise ConfigurationError(
            error.problems, hint="give other answers, or unset the RETAIL_… variable; nothing was written"
        ) from None
    return settings


def _answers(folder: Path, given: Mapping[str, Any]) -> Answers:
    """The options, and on a terminal the answers to what none of them names. Raises ConfigurationError."""

    def answer(name: str, question: str, default: Any) -> Any:
        if given[name] is not None:
            return given[name]
        return click.prompt(question, default=default) if is_terminal() else default

    counted = any(given[each] is not None for each in ("amazon", "walmart", "shopify"))
    shops = {
        "amazon": answer("amazon", "Seller accounts at Amazon", 0 if counted else 1),
        "walmart": answer("walmart", "Seller accounts at Walmart", 0 if counted else 1),
        "shopify": answer("shopify", "Shops at Shopify", 0 if counted else 1),
    }
    start = answer("start_date", "First day to load", str(date.today() - _BEFORE_TODAY))  # noqa: DTZ011
    lake = str(answer("lake", "Lake: a folder, or s3://bucket/prefix", str(folder.resolve() / "lake")))
    try:
        first = date.fromisoformat(start)
    except ValueError:
        raise ConfigurationError([f"--start-date: {start!r} is not a date such as 2026-01-31"]) from None
    return Answers(
        shops=shops,
        time_zone=answer("time_zone", "Time zone of the business days", "America/New_York"),
        currency=str(answer("currency", "Currency of the sales", "USD")).upper(),
        start_date=first,
        lake=lake if "://" in lake else str(Path(lake).expanduser().resolve()),
        warehouse=answer(
            "warehouse", "PostgreSQL: postgresql://user@host:port/database, or embedded", EMBEDDED
        ),
    )


def _configuration(answers: Answers, folder: Path) -> str:
    """The text of the configuration file. Raises ConfigurationError for an answer that no key can hold."""
    if not re.fullmatch("[A-Z]{3}", answers.currency):
        raise ConfigurationError([f"--currency: {answers.currency!r} is not a currency such as USD"])
    blocks = [
        (service, block)
        for service, count in answers.shops.items()
        for block in _blocks(service, count, answers)
    ]
    lines = [
        "# Written by `retail init`. Every key with its default: docs/CONFIGURATION.md of retail-lakehouse.",
        "# A variable overrides a key: RETAIL_EXTRACT__TRIES=3. Secrets are never kept here: see .env.example.",
        "",
        'engine = "sail"  # in this process, without Java; or "spark"',
        f"start_date = {answers.start_date}  # nothing before it is ever fetched",
        "",
        "# Pages, raw files, Delta tables and the ledger of the runs: a folder, or s3://bucket/prefix.",
        "[lake]",
        f"url = {_text(answers.lake)}",
        *(['s3_region = "us-east-1"  # of the bucket'] if answers.lake.startswith("s3") else []),
        "",
        *_warehouse(answers.warehouse, folder),
    ]
    for number, (service, block) in enumerate(blocks, start=1):
        lines += [
            "",
            f"[retailers.retailer_{number:0{len(str(len(blocks)))}}]",
            f"service = {_text(service)}",
            f"name = {_text(block.name)}  # in BI; choose your own, once",
            f"base_url = {_text(block.base_url)}{'  # ' + block.comment if block.comment else ''}",
            f"time_zone = {_text(answers.time_zone)}  # of its business days",
        ]
        if block.options:
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in block.options.items())
            lines += [
                "# The marketplaces of that currency: keep those that you sell in.",
                f"options = {{ {pairs} }}",
            ]
    return "\n".join(lines) + "\n"


def _blocks(service: str, count: int, answers: Answers) -> Sequence[_Block]:
    """The service's retailers. Raises ConfigurationError if it does not sell in that currency."""
    numbered = ["" if count == 1 else f" {n}" for n in range(1, count + 1)]
    if service == "amazon" and count:
        places = MARKETPLACES.get(answers.currency)
        if places is None:
            known = ", ".join(MARKETPLACES)
            raise ConfigurationError(
                [f"--currency: Amazon has no marketplace in {answers.currency}: {known}"]
            )
        region = "eu" if answers.currency in _EUROPE else "fe" if answers.currency in _FAR_EAST else "na"
        options = {"marketplace_ids": list(places)}
        if region == "eu":
            options["taxed_marketplace_ids"] = list(places)
        address = f"https://sellingpartnerapi-{region}.amazon.com"
        return [_Block(f"Amazon{each}", address, "", options) for each in numbered]
    if service == "walmart":
        if count and answers.currency != "USD":
            raise ConfigurationError(["--walmart: Walmart's marketplace of the US sells in USD only"])
        return [_Block(f"Walmart{each}", "https://marketplace.walmartapis.com", "") for each in numbered]
    shops = [f"your-shop{each.replace(' ', '-')}" for each in numbered]
    return [
        _Block(f"Shopify{each}", f"https://{shop}.myshopify.com", "the shop's own address")
        for each, shop in zip(numbered, shops, strict=True)
    ]


def _warehouse(address: str, folder: Path) -> list[str]:
    """The section on PostgreSQL. Raises ConfigurationError if the address is none, or has a password."""
    if address == EMBEDDED:
        return [
            "# A PostgreSQL on this machine, to begin with. For a server: host, port, database, user, sslmode.",
            "[warehouse]",
            "embedded = true",
            f"data_folder = {_text(str(folder / 'postgresql'))}",
        ]
    parts = urlsplit(address)
    if parts.password:
        raise ConfigurationError(
            ["--warehouse: the address has a password"],
            hint=f"leave it out; it comes from {PREFIX}{WAREHOUSE_PASSWORD.upper()}",
        )
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/"):
        raise ConfigurationError(
            [f"--warehouse: {address!r} is not an address"],
            hint="name it like postgresql://retail@db.example.com:5432/retail, or say embedded",
        )
    return [
        f"# PostgreSQL. The password comes from {PREFIX}{WAREHOUSE_PASSWORD.upper()}.",
        "[warehouse]",
        f"host = {_text(parts.hostname)}",
        f"port = {parts.port or 5432}",
        f"database = {_text(unquote(parts.path.strip('/')))}",
        f"user = {_text(unquote(parts.username or 'retail'))}",
        "# Off this machine the server must prove who it is. The authority that signed its certificate:",
        '# sslrootcert = "/etc/ssl/db-ca.crt"',
    ]


def _variables(settings: Settings) -> str:
    """The names of the secrets, without a value."""
    lines = [
        "# The secrets of retail.toml: copy this file to .env, fill it in, keep it out of version control, then:",
        "#   set -a; . ./.env; set +a",
        "# Write each value between its quotes. Instead of a value, NAME_FILE=/path/of/a/file takes it from a file.",
        "",
        "# For customers' pseudonyms: at least 32 bytes, made by `openssl rand -hex 32`. Keep it: a run with another",
        "# one stops, and `retail pepper rotate` changes it.",
        f"{PREFIX}{PEPPER.upper()}=''",
    ]
    if not settings.warehouse.embedded:
        lines += ["", "# The login of PostgreSQL.", f"{PREFIX}{WAREHOUSE_PASSWORD.upper()}=''"]
    for retailer_id, retailer in settings.retailers.items():
        names = secret_names(retailer_id, settings)
        lines += ["", f"# {retailer.name}", *(f"{PREFIX}{name.upper()}=''" for name in names)]
    if location.is_bucket(settings.lake):
        lines += [
            "",
            "# S3: or a profile, or the machine's role.",
            "AWS_ACCESS_KEY_ID=''",
            "AWS_SECRET_ACCESS_KEY=''",
        ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """The value as a TOML string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
