"""Limits of a key: its rate, and which people it writes for."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("program", sa.Text, nullable=False, server_default=""))
    op.add_column("keys", sa.Column("per_minute", sa.Integer))
    op.add_column("keys", sa.Column("throttled_until", sa.Float, nullable=False, server_default="0"))
