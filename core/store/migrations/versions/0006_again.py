"""Which question a turn asks again, and which turns a person had the bot forget with /reset."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("again", sa.Integer, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("forgotten", sa.Boolean, nullable=False, server_default=sa.false()))
