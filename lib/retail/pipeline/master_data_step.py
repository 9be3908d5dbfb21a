"""After landing: look up what the sales name in the retailers' catalogues. A failure here never costs a sale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from retail.errors import StorageError
from retail.landing.master_data import Deadline, LookedUp, Named, look_up
from retail.runs.step_context import StepContext
from retail.sources.catalog import catalog_of
from retail.sources.registry import open_service

log = structlog.get_logger()


def look_up_named(context: StepContext, named: Mapping[str, Named]) -> list[LookedUp]:
    """Master data for what each retailer's sales name, in parallel; a failure is reported, not raised.

    A retailer without a catalogue is skipped. Raises StorageError if the lake cannot store what was found.
    """
    if not named or not context.settings.extract.master_calls:
        return []
    with ThreadPoolExecutor(max_workers=len(named)) as pool:
        results = pool.map(
            lambda retailer: _look_up_retailer(context, retailer, named[retailer]), sorted(named)
        )
        return [each for each in results if each is not None]


def described(looked_up: Sequence[LookedUp]) -> str:
    """What was found, what is left for later runs and which catalogues failed, for the end of a step's summary."""
    found, left = (sum(getattr(each, name) for each in looked_up) for name in ("found", "left"))
    failed = [each.retailer_id for each in looked_up if each.failure]
    return (
        (f"; {found:,} products and stores described" if found else "")
        + (f", {left:,} are for later runs" if left else "")
        + (f"; catalogue failed: {', '.join(failed)}" if failed else "")
    )


def _look_up_retailer(context: StepContext, retailer_id: str, named: Named) -> LookedUp | None:
    settings = context.settings
    deadline = Deadline(settings.extract.master_seconds)
    try:
        service = open_service(retailer_id, settings, context.secrets, clock=deadline.clock)
        catalog = catalog_of(service)
        if catalog is None:
            log.info("retailer has no catalogue to ask", retailer=retailer_id)
            return None
        return look_up(
            catalog,
            context.storage,
            settings.extract,
            retailer_id=retailer_id,
            named=named,
            run_id=context.run_id,
            deadline=deadline,
        )
    except StorageError:
        raise
    except Exception as error:
        log.exception("catalogue failed", retailer=retailer_id)
        return LookedUp(retailer_id=retailer_id, failure=f"unexpected {type(error).__name__}; see the log")
