"""Great Expectations suites: files in `expectations/`, loaded by name, run against a DataFrame.

An expectation's `severity` decides what its failure does: `critical` stops the run before anything is published,
`warning` and `info` are reported.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retail.config import text_files
from retail.errors import ConfigurationError, EngineError, GateError
from retail.lake import engine
from retail.quality import conf_files
from retail.quality.suites.named_rows import name_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


log = structlog.get_logger()

# What is validated: staged rows, each table of the star, and the days next to earlier days; each by the suite
# of its name.
SUITES: Final = (
    "staged_sales", "dim_date", "dim_product", "dim_customer", "dim_store", "dim_retailer", "fact_sales",
    "fact_keys", "daily_sales",
)  # fmt: skip


class _Expectation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: str
    kwargs: dict[str, Any]
    severity: Literal["critical", "warning", "info"]
    meta: dict[str, Any] = Field(default_factory=dict)


class _Suite(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    expectations: list[_Expectation] = Field(min_length=1)


@dataclass(frozen=True)
class Failure:
    """One expectation that does not hold, in words."""

    suite: str
    severity: str
    expectation: str
    observed: str

    def __str__(self) -> str:
        return f"{self.suite}: {self.expectation}: {self.observed}"


@dataclass(frozen=True)
class Validation:
    """The findings of a suite: the number of expectations evaluated, and those that failed.

    `result` is Great Expectations' own, as JSON; it contains no value of a row.
    """

    suite: str
    judged: int
    failures: list[Failure] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def critical(self) -> list[Failure]:
        return [failure for failure in self.failures if failure.severity == "critical"]


def of(judged: str, *, beside: Path | None = None) -> list[str]:
    """The suites for `judged`: the file of that name, and others named `<judged>.<anything>.json`.

    `beside` is the folder of the configuration file, here and below: see `retail.quality.conf_files`.
    """
    return [name for name in conf_files.suites(beside) if name.partition(".")[0] == judged]


def validate(
    name: str, frame: DataFrame, *, named_by: Sequence[str] = (), beside: Path | None = None
) -> Validation:
    """Run the suite `expectations/<name>.json` against `frame`.

    Rows that break an expectation are shown by their values in the columns `named_by`, and no others. Raises
    EngineError if the lake could not be read.
    """
    batch = _batch(name, frame)
    result = batch.validate(
        load(name, beside=beside), result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
    )
    failed = [each for each in result.results if not each.success]
    _require_lake(name, failed)
    failures = [_failure(name, each, _named(name, batch, each, named_by, frame)) for each in failed]
    return Validation(name, len(result.results), failures, _as_json(result))


def _require_lake(name: str, failed: Sequence[Any]) -> None:
    """Raises EngineError if the engine could not read the rows: an S3 outage is not a fault of the data."""
    messages = (str(each.get("exception_message")) for one in failed for each in _informations(one))
    lost = next(filter(None, map(engine.lost_lake_in, messages)), None)
    if lost is not None:
        raise EngineError(
            f"{name} could not be checked: {lost}",
            hint="check that the lake answers (`retail doctor`), then run the same command again",
        )


def _batch(name: str, frame: DataFrame) -> Any:
    _, context = _great_expectations()
    source = context.data_sources.add_or_update_spark(name=name, persist=False)
    # The default is the first session of the process, whichever that is; a query must run where the frame is.
    source.get_execution_engine().spark = frame.sparkSession
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    return batch.get_batch({"dataframe": frame})


def _named(name: str, batch: Any, failed: Any, named_by: Sequence[str], frame: DataFrame) -> str:
    """The rows that broke the expectation; empty if it could not be evaluated."""
    if not named_by or _informations(failed):
        return ""
    return name_rows(name, batch, failed, named_by, frame)


def _as_json(result: Any) -> dict[str, Any]:
    """The result as it is stored. Details of an exception may hold values, so only the reason is kept, without them."""
    kept: dict[str, Any] = json.loads(json.dumps(result.to_json_dict(), default=str))
    for judged, each in zip(result.results, kept["results"], strict=True):
        each["exception_info"] = {
            "raised_exception": bool(_informations(judged)),
            "exception_traceback": "",
            "exception_message": _why_not_judged(judged) or None,
        }
    return kept


def warn(validations: list[Validation]) -> None:
    """Log failures that stop nothing."""
    for validation in validations:
        for failure in validation.failures:
            if failure.severity != "critical":
                log.warning("expectation failed", suite=failure.suite, expectation=str(failure))


def stop_on_critical(validations: list[Validation]) -> None:
    """Raises GateError naming every critical failure with the observed values."""
    critical = [failure for validation in validations for failure in validation.critical]
    if critical:
        raise GateError(
            f"{len(critical)} critical expectation(s) failed:\n"
            + "\n".join(f"  - {failure}" for failure in critical),
            hint="see the rows named above and the pages of quality/data_docs/index.html in the lake; "
            "the suites are files in expectations/",
        )


def warm_up() -> None:
    """Load Great Expectations, which takes seconds; a run does it while it waits for the retailers."""
    _great_expectations()


@cache
def _great_expectations() -> tuple[Any, Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # it would report its use to its makers
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    _ask_for_no_values()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return gx, context


def _ask_for_no_values() -> None:
    """Replace the queries for values that break an expectation: saves queries, and keeps personal data out of results.

    Great Expectations has no setting for this: told to show no values, it still queries them.
    """
    from great_expectations.expectations import registry
    from great_expectations.expectations.registry import register_core_metrics

    register_core_metrics()
    for name, metric in registry._registered_metrics.items():
        providers = metric["providers"]
        asks = name.endswith(".unexpected_values") or name == "unexpected_rows_query.table"
        if asks and "SparkDFExecutionEngine" in providers:
            metric_class, _ = providers["SparkDFExecutionEngine"]
            providers["SparkDFExecutionEngine"] = (metric_class, _no_values)


def _no_values(*_: Any, **__: Any) -> list[Any]:
    return []


def names(*, beside: Path | None = None) -> list[str]:
    """The suites that a run may load."""
    return sorted({*SUITES, *conf_files.suites(beside)})


def read_all(*, beside: Path | None = None) -> None:
    """Check that every suite exists with the right structure, without Great Expectations, which takes seconds to load.

    Raises ConfigurationError with every problem.
    """
    there = conf_files.suites(beside)
    found = conf_files.misplaced(beside, [f"{name}.json" for name in SUITES])
    found += [
        f"{_path(name, beside)}: no table to check has that name; it must begin with one of {', '.join(SUITES)}"
        for name in there
        if name.partition(".")[0] not in SUITES
    ]
    for name in names(beside=beside):
        try:
            _read(name, beside)
        except ConfigurationError as error:
            found += error.problems
    if found:
        raise ConfigurationError(found)


def load(name: str, *, beside: Path | None = None) -> Any:
    """The suite of that file. Raises ConfigurationError if it does not exist or is not understood."""
    gx, _ = _great_expectations()
    path, expectations = _path(name, beside), _read(name, beside)
    try:
        suite = gx.ExpectationSuite(name=name, expectations=expectations)
    # Great Expectations raises errors of pydantic v1 and of its own for a suite that it does not understand.
    except (ValueError, KeyError, TypeError, gx.exceptions.GreatExpectationsError) as error:
        raise ConfigurationError([f"{path} is not an expectation suite: {error}"]) from None
    # Great Expectations drops what it does not know, with no more than a line in its log.
    understood = {each.expectation_type for each in suite.expectations}
    unknown = sorted({each["type"] for each in expectations} - understood)
    if unknown or len(suite.expectations) != len(expectations):
        raise ConfigurationError(
            [f"{path}: Great Expectations does not accept {', '.join(unknown) or 'an expectation'}"]
        )
    return suite


def _path(name: str, beside: Path | None) -> Path:
    return conf_files.find(f"{name}.json", beside)


def _read(name: str, beside: Path | None = None) -> list[dict[str, Any]]:
    """The expectations of the file, each with type, kwargs and severity."""
    path = _path(name, beside)
    try:
        suite = _Suite(**json.loads(text_files.read(path)))
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}"]) from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ConfigurationError(
            [f"{path} is not an expectation suite: {each}" for each in problems]
        ) from None
    except (ValueError, TypeError) as error:
        raise ConfigurationError([f"{path} is not an expectation suite: {error}"]) from None
    return [expectation.model_dump() for expectation in suite.expectations]


def _failure(suite: str, result: Any, named: str) -> Failure:
    configuration = result.expectation_config
    arguments = {k: v for k, v in configuration.kwargs.items() if k != "batch_id"}
    described = ", ".join(f"{key}={value}" for key, value in arguments.items())
    observed = _why_not_judged(result)
    if not observed:
        keys = ("observed_value", "unexpected_count", "element_count")
        observed = ", ".join(
            f"{key} {result.result[key]}" for key in keys if result.result.get(key) is not None
        )
    named = f": {named}" if named else ""
    return Failure(
        suite, configuration.severity.value, f"{configuration.type}({described})", observed + named
    )


def _why_not_judged(result: Any) -> str:
    """Why the expectation could not be evaluated, without any row value; empty if it was evaluated."""
    asked = frozenset(re.findall(r"\w+", str(result.expectation_config.kwargs)))
    messages = (each.get("exception_message") or "it was not evaluated" for each in _informations(result))
    return "; ".join(sorted({_without_values(message, asked) for message in messages}))


def _without_values(message: str, asked: Collection[str]) -> str:
    """The first line of an engine's message up to its first quote, which may be a value; requested names may stay."""
    first = message.strip().partition("\n")[0]
    bare = re.sub(r"""(["'`])(\w+)\1""", lambda found: found[2] if found[2] in asked else found[0], first)
    parts = re.split(r"""["'`]""", bare, maxsplit=1)
    return parts[0] if len(parts) == 1 else f"{parts[0]}…"


def _informations(result: Any) -> list[dict[str, Any]]:
    """Exceptions raised while the expectation was evaluated; Great Expectations nests them by metric, or not at all."""
    info: dict[str, Any] = result.exception_info or {}
    found = (
        [info] if "exception_message" in info else [each for each in info.values() if isinstance(each, dict)]
    )
    return [each for each in found if each.get("raised_exception")]
