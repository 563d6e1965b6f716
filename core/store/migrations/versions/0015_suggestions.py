"""Questions that a reply suggests, which buttons below it ask."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("suggestions", sa.Text, nullable=False, server_default="[]"))
