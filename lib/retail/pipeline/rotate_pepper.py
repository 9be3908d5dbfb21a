"""`retail pepper rotate`: every customer's pseudonym under a new pepper, in all that is stored.

Nobody knows the identifiers any more, so each new pseudonym is made from the one before it (`retail.sources.pii`). It
begins with the number of rotations: what was changed before a kill is not changed twice. Pages, raw files and texts in
quarantine are changed in place; dim_customer and fact_sales are made again from the raw files and published whole, as
`retail rebuild` does (docs/decisions/0038-rotating-the-pepper.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from retail.config.secrets import PEPPER, Secret
from retail.errors import ConfigurationError, PepperChangedError, TieOutError
from retail.lake import delta, layout
from retail.lake.storage import Storage
from retail.landing import customers as landed
from retail.landing import erased, pepper, withdrawn
from retail.landing.customers import Change
from retail.landing.pepper import PepperNote
from retail.pipeline.erase import counted, figures_of, forget_versions, require_figures
from retail.pipeline.rebuild import rebuild_tables, require_rebuildable
from retail.pipeline.step_context import Report
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.records import SalesRecord
from retail.runs import customers_note, rebuild_note, table_states
from retail.runs.customers_note import CustomersNote
from retail.sources import pii
from retail.sources.registry import PEPPER_VARIABLE, pepper_problems, sales_of
from retail.sources.service import Sales, record_of
from retail.sources.values.json_path import JSON, at, parse
from retail.star.quarantine import table as quarantine
from retail.star.tables import dim_customer, fact_sales
from retail.warehouse import customers as in_postgresql

NEW_PEPPER: Final = "new_pepper"
NEW_VARIABLE: Final = "RETAIL_NEW_PEPPER"
COMMAND: Final = "retail pepper rotate"

_NAME: Final = rb'"((?:[1-9][0-9]{0,5}-)?[0-9a-f]{64})"'
# Where pages of our own services and lines, in raw files and in quarantine, have a customer.
_FIELD: Final = rb'("(?:buyerEmail|customerEmailId|customer_id)":|"customer":\{"id":)'
_IN_FIELD: Final = re.compile(_FIELD + _NAME)

_Advance = Callable[[str], str]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rotated:
    """The end of a rotation: how often the pepper has been rotated, and what was changed, by place.

    `rows` and `money`, by currency, are the fact's, before and after.
    """

    rotations: int
    changed: Mapping[str, int]
    rows: int
    money: Mapping[str, str]
    published_by: str | None


def rotate(workspace: Workspace, report: Report) -> Rotated | None:
    """Bring all that is stored from RETAIL_CUSTOMER_PEPPER to RETAIL_NEW_PEPPER; resumes what a killed call left.

    Returns None if the lake has the new pepper already. Raises ConfigurationError if a pepper is missing, too short
    or the same, or if no run has noted the lake's, PepperChangedError if the lake's is another one,
    CustomersLeftError or RebuildLeftError if another change is left, TieOutError if the fact's figures change or an
    earlier pseudonym was found afterwards, and whatever a rebuild raises. The new pepper counts once all is done.
    """
    before, after = _peppers(workspace)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-rotate"
    with workspace.lease(run_id) as leased:
        known = pepper.read(leased.storage)
        if known is not None and known.fingerprint == pepper.fingerprint(after):
            _end_left(leased.storage, known)
            return None
        sales = {each: sales_of(each, workspace.settings) for each in landed.retailers(leased.storage)}
        erased.read(leased.storage)
        note, known = _begin(leased, run_id, before, after)
        note = _change_files(leased.storage, note, known, after, sales)
    published = None
    if note.rows:
        tables = (dim_customer.TABLE.name, fact_sales.TABLE.name)
        published = rebuild_tables(workspace, tables, report, command=COMMAND).run_id
    with workspace.lease(run_id) as leased:
        storage = leased.storage
        forget_versions(storage, because=note.run_id)
        if published is not None:
            in_postgresql.vacuum(workspace.warehouse)
        require_figures(storage, note)
        _require_none_before(storage, known)
        pepper.write(storage, pepper.rotated(storage, known, before, after))
        customers_note.end(storage)
    log.info("pepper rotated", run_id=note.run_id, changed=note.changed)
    return Rotated(known.rotations + 1, note.changed, note.rows, note.money, published)


def _peppers(workspace: Workspace) -> tuple[Secret, Secret]:
    before, after = workspace.secrets.get(PEPPER), workspace.secrets.get(NEW_PEPPER)
    found = [
        *(workspace.secrets.missing([PEPPER, NEW_PEPPER])),
        *(pepper_problems(after, NEW_VARIABLE) if after is not None else []),
    ]
    if before is not None and after is not None and before.reveal() == after.reveal():
        found.append(
            f"{NEW_VARIABLE} is the same as {PEPPER_VARIABLE}: `openssl rand -hex 32` makes another one"
        )
    if found:
        raise ConfigurationError(
            found,
            hint=f"{PEPPER_VARIABLE} is the pepper so far, {NEW_VARIABLE} the one to change to; nothing was changed",
        )
    assert before is not None and after is not None  # noqa: S101 - neither is missing
    return before, after


def _end_left(storage: Storage, known: PepperNote) -> None:
    """End the rotation to the lake's pepper, if it was killed in its last step."""
    note = customers_note.read(storage)
    if note is not None and (note.kind, note.fingerprint) != ("rotate", known.fingerprint):
        customers_note.require_none(storage)
    customers_note.end(storage)


def _begin(
    leased: LeasedWorkspace, run_id: str, before: Secret, after: Secret
) -> tuple[CustomersNote, PepperNote]:
    storage = leased.storage
    known = pepper.require_unchanged(storage, leased.workspace.secrets)
    if known is None:
        raise ConfigurationError(
            [f"{storage.url} has no note of its pepper: nothing shows that {PEPPER_VARIABLE} is the lake's"],
            hint=f"set {PEPPER_VARIABLE} to the pepper of the runs so far and run `retail ingest` once, which notes "
            f"it; then run `{COMMAND}` again; nothing was changed",
        )
    pepper.opened(storage, known, before)
    note = customers_note.read(storage)
    if note is not None:
        if note.kind != "rotate":
            customers_note.require_none(storage)
        if note.fingerprint != pepper.fingerprint(after):
            raise PepperChangedError(
                f"a rotation to another pepper than {NEW_VARIABLE} has begun at {note.began} and not ended",
                hint=f"set {NEW_VARIABLE} to the pepper that it was begun with, and run `{COMMAND}` again",
            )
        return note, known
    rebuild_note.require_none(storage)
    table_states.require_sound(storage, leased.ledger)
    rows, money = figures_of(storage)
    if rows:
        require_rebuildable(leased)
    note = CustomersNote(
        kind="rotate",
        command=COMMAND,
        run_id=run_id,
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=rows,
        money=money,
        fingerprint=pepper.fingerprint(after),
    )
    customers_note.write(storage, note)
    return note, known


def _change_files(
    storage: Storage, note: CustomersNote, known: PepperNote, after: Secret, sales_by: Mapping[str, Sales]
) -> CustomersNote:
    for retailer, sales in sales_by.items():
        advanced = partial(_advanced, pepper=after, retailer_id=retailer, rotations=known.rotations)

        def page(key: str, sales: Sales = sales, advanced: _Advance = advanced) -> Change:
            return lambda text: _page(text, key, sales, advanced)

        def file(_: str, advanced: _Advance = advanced) -> Change:
            return lambda text: _IN_FIELD.sub(partial(_replaced, advanced=advanced), text)

        for prefix, by in ((layout.payload_folder(retailer), page), (layout.raw_folder(retailer), file)):
            keys = landed.to_change(storage, prefix, by)
            note = counted(storage, note, {prefix: len(keys)})
            landed.change(storage, keys, by)
    texts = quarantine.texts_to_change(
        storage, ['"'], lambda retailer, text: _line(retailer, text, known.rotations, after)
    )
    note = counted(storage, note, {layout.QUARANTINE: texts.lines})
    quarantine.change_texts(storage, texts)
    names = {
        retailer: {
            _advanced(name, pepper=after, retailer_id=retailer, rotations=known.rotations) for name in of
        }
        for retailer, of in erased.read(storage).items()
    }
    if names:
        erased.write(storage, names)
    return note


def _advanced(name: str, *, pepper: Secret, retailer_id: str, rotations: int) -> str:
    """The pseudonym under the new pepper; any other text, and a pseudonym that is there already, as it is."""
    return pii.next_pseudonym(pepper, retailer_id, name) if pii.generation(name) == rotations else name


def _replaced(found: re.Match[bytes], advanced: _Advance) -> bytes:
    return b'%s"%s"' % (found[1], advanced(found[2].decode()).encode())


def _page(text: bytes, key: str, sales: Sales, advanced: _Advance) -> bytes:
    """The page with new pseudonyms: where our own services have them, and wherever the mapping finds a customer."""
    answer = at(parse(text), "answer")
    found = {record_of(each).customer_id for each in [*sales.records(answer, key), *_withdrawn(answer, key)]}
    for name in sorted(filter(None, found)):
        new = advanced(name)
        if new != name:
            text = text.replace(b'"%s"' % name.encode(), b'"%s"' % new.encode())
    return _IN_FIELD.sub(partial(_replaced, advanced=advanced), text)


def _withdrawn(answer: JSON, key: str) -> list[SalesRecord]:
    return list(withdrawn.records(answer, key)) if at(answer, "lines") is not None else []


def _line(retailer_id: str, text: str, rotations: int, after: Secret) -> str:
    advanced = partial(_advanced, pepper=after, retailer_id=retailer_id, rotations=rotations)
    return _IN_FIELD.sub(partial(_replaced, advanced=advanced), text.encode()).decode()


def _require_none_before(storage: Storage, known: PepperNote) -> None:
    """Raises TieOutError if a pseudonym of before the rotation is left in a file, a refused line or dim_customer."""
    number = b"%d-" % known.rotations if known.rotations else b""
    before = re.compile(_FIELD + rb'"%s[0-9a-f]{64}"' % number)
    found = [key for prefix in ("payloads/", "raw/") for key in landed.found(storage, prefix, before)]
    found += [
        f"{layout.QUARANTINE}: line {line.row} of {line.retailer_id}/{line.logical_date}"
        for line in quarantine.each_line(storage)
        if before.search(line.value.encode())
    ]
    path = dim_customer.TABLE.path
    if delta.version(storage, path) is not None:
        found += [
            f"{path}: {row['retailer_id']} {row['customer_id']}"
            for row in delta.rows(
                storage, path, where="customer_id IS NOT NULL", columns=["retailer_id", "customer_id"]
            )
            if pii.generation(row["customer_id"]) == known.rotations
        ]
    if found:
        raise TieOutError(
            f"{len(found)} places still have a pseudonym of before the rotation: {', '.join(found[:5])}",
            hint=f"if another program put it there, remove it; then run `{COMMAND}` again",
        )
