"""Row checks: the schema and the row rules, evaluated in one pass, with every reason kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from retail.errors import ConfigurationError
from retail.records import (
    AHEAD,
    FIELDS,
    KEY_TEXTS,
    LONGEST_KEY,
    NOTED,
    ONE_KEY,
    REQUIRED,
    TAX_OPTION,
    TYPES,
    RowRule,
)
from retail.star.table import Transform

UNREADABLE: Final = "unreadable JSON"
# Separates the reasons of a row; no single reason contains it.
SEPARATOR: Final = "; "


def check_rules(session: SparkSession, row_rules: Sequence[RowRule]) -> None:
    """Check that every condition works on a typed row. Raises ConfigurationError naming those that do not."""
    nothing = session.createDataFrame([], ", ".join(f"{name} {TYPES.get(name, 'string')}" for name in FIELDS))
    found = []
    for rule in row_rules:
        try:
            nothing.where(rule.when).schema  # noqa: B018 - asking for it makes the engine read the condition
        except PySparkException as error:
            found.append(f"row_rules.toml, {rule.reason!r}: {str(error).splitlines()[0]}")
    if found:
        raise ConfigurationError(found, hint="fix `when` of these rules in row_rules.toml")


def judge(row_rules: Sequence[RowRule]) -> Transform:
    """Adds the problems of each parsed line, and keeps the text of refused lines only.

    `reasons` are the reasons to refuse it, joined by `; ` and empty for a good line; `severity` is the gravest of them,
    null for a good line; `warnings` are joined in the same way; `unknown_fields` names the fields that SalesRecord
    lacks.
    """
    # Spark reads a broken line as far as it goes, Sail not at all: source_ref, the last field, shows it.
    unreadable = F.expr(
        "rtrim(value) NOT LIKE '%}' OR (source_ref IS NULL AND get_json_object(value, '$') IS NULL)"
    )
    refusing = [rule for rule in row_rules if rule.severity != "warning"]
    reasons = F.concat_ws(SEPARATOR, *_of_the_schema(), *map(_reason, refusing))
    critical = _any(rule for rule in row_rules if rule.severity == "critical")
    warned = (_reason(rule) for rule in row_rules if rule.severity == "warning")
    warnings = F.concat_ws(SEPARATOR, _noted(AHEAD), _noted(TAX_OPTION), *warned)

    def add(typed: DataFrame) -> DataFrame:
        judged = typed.withColumn("unreadable", unreadable)
        return (
            judged.withColumn("reasons", F.when(F.col("unreadable"), UNREADABLE).otherwise(reasons))
            .withColumn(
                "severity",
                F.when(~F.col("unreadable") & critical, "critical").when(F.col("reasons") != "", "error"),
            )
            .withColumn("warnings", F.when(F.col("unreadable"), "").otherwise(warnings))
            .withColumn("unknown_fields", _unknown_fields())
            .withColumn("value", F.when(F.col("reasons") != "", F.col("value")))
            .drop("unreadable", NOTED, *(f"raw_{name}" for name in TYPES))
        )

    return add


def _of_the_schema() -> list[Column]:
    missing = [F.when(_missing(name), F.lit(f"missing {name}")) for name in REQUIRED]
    bad = [
        F.when(F.col(f"raw_{name}").isNotNull() & F.col(name).isNull(), F.lit(f"bad {name}"))
        for name in TYPES
    ]
    long = [
        F.when(F.octet_length(name) > LONGEST_KEY, F.lit(f"{name} is longer than {LONGEST_KEY:,} bytes"))
        for name in KEY_TEXTS
    ]
    # PostgreSQL has no NUL: there it becomes U+FFFD, and two keys would become one.
    nul = [F.when(F.col(name).contains("\x00"), F.lit(f"{name} has a NUL character")) for name in KEY_TEXTS]
    foreign = F.when(F.expr("retailer_id <> from_retailer"), F.lit("retailer_id is not the folder's"))
    return [_noted(ONE_KEY), *missing, *bad, *long, *nul, foreign]


def _noted(text: str) -> Column:
    return F.when(F.col(NOTED).contains(text), F.lit(text))


def _missing(name: str) -> Column:
    text = F.col(f"raw_{name}") if name in TYPES else F.col(name)
    return text.isNull() | (text == "")


def _reason(rule: RowRule) -> Column:
    return F.when(F.expr(rule.when), F.lit(rule.reason))


def _any(rules: Iterable[RowRule]) -> Column:
    found = F.lit(False)
    for rule in rules:
        found = found | F.coalesce(F.expr(rule.when), F.lit(False))
    return found


def _unknown_fields() -> Column:
    """Null if the line has only SalesRecord's own fields, as nearly all have."""
    known = ", ".join(f"'{name}'" for name in (*FIELDS, NOTED))
    unknown = F.expr(f"filter(json_object_keys(value), field -> field NOT IN ({known}))")
    return F.when(F.size(unknown) > 0, unknown)
