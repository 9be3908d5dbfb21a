"""Step 3: raw lines become typed rows, and bad ones go to quarantine."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from retail import star
from retail.errors import RetailError
from retail.lake import delta, layout
from retail.lake.storage import Storage
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import StageResult, units_to_process
from retail.quality.rules import load_row_rules
from retail.runs import pending_replays
from retail.runs.counts import by_reason, rows_at
from retail.runs.days import RetailerDay
from retail.star import migration, staging
from retail.star.quarantine import table as quarantine
from retail.star.quarantine.listing import in_words

log = structlog.get_logger(__name__)


def stage_step(context: StepContext) -> StageResult:
    """Step 3. Raw lines become typed rows; bad ones go to quarantine."""
    migrated = migration.migrate(context, star.TABLES)
    storage, run_id, units = context.storage, context.run_id, units_to_process(context.ledger, context.run)
    if not context.options.rebuild:  # which has a note of its own
        pending_replays.begin(storage, run_id, _staged_again(context))
    staged = staging.stage(context, units, row_rules=load_row_rules(beside=context.settings.folder))
    bad = rows_at(staged.counts, "quarantined")
    accepted = quarantine.accepted_of(storage, run_id)
    in_all = in_words(quarantine.groups(storage))
    released = quarantine.no_longer_refused(storage, units)
    notices = [
        f"{released:,} lines that were accepted in quarantine are no longer rejected; "
        "those still delivered count as sales"
    ] * (released > 0)
    drift = [f"{rows:,} lines have an unknown field: {n}" for n, rows in staged.unknown_fields.items()]
    return StageResult(
        format=migration.FORMAT,
        lines_version=staged.lines_version,
        sales_version=staged.sales_version,
        counts=[*staged.counts, *quarantine.kept(storage, run_id), *accepted],
        critical=list(staged.critical),
        warned=list(staged.warned),
        unknown_fields=dict(staged.unknown_fields),
        in_quarantine=in_all,
        warnings=[*by_reason(staged.warned), *drift, *notices],
        summary=f"{rows_at(staged.counts, 'staged'):,} rows staged, {bad:,} quarantined"
        + (f", {rows_at(accepted, 'accepted'):,} of them accepted" if accepted else "")
        + "".join(f"; {each}" for each in migrated)
        + _listed("in quarantine in total", [in_all] * (not in_all.startswith("0 ")))
        + _listed("warning", notices)
        + _listed("warned", by_reason(staged.warned))
        + _listed("unknown fields", staged.unknown_fields),
    )


def staged_of(context: StepContext) -> staging.Staged:
    """What the run staged; staged again if older code did it, or if `retail maintain` has deleted it since.

    Raises RetailError if it staged nothing.
    """
    result = StageResult.of(context.ledger, context.run_id)
    if result is None:
        raise RetailError(
            f"run {context.run_id} has staged nothing", hint="run `retail transform` for its dates"
        )
    # Older code staged it and was killed: the star has or gets today's format; these rows do not.
    is_old = result.format != migration.FORMAT
    if is_old or not is_kept(context.storage, result):
        log.info("staging again", why="the lake's format has changed" if is_old else "its rows were deleted")
        again = stage_step(context)
        context.ledger.end_step(context.run_id, again.step, again.to_json(), seconds=result.seconds)
        result = again
    return staging.Staged(result.lines_version, result.sales_version, result.counts, critical=result.critical)


def is_kept(storage: Storage, result: StageResult) -> bool:
    """Whether both tables can still be read as they were staged. An engine reads a version that is gone as empty."""
    versions = {layout.STAGED_LINES: result.lines_version, layout.STAGED_SALES: result.sales_version}
    return all(delta.is_readable(storage, table, at=version) for table, version in versions.items())


def _staged_again(context: StepContext) -> set[RetailerDay]:
    """The staged days that are replayed, that are done already, or that an earlier replay did not complete."""
    units = set(units_to_process(context.ledger, context.run))
    if context.options.replay:
        return units
    return units & (context.ledger.done() | pending_replays.left(context.storage))


def _listed(what: str, values: Collection[str]) -> str:
    return f"; {what}: {', '.join(values)}" if values else ""
