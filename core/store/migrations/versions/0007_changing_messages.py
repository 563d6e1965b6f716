"""Messages that change after they were accepted: later events join them, and their senders edit them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("pieces", sa.Text, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("opens", sa.Text, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("not_before", sa.Float, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("changed", sa.Boolean, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("revised", sa.Boolean, nullable=False, server_default="0"))
    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("turn_id", sa.Integer))
        events.create_foreign_key("events_turn", "turns", ["turn_id"], ["id"], ondelete="SET NULL")
        events.create_index("ix_events_turn_id", ["turn_id"])
