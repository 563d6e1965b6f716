"""What a message points at: lines that were said before it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("context", sa.Text, nullable=False, server_default=""))
