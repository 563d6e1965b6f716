"""What one of several gateways does, and which programs a database is for."""

import sqlalchemy as sa
from alembic import op

from core.store.portable import Text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "duties",
        sa.Column("name", Text, primary_key=True),
        sa.Column("owner", Text, nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("leased_at", sa.Float, nullable=False),
    )
    op.add_column("installation", sa.Column("oldest_program", Text, nullable=False, server_default=""))
