"""What platforms need: the name of a message there, the language of a person, and what they thought of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("hint", sa.Text))
    op.add_column("turns", sa.Column("reference", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "votes",
        sa.Column("turn_id", sa.Integer, sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id"), primary_key=True),
        sa.Column("vote", sa.Integer, nullable=False),
        sa.Column("cast_at", sa.Float, nullable=False),
    )
