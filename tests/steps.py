"""Steps called one by one, without the runner that holds the lease for them."""

from __future__ import annotations

from retail.pipeline.step_context import RunOptions, StepContext
from retail.pipeline.workspace import Workspace
from retail.runs.run import Run


class Silence:
    """A run's report to nobody."""

    def started(self, step: str, *, last_time: float | None = None) -> None: ...

    def expects(self, step: str, total: int, what: str) -> None: ...

    def progress(self, step: str, done: int, text: str) -> None: ...

    def waits(self, step: str, text: str) -> None: ...

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None: ...


def step_context(workspace: Workspace, run: Run | str) -> StepContext:
    """What the steps of `run` work with; a run known by its id alone has no units."""
    return StepContext(
        run if isinstance(run, Run) else Run(run, (), (), workspace.settings.engine, ""),
        workspace.settings,
        workspace.secrets,
        workspace.storage,
        workspace.ledger,
        Silence(),
        RunOptions(),
        open_session=lambda: workspace.session,
        open_warehouse=lambda: workspace.warehouse,
    )
