"""The seconds until the first words of a reply."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("first_piece", sa.Float))
