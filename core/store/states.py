"""The states of a turn, in their order."""

import sqlalchemy as sa

from core.store.schema import turns

WAITING, RUNNING, ANSWERED, DELIVERED, DEAD = "waiting", "running", "answered", "delivered", "dead"
IS_OPEN = turns.c.state != sa.literal_column(f"'{DELIVERED}'")
"""Spelled like the condition of the partial index `turns_open`: otherwise SQLite scans all turns ever stored."""
