"""`retail erase`: the link between a customer and the sales is removed from all that is stored, with a certificate.

The sales keep every figure and become those of the unknown customer. What the command changes it changes in place:
pages, raw files and texts in quarantine to the byte, Delta by one commit for each table. Then older versions go, the
whole star is compared with PostgreSQL and published, and everything is searched (docs/decisions/0039-erasure.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import structlog

from retail.config.secrets import PEPPER, Secrets
from retail.errors import ConfigurationError, ErasureError, TieOutError
from retail.lake import delta, delta_log, layout
from retail.lake.storage import Storage
from retail.landing import customers as landed
from retail.landing import erased, pepper
from retail.pipeline.maintain import keep_only_newest
from retail.pipeline.rebuild import publish_whole
from retail.pipeline.step_context import Report, RunOptions
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.runs import customers_note, rebuild_note, table_states
from retail.runs.customers_note import CustomersNote
from retail.runs.run import Run
from retail.sources import pii
from retail.star import customers as in_star
from retail.star.customers import Customer
from retail.star.tables import fact_sales
from retail.warehouse import customers as in_postgresql

# What the command cannot reach, and the certificate says so.
NOT_SEARCHED: Final = (
    "backups of the lake and of PostgreSQL, its write-ahead log and replicas",
    "older versions of objects, where the bucket keeps them",
    "rows that PostgreSQL keeps for a transaction that was open during the erasure, until its next VACUUM",
    "PostgreSQL's statistics of a table that has become empty, until they are made again",
    "what was exported from PostgreSQL or the lake",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Certificate:
    """The proof of an erasure: where it searched, what it changed, and that it found nothing afterwards.

    `customers` are pseudonyms, by retailer; those in `not_found` were nowhere before the erasure. `rows` and `money`,
    by currency, are the fact's, before and after.
    """

    run_id: str
    began: str
    ended: str
    customers: dict[str, list[str]]
    searched: list[str]
    changed: dict[str, int]
    found_after: list[str]
    rows: int
    money: dict[str, str]
    published_by: str | None
    not_searched: list[str]
    not_found: dict[str, list[str]] = field(default_factory=dict)


def names_of(
    customer: str, retailers: Iterable[str], *, storage: Storage, secrets: Secrets
) -> list[tuple[str, str]]:
    """The pseudonyms that a customer has at these retailers, who is named by an identifier or by a pseudonym.

    An identifier needs the pepper. An earlier pseudonym, of before a rotation, does too. Raises PepperChangedError,
    and ConfigurationError: also for an identifier if the lake has customers and no note of its pepper, which may then
    be another one.
    """
    note = pepper.read(storage)
    rotations = 0 if note is None else note.rotations
    number = pii.generation(customer.strip().lower())
    if number == rotations:
        return [(retailer, customer.strip().lower()) for retailer in retailers]
    if number is not None and number > rotations:
        raise ConfigurationError(
            [f"{customer} is a pseudonym of after {number} rotations, and the lake's pepper had {rotations}"],
            hint="look the customer up in star.dim_customer",
        )
    if note is None and landed.retailers(storage):
        raise ConfigurationError(
            [
                "the lake has no note of its pepper, so an identifier could lead to a pseudonym that nobody has"
            ],
            hint="give the customer's pseudonym, which is customer_id in star.dim_customer",
        )
    given = pepper.with_earlier(storage, secrets).require(PEPPER)
    if number is None:
        # As it is made from an answer: a gid puts the type before the number.
        identifier = customer.strip().rsplit("/", 1)[-1].strip()
        if not identifier:
            raise ConfigurationError(["the customer has no identifier"], hint="give --customer ID")
        return [(retailer, pii.pseudonym(given, retailer, identifier)) for retailer in retailers]
    assert isinstance(given, pii.Pepper)  # noqa: S101 - there were rotations
    names = [(retailer, customer.strip().lower()) for retailer in retailers]
    for each in (*given.earlier, given)[number + 1 :]:
        names = [(retailer, pii.next_pseudonym(each, retailer, name)) for retailer, name in names]
    return names


def erase(
    workspace: Workspace, customers: Sequence[Customer], report: Report, *, command: str
) -> Certificate:
    """Erase these customers, each a retailer and a pseudonym; resumes what a killed call left.

    Raises CustomersLeftError if another change of customers is left, RebuildLeftError or TableDamagedError if the star
    is not sound, ErasureError with the places if something was found afterwards, TieOutError if the fact's figures are
    no longer what they were, and whatever a publish raises.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-erase"
    with workspace.lease(run_id) as leased:
        note = _begin(leased, run_id, customers, command)
        erased.add(leased.storage, note.customers)
        note = _change(leased, note, report)
    published = publish_whole(workspace, report)
    with workspace.lease(run_id) as leased:
        if published is not None:
            in_postgresql.vacuum(workspace.warehouse)
        require_figures(leased.storage, note)
        certificate = _certificate(leased, note, published)
        leased.storage.write(
            layout.erasure(note.run_id),
            json.dumps(asdict(certificate), indent=1, ensure_ascii=False).encode(),
        )
        customers_note.end(leased.storage)
    log.info("erased", run_id=note.run_id, changed=note.changed)
    return certificate


def certificates(storage: Storage) -> Iterator[Certificate]:
    """Every certificate, oldest first."""
    for key in storage.list(layout.ERASURES):
        yield Certificate(**json.loads(storage.read(key)))


def figures_of(storage: Storage) -> tuple[int, dict[str, str]]:
    """Rows, and money by currency, of the fact in Delta; none if there is no fact yet."""
    path = fact_sales.TABLE.path
    if delta.version(storage, path) is None:
        return 0, {}
    found = delta.query(
        storage,
        path,
        "SELECT currency, count(*) AS rows, sum(total_amount) AS money FROM {table} GROUP BY currency",
    )
    return sum(row["rows"] for row in found), {str(row["currency"]): str(row["money"]) for row in found}


def require_figures(storage: Storage, note: CustomersNote) -> None:
    """Raises TieOutError if the fact's rows or money are not those that `note` has from before the change."""
    rows, money = figures_of(storage)
    if rows != note.rows or {c: Decimal(m) for c, m in money.items()} != {
        c: Decimal(m) for c, m in note.money.items()
    }:
        raise TieOutError(
            f"fact_sales holds {rows:,} rows and {table_states.in_words(money)} after the change of customers, and "
            f"held {note.rows:,} rows and {table_states.in_words(note.money)}",
            hint=f"`retail rebuild --table fact_sales` makes it again from raw files; then run `{note.command}` again",
        )


def _begin(
    leased: LeasedWorkspace, run_id: str, customers: Sequence[Customer], command: str
) -> CustomersNote:
    storage = leased.storage
    rebuild_note.require_none(storage)
    note = customers_note.read(storage)
    if note is not None:
        if note.kind != "erase" or set(note.customers) != set(customers):
            customers_note.require_none(storage)
        return note
    table_states.require_sound(storage, leased.ledger)
    rows, money = figures_of(storage)
    note = CustomersNote(
        kind="erase",
        command=command,
        run_id=run_id,
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=rows,
        money=money,
        customers=tuple(customers),
    )
    customers_note.write(storage, note)
    return note


def _change(leased: LeasedWorkspace, note: CustomersNote, report: Report) -> CustomersNote:
    storage = leased.storage
    for retailer, of_retailer in sorted(_by_retailer(note.customers).items()):
        by = landed.each(landed.unlinked(frozenset(of_retailer)))
        for prefix in (layout.payload_folder(retailer), layout.raw_folder(retailer)):
            keys = landed.to_change(storage, prefix, by)
            note = counted(storage, note, {prefix: len(keys)})
            if keys:
                note = _found(storage, note, [(retailer, name) for name in of_retailer])
            landed.change(storage, keys, by)
    unlinked = landed.unlinked(frozenset(name for _, name in note.customers))

    def without(_: str, text: str) -> str:
        return unlinked(text.encode()).decode()

    context = leased.step_context(
        Run(note.run_id, (), (), leased.workspace.settings.engine, ""), report, RunOptions(rebuild=True)
    )
    note = _found(storage, note, in_star.known(storage, note.customers))
    linked = in_star.linked(context, note.customers, without)
    note = counted(storage, note, linked.rows)
    in_star.unlink(context, linked)
    forget_versions(storage, because=note.run_id)
    return note


def forget_versions(storage: Storage, *, because: str) -> None:
    """Leave only the newest version of each table that holds customers, and nothing that a rebuild set aside."""
    for table in delta_log.logs(storage, in_star.ROOMS):
        keep_only_newest(storage, table, because)
    for key in list(storage.list(layout.DAMAGED)):
        storage.delete(key)


def counted(storage: Storage, note: CustomersNote, to_change: Mapping[str, int]) -> CustomersNote:
    """The note with the number of what is about to be changed in each place: a resumed call finds less of it."""
    numbers = {place: max(note.changed.get(place, 0), number) for place, number in to_change.items()}
    note = replace(note, changed={**note.changed, **numbers})
    customers_note.write(storage, note)
    return note


def _found(storage: Storage, note: CustomersNote, customers: Iterable[Customer]) -> CustomersNote:
    note = replace(note, found=tuple(sorted({*note.found, *customers})))
    customers_note.write(storage, note)
    return note


def _certificate(leased: LeasedWorkspace, note: CustomersNote, published: str | None) -> Certificate:
    storage, workspace = leased.storage, leased.workspace
    names = [name for _, name in note.customers]
    keys = in_star.keys_of(workspace.session, note.customers)
    pattern = re.compile(b"|".join(re.escape(name.encode()) for name in names))
    own = {layout.ERASED, layout.CUSTOMERS}
    prefixes = ["payloads/", "raw/", layout.QUALITY, layout.OPS]
    found = [
        key
        for prefix in prefixes
        for key in landed.found(storage, prefix, pattern)
        if key not in own and not key.startswith(layout.ERASURES)
    ]
    found += in_star.found(storage, names, keys)
    searched = [*prefixes, *in_star.ROOMS]
    if published is not None:
        searched += [f"postgresql {'.'.join(each)}" for each in in_postgresql.columns(workspace.warehouse)]
        searched.append("postgresql pg_stats")
        found += [f"postgresql {each}" for each in in_postgresql.found(workspace.warehouse, names, keys)]
    if found:
        raise ErasureError(
            f"the customer is still in {len(found)} places: {', '.join(found[:5])}",
            hint=f"if another program put it there, remove it; then run `{note.command}` again",
        )
    rows, money = figures_of(storage)
    return Certificate(
        run_id=note.run_id,
        began=note.began,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        customers=_by_retailer(note.customers),
        searched=searched,
        changed={place: number for place, number in note.changed.items() if number},
        found_after=[],
        rows=rows,
        money=money,
        published_by=published,
        not_searched=list(NOT_SEARCHED),
        not_found=_by_retailer(each for each in note.customers if each not in note.found),
    )


def _by_retailer(customers: Iterable[Customer]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for retailer, name in customers:
        names.setdefault(retailer, []).append(name)
    return names
