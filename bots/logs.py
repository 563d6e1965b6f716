"""Logs: JSON lines on standard error, or readable ones where a person watches."""

import logging
import sys

import structlog
from structlog.types import Processor

TALKATIVE = ("httpx", "httpcore", "telegram")
"""Libraries that log every URL they call, or what they send: somebody's secret more often than not."""


def configure_logs(level: str, *, otherwise: str = "info") -> None:
    """Send our own logs and those of libraries to standard error, from `level` ("debug" ... "error") up.

    The level "auto" leaves it to the program: a console keeps quieter than a server.
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
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=_render(person=sys.stderr.isatty()))
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _render(*, person: bool) -> list[Processor]:
    """Tracebacks come without local variables: those hold people's words."""
    plain = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if person:
        return [plain, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [plain, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
