"""The language of a person's sentences beside the one they chose, and of each turn.

Until now one column held both. What it holds becomes the language of their sentences, since few people choose one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("spoken", sa.Text))
    op.add_column("people", sa.Column("straying", sa.Integer, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("locale", sa.Text, nullable=False, server_default="en"))
    op.execute("UPDATE people SET spoken = locale, locale = NULL")
