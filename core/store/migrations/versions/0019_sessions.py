"""The password of operators, and the sessions of those who have signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("installation", sa.Column("password", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("key_id", sa.Integer, sa.ForeignKey("keys.id", ondelete="CASCADE")),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False),
    )
