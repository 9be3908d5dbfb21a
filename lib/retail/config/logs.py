"""Logs: lines for a person on a terminal, JSON elsewhere. All of them carry one run id, and none a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from retail.outgoing_text import mask, printable

# A process works on one run. Context variables would not do: the threads of a pool do not inherit them.
_run: dict[str, str] = {}


def configure(*, verbose: bool = False) -> None:
    """Send log lines to stderr, from `info` on with `verbose`, else from `warning` on."""
    level = logging.INFO if verbose else logging.WARNING
    terminal = sys.stderr.isatty()
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            _with_run,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _safe,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The words of libraries that nobody else handles.
    last = logging.StreamHandler(sys.stderr)
    last.setLevel(logging.WARNING)
    last.setFormatter(_SafeFormatter())
    logging.lastResort = last


def bind_run(run_id: str) -> None:
    """Put the run's id into every line of this process from here on, in whichever thread it is written."""
    _run["run_id"] = run_id


def _with_run(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    return {**event, **_run}


def _safe(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    safe: structlog.types.EventDict = _safe_value(dict(event))
    return safe


def _safe_value(value: Any) -> Any:
    if isinstance(value, str):
        return printable(mask(value))
    if isinstance(value, dict):
        return {str(_safe_value(key)): _safe_value(held) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe_value(held) for held in value]
    return value if value is None or isinstance(value, bool | int | float) else printable(mask(str(value)))


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(mask(super().format(record)))
