"""The rows that broke an expectation, shown by their keys only; a second query finds them, as failures are rare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = structlog.get_logger()

# The most rows to name per broken expectation.
_NAMED_ROWS: Final = 5


def name_rows(suite: str, batch: Any, failed: Any, named_by: Sequence[str], frame: DataFrame) -> str:
    """The first rows that broke the expectation `failed`, each by its values in the columns `named_by`.

    Empty if the expectation is not about single rows, or if the second query fails: the finding stands.
    """
    configuration = failed.expectation_config.to_json_dict()
    try:
        if configuration["type"] == "unexpected_rows_expectation":
            rows = _rows_of_query(suite, frame, configuration["kwargs"]["unexpected_rows_query"])
        else:
            rows = _rows_of_expectation(suite, batch, configuration, named_by)
    # Anything the engine or Great Expectations raises; its message may hold values.
    except Exception as error:
        log.warning(
            "cannot name the failing rows",
            suite=suite,
            expectation=configuration["type"],
            error=type(error).__name__,
        )
        return ""
    return ", ".join("/".join(str(row[column]) for column in named_by if column in row) for row in rows)


def _rows_of_query(suite: str, frame: DataFrame, query: str) -> list[dict[str, Any]]:
    """Fills in the query as Great Expectations does: a doubled brace is a brace."""
    view = f"judged_by_{re.sub(r'[^A-Za-z0-9]', '_', suite)}"
    frame.createOrReplaceTempView(view)
    filled = query.replace("{batch}", view).replace("{{", "{").replace("}}", "}")
    return [row.asDict() for row in frame.sparkSession.sql(filled).limit(_NAMED_ROWS).collect()]


def _rows_of_expectation(
    suite: str, batch: Any, configuration: dict[str, Any], named_by: Sequence[str]
) -> list[dict[str, Any]]:
    import great_expectations as gx

    wanted = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": _NAMED_ROWS,
        "unexpected_index_column_names": list(named_by),
    }
    alone = {key: configuration[key] for key in ("type", "kwargs", "severity")}
    alone["kwargs"] = {key: value for key, value in alone["kwargs"].items() if key != "batch_id"}
    again = gx.ExpectationSuite(name=f"{suite} again", expectations=[alone])
    (result,) = batch.validate(again, result_format=wanted).results
    return (result.result or {}).get("partial_unexpected_index_list") or []
