"""Logs on standard error: JSON lines, or readable ones if standard error is a terminal."""

import logging
import re
import sys

import structlog
from structlog.types import Processor

OURS = ("bots", "core", "config", "__main__")
"""Packages whose every event is logged. Libraries log requests and SQL below WARNING, with tokens and people's text."""
TOKEN = re.compile(r"(?:xox[a-z]|xapp)-[\w-]+|(?<!\d)\d{4,}:[\w-]{10,}")
"""Tokens of Slack and Telegram. An error of a library may name the address that it asked."""


def configure_logs(level: str, *, otherwise: str = "info") -> None:
    """Send our logs to standard error, from `level` ("debug" ... "error") up, and warnings of libraries.

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
    handler.addFilter(_is_for_the_log)  # of a logger too that a library has set to another level
    logging.basicConfig(handlers=[handler], level=threshold, force=True)


def _is_for_the_log(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS


def _without_tokens(_logger: object, _method: str, line: object) -> str:
    """The finished line, tracebacks included."""
    return TOKEN.sub("[token]", str(line))


def _renderers(*, terminal: bool) -> list[Processor]:
    """Tracebacks are rendered without local variables, which may hold people's text."""
    plain = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if terminal:
        return [
            plain,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
            _without_tokens,
        ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    return [plain, structlog.processors.format_exc_info, as_json, _without_tokens]
