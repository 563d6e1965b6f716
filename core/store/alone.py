"""Verbs that run beside each other.

A verb is written as if it ran alone, and on SQLite each one does. On PostgreSQL those that a message needs run beside
each other: `core/side_by_side.py` lists them. What they do in rare cases need not be safe then: `alone` says so.
"""

import sqlalchemy as sa

BESIDE = "beside"
"""Execution option of a transaction beside which others may run."""


class NotAlone(Exception):
    """The work must be done alone."""


def alone(connection: sa.Connection) -> None:
    """Have no other verb run beside this one, which is begun anew if one may. Raises NotAlone."""
    if connection.get_execution_options().get(BESIDE):
        raise NotAlone
