"""Whether an administrator has let a person in or shut them out, and when the administrators were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("admitted", sa.Boolean))
    op.add_column("people", sa.Column("asked_at", sa.Float, nullable=False, server_default="0"))
