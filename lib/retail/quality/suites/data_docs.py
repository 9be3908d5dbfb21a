"""The suites' findings, stored for every run, and Great Expectations' Data Docs of them as static pages in the lake.

    quality/validations/<run_id>/<step>.json            what each suite found, in Great Expectations' format
    quality/data_docs/index.html                        the newest runs, their suites, and what failed
    quality/data_docs/<run_id>/<step>-<suite>.html      a suite's page

The pages stand alone: no script, nothing from another host. They are made after a critical failure, and by `retail
data-docs`; rendering them in every run would take longer than validating the tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from retail.lake import layout
from retail.lake.storage import Storage
from retail.outgoing_text import mask_values
from retail.quality.suites.validation import Failure, Validation

log = structlog.get_logger()

INDEX: Final = f"{layout.DATA_DOCS}index.html"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
# The number of runs listed; the findings of earlier ones stay in quality/validations/.
_LISTED_RUNS: Final = 30


@dataclass(frozen=True)
class Kept:
    """What the suites of one step of a run found, and when."""

    run_id: str
    step: str
    judged_at: str
    validations: list[Validation]


def keep(storage: Storage, run_id: str, step: str, validations: Sequence[Validation]) -> None:
    """Store what the suites of a step found; if a critical expectation failed, make its pages too.

    Failing to make the pages is only a warning: it must not hide the failure itself.
    """
    values = {
        "run_id": run_id,
        "step": step,
        "judged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "validations": [asdict(validation) for validation in validations],
    }
    kept = json.dumps(mask_values(values), ensure_ascii=False)
    storage.write(layout.validation(run_id, step), kept.encode())
    if any(validation.critical for validation in validations):
        try:
            build(storage, run_ids=[run_id])
        except Exception as error:
            log.warning("cannot build pages of Data Docs", run_id=run_id, error=str(error))


def build(storage: Storage, *, run_ids: Sequence[str] | None = None) -> int:
    """Make the pages of these runs, or of all listed runs, and the list; returns the number of suites' pages."""
    listed = _listed(storage)
    view, pages = _view(), set(storage.list(layout.DATA_DOCS))
    made = 0
    for kept in listed:
        if run_ids is None or kept.run_id in run_ids:
            for validation in kept.validations:
                key = f"{layout.DATA_DOCS}{_page(kept, validation)}"
                storage.write(key, _render(view, kept, validation).encode())
                pages.add(key)
                made += 1
    template = view.env.get_template("retail_index.j2")
    there = {key.removeprefix(layout.DATA_DOCS) for key in pages}
    storage.write(INDEX, template.render(runs=listed, page=_page, there=there).encode())
    return made


def _listed(storage: Storage) -> list[Kept]:
    """Newest run first, and its last step first."""
    keys = list(storage.list(layout.VALIDATIONS))
    newest = sorted({key.split("/")[2] for key in keys}, reverse=True)[:_LISTED_RUNS]
    found = [_read(storage, key) for key in keys if key.split("/")[2] in newest]
    there = [kept for kept in found if kept is not None]
    return sorted(there, key=lambda kept: (kept.run_id, kept.judged_at), reverse=True)


def _read(storage: Storage, key: str) -> Kept | None:
    """None for a file that is not in the format of `keep`, perhaps because it is cut off."""
    try:
        values: dict[str, Any] = json.loads(storage.read(key))
        validations = [
            Validation(**each | {"failures": _failures(each["failures"])}) for each in values["validations"]
        ]
        return Kept(values["run_id"], values["step"], values["judged_at"], validations)
    except (ValueError, KeyError, TypeError) as error:
        log.warning("skipping a validation file", key=key, error=type(error).__name__)
        return None


def _failures(values: Iterable[dict[str, str]]) -> list[Failure]:
    return [Failure(**each) for each in values]


def _page(kept: Kept, validation: Validation) -> str:
    return f"{kept.run_id}/{kept.step}-{validation.suite}.html"


def _view() -> Any:
    from great_expectations.render.view.view import DefaultJinjaPageView

    return DefaultJinjaPageView(custom_views_directory=str(_TEMPLATES))


def _render(view: Any, kept: Kept, validation: Validation) -> str:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        expectationSuiteValidationResultSchema,
    )
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    loaded = expectationSuiteValidationResultSchema.load(_without_tags(validation.result))
    result = ExpectationSuiteValidationResult(**{name: loaded[name] for name in validation.result})
    content = ValidationResultsPageRenderer().render(result)
    page: str = view.render(content, template="retail_page.j2", kept=kept, validation=validation)
    return page


def _without_tags(value: Any) -> Any:
    """The values with no text that is a tag of HTML: of Great Expectations' own templates, not all escape."""
    if isinstance(value, str):
        return _TAG.sub("< ", value)
    if isinstance(value, dict):
        return {_without_tags(key): _without_tags(held) for key, held in value.items()}
    return [_without_tags(held) for held in value] if isinstance(value, list) else value
