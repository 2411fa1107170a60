"""Where the log of a command goes: stderr, as lines for people or JSON for collectors."""

import logging
import sys
from typing import Any

import structlog


def configure_log(*, level: int, as_json: bool) -> None:
    """Send structlog events of this level and above to stderr."""
    shape: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_to_stderr,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)


def _to_stderr(*_names: object) -> structlog.PrintLogger:
    """Look stderr up at each use, because tests and shells replace it."""
    return structlog.PrintLogger(sys.stderr)
