"""How times are written for operators."""

from datetime import UTC, datetime


def minute(at: float) -> str:
    """A time in UTC, to the minute: "2026-11-27 10:41"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
