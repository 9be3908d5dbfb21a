"""What the star must hold after any runs: plain dictionaries and Decimals, no DataFrame.

Written from docs/DATA_MODEL.md and decisions 0002, 0007 and 0026, and importing nothing of `retail.star`. A run is
given to the model as the raw lines of its units; it answers with the actions and the figures that the run must report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from tests.oracle.figures import Figures, add, count_duplicates
from tests.oracle.lines import Values, is_critical, parsed, unknown_fields, warnings
from tests.oracle.rows import (
    ATTRIBUTES,
    KEYS,
    Key,
    Row,
    Version,
    answer_of,
    day_row,
    fact,
    hash_of,
    key_of,
    member,
    month_of,
    natural_key,
    origin_of,
    unknown,
)

RetailerDay = tuple[str, date]


@dataclass(frozen=True)
class Outcome:
    """What a run must report: rows per action of each table, and rows and money at each hop.

    Beside them the staged rows of each warning, the lines of each set of reasons with a critical one among them, and
    how many lines hold which field that is not known. Where a line is critical nothing is merged: `actions` is empty.
    """

    figures: Figures
    warned: Figures
    critical: Figures
    unknown_fields: dict[str, int]
    actions: dict[str, dict[str, int]] = field(default_factory=dict)


class Model:
    """The star and the quarantine, run by run."""

    def __init__(self, retailers: Iterable[tuple[str, str, str, str]]) -> None:
        self._retailers = list(retailers)
        self._tables: dict[str, dict[Key, Version]] = {name: {} for name in KEYS}
        self._quarantine: dict[RetailerDay, list[Row]] = {}
        self._described: dict[str, dict[Key, Version]] = {"dim_product": {}, "dim_store": {}}
        self._created_by = ""

    def describe(self, table: str, attributes: Row, fetched_at: datetime) -> None:
        """A catalogue's description; the newest with a name counts."""
        name, *key = "product_name" if table == "dim_product" else "store_name", *ATTRIBUTES[table][:2]
        if attributes[name] is None:
            return
        version = member(table, attributes, fetched_at)
        _keep_newest(self._described[table], tuple(attributes[part] for part in key), version)

    def run(self, run_id: str, raw: Mapping[RetailerDay, Sequence[str]]) -> Outcome:
        """Stage and merge these units' raw lines."""
        figures: Figures = {}
        critical: Figures = {}
        fields: Counter[str] = Counter()
        good: list[Values] = []
        for (retailer, day), lines in raw.items():
            self._quarantine[retailer, day] = []
            for text in lines:
                values, reasons = parsed(text, retailer)
                fields.update(unknown_fields(text))
                if reasons:
                    self._quarantine[retailer, day].append(
                        _refused(values, reasons, text, retailer, day) | {"run_id": run_id}
                    )
                    if is_critical(values):
                        add(critical, "; ".join(reasons), retailer, values)
                else:
                    good.append(values)
                for hop in ("read", *(["quarantined", "in_quarantine"] if reasons else [])):
                    add(figures, hop, retailer, values)
        staged: dict[Key, Version] = {}
        for values in good:
            _keep_newest(staged, natural_key(values), fact(values))
        count_duplicates(figures, good, staged)
        warned: Figures = {}
        for version in staged.values():
            for hop, sums in (("staged", figures), *((each, warned) for each in warnings(version.columns))):
                add(sums, hop, version.columns["retailer_id"], version.columns)
        outcome = Outcome(figures, warned, critical, dict(fields))
        return outcome if critical else replace(outcome, actions=self._build(run_id, good, staged, figures))

    def _build(
        self, run_id: str, good: Sequence[Values], staged: Mapping[Key, Version], figures: Figures
    ) -> dict[str, dict[str, int]]:
        """Merge into every table. Gives the rows per action; the fact's are added to the figures."""
        self._created_by = self._created_by or run_id
        actions = {name: self._merge(name, rows, run_id) for name, rows in self._members(good).items()}
        return actions | {"fact_sales": self._merge("fact_sales", staged, run_id, figures)}

    def rows(self, table: str) -> dict[int, Row]:
        """Every row of a table by its surrogate key, the unknown member among them once a run has merged."""
        found = {version.columns[KEYS[table]]: version.row() for version in self._tables[table].values()}
        if table != "fact_sales" and self._created_by:
            found[-1] = unknown(table) | {"changed_run_id": self._created_by}
        return found

    def forget_answers(self) -> None:
        """What a lake from before format 3 knows: a fact's answer by its source_ref, a dimension row's not at all."""
        for table, versions in self._tables.items():
            for version in versions.values():
                ref = min(version.refs) if table == "fact_sales" else ""
                version.answer = answer_of(ref)

    def learn_source_refs(self, seen: Mapping[int, str]) -> None:
        """Take over which of several allowed source_refs a fact carries, by surrogate key; no other is taken."""
        for version in self._tables["fact_sales"].values():
            ref = seen.get(version.columns["sales_key"])
            if ref in version.refs:
                version.refs = {ref}
            version.columns["source_ref"] = min(version.refs)

    def quarantine(self) -> list[Row]:
        return [row for rows in self._quarantine.values() for row in rows]

    def _members(self, good: Sequence[Values]) -> dict[str, dict[Key, Version]]:
        """What the good lines, and the catalogues, say of each dimension."""
        found: dict[str, dict[Key, Version]] = {name: {} for name in KEYS if name != "fact_sales"}
        for values in good:
            for table, key in (
                ("dim_product", "product_id"), ("dim_customer", "customer_id"), ("dim_store", "store_id"),
            ):  # fmt: skip
                if values[key] is not None:
                    is_nameless = table == "dim_product" and values["product_name"] is None
                    changed_at = datetime(1970, 1, 1, tzinfo=UTC) if is_nameless else values["updated_at"]
                    version = member(table, values, changed_at, *origin_of(values))
                    _keep_newest(found[table], (values["retailer_id"], values[key]), version)
            for day in month_of(values["business_date"]):
                found["dim_date"][str(day),] = day_row(day)
        for table, described in self._described.items():
            for key in found[table].keys() & described.keys():  # type: ignore[assignment]
                told = described[key]
                found[table][key] = Version(dict(told.columns), told.updated_at, told.hash)
        for values in self._retailers:  # type: ignore[assignment]
            row = dict(zip(ATTRIBUTES["dim_retailer"], values, strict=True))
            found["dim_retailer"][values[0],] = Version(
                {"retailer_key": key_of(values[0]), **row}, None, hash_of(row)
            )
        return found

    def _merge(
        self, table: str, rows: Mapping[Key, Version], run_id: str, figures: Figures | None = None
    ) -> dict[str, int]:
        counted = Counter(dict.fromkeys(("inserted", "updated", "touched", "unchanged", "stale"), 0))
        for key, new in rows.items():
            old = self._tables[table].get(key)
            action = _action(old, new)
            counted[action] += 1
            if figures is not None:
                hop = {"updated": "updated_in", "touched": "unchanged"}.get(action, action)
                if action == "updated" and new.columns["status"] == "deleted":
                    hop = "deleted"
                add(figures, hop, new.columns["retailer_id"], new.columns)
                if action == "updated" and old is not None:
                    add(figures, "updated_out", old.columns["retailer_id"], old.columns)
            if action in ("inserted", "updated"):
                new.run_id = run_id
                self._tables[table][key] = new
            elif action == "touched" and old is not None:
                old.touch(new)
        return dict(counted)


def _action(old: Version | None, new: Version) -> str:
    if old is None:
        return "inserted"
    if new.counts_over(old):
        return "touched" if new.hash == old.hash else "updated"
    return "unchanged" if new.hash == old.hash else "stale"


def _keep_newest(rows: dict[Key, Version], key: Key, new: Version) -> None:
    old = rows.get(key)
    if old is None or new.is_newer_than(old):
        rows[key] = new
    elif (new.order, new.hash) == (old.order, old.hash):
        old.refs |= new.refs


def _refused(values: Values, reasons: Sequence[str], text: str, retailer: str, day: date) -> Row:
    shown = (
        "retailer_id", "transaction_id", "line_id", "business_date", "currency", "total_amount", "source_ref",
    )  # fmt: skip
    return {
        "from_retailer": retailer, "logical_date": day, "reasons": "; ".join(reasons), "value": text,
        "severity": "critical" if is_critical(values) else "error", "warnings": "; ".join(warnings(values)),
        **{name: values.get(name) for name in shown},
    }  # fmt: skip
