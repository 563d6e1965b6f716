"""The first schema: people, the events seen, and turns."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("locale", sa.Text),
        sa.Column("show_mood", sa.Boolean, nullable=False),
        sa.Column("throttled_until", sa.Float, nullable=False),
        sa.Column("noticed_at", sa.Float, nullable=False),
        sa.Column("served", sa.Integer, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("front", sa.Text, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sent_at", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.Float, nullable=False),
        sa.Column("claimed_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("reply", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("finish", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("mood_label", sa.Text),
        sa.Column("mood_confidence", sa.Float),
        sa.Column("show_mood", sa.Boolean),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("remembered", sa.Boolean, nullable=False),
    )
    op.create_index("ix_events_seen_at", "events", ["seen_at"])
    op.create_index("turns_open", "turns", ["front", "state"], sqlite_where=sa.text("state <> 'delivered'"))
    op.create_index("turns_conversation", "turns", ["conversation", "person_id", "id"])
    op.create_index("turns_person", "turns", ["person_id", "id"])
