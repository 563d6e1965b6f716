"""Logs on standard error: JSON lines, or readable ones if standard error is a terminal."""

import logging
import sys

import structlog
from structlog.types import Processor

VERBOSE_LIBRARIES = ("httpx", "httpcore", "telegram")
"""Libraries that log URLs and requests below WARNING, and with them tokens and people's text."""


def configure_logs(level: str, *, otherwise: str = "info") -> None:
    """Send our logs and those of libraries to standard error, from `level` ("debug" ... "error") up.

    The level "auto" means `otherwise`, the default of the program: a console logs less than a server.
    """
    threshold = (otherwise if level == "auto" else level).upper()
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before, processors=_renderers(terminal=sys.stderr.isatty())
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(*, terminal: bool) -> list[Processor]:
    """Tracebacks are rendered without local variables, which may hold people's text."""
    plain = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if terminal:
        return [plain, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [plain, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
