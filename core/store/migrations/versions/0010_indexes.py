"""Indexes for the queries of every message, and for the deletion of what is old."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_open = sa.text("state <> 'delivered'")
    op.create_index("turns_open_here", "turns", ["conversation", "id"], sqlite_where=is_open)
    op.create_index("turns_open_theirs", "turns", ["person_id"], sqlite_where=is_open)
    op.create_index(
        "turns_remembered", "turns", ["conversation", "person_id", "id"], sqlite_where=sa.text("remembered = 1")
    )
    op.create_index("turns_measured", "turns", ["id"], sqlite_where=sa.text("source = 'model'"))
    op.create_index("turns_accepted", "turns", ["accepted_at"])
    op.create_index("people_served", "people", ["served"])
