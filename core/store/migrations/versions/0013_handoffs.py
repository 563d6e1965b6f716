"""Hand-offs of conversations to people, and the turns that pass words on."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "handoffs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("desk", sa.Text, nullable=False),
        sa.Column("thread", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("taken_at", sa.Float),
        sa.Column("closed_at", sa.Float),
        sa.Column("ending", sa.Text, nullable=False),
    )
    op.create_index(
        "handoffs_open",
        "handoffs",
        ["person_id", "conversation"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
    )
    op.create_index("handoffs_desk", "handoffs", ["desk", "thread"])
    op.add_column("turns", sa.Column("handoff_id", sa.Integer))
    op.add_column("turns", sa.Column("at_desk", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("turns", sa.Column("choices", sa.Text, nullable=False, server_default="[]"))
    op.create_index("turns_handoff", "turns", ["handoff_id", "id"], sqlite_where=sa.text("handoff_id IS NOT NULL"))
