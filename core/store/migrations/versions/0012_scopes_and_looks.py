"""Scopes of the prefix cache that the model server must still drop; when old records were last looked for."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stale_scopes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("front", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
    )
    op.add_column("installation", sa.Column("looked_at", sa.Float, nullable=False, server_default="0"))
