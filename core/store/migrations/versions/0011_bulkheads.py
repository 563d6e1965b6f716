"""Faults of a turn and dead letters; the seconds that a turn took; when its lease was taken or renewed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LONGEST = 300
"""Seconds. A turn that seems to have taken longer was held up by something else, such as a suspended machine."""


def upgrade() -> None:
    op.add_column("turns", sa.Column("faults", sa.Integer, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("leased_at", sa.Float, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("seconds", sa.Float))
    op.create_index("turns_dead", "turns", ["id"], sqlite_where=sa.text("state = 'dead'"))
    took = "finished_at - claimed_at"
    op.execute(f"UPDATE turns SET seconds = {took} WHERE source = 'model' AND {took} BETWEEN 0 AND {LONGEST}")  # noqa: S608  constants
