"""Several gateways: each has told its model server up to a note, and is told which replies are not wanted any more."""

import sqlalchemy as sa
from alembic import op

from core.store.portable import Text

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateways",
        sa.Column("owner", Text, primary_key=True),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("can_forget", sa.Boolean, nullable=False),
    )
    op.add_column("turns", sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()))
