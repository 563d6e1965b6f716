"""What remains of people who were forgotten, without their names; turns that go once they are delivered."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    installation = op.create_table(
        "installation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("last_turn", sa.Integer, nullable=False),
        sa.Column("checked_at", sa.Float, nullable=False),
    )
    op.execute(installation.insert().values(id=1, key=secrets.token_bytes(32), last_turn=0, checked_at=0.0))
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("forgotten_at", sa.Float, nullable=False),
        sa.Column("admitted", sa.Boolean),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("throttled_until", sa.Float, nullable=False),
        sa.Column("noticed_at", sa.Float, nullable=False),
    )
    op.add_column("turns", sa.Column("leaving", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("turns_quoting", "turns", ["id"], sqlite_where=sa.text("quotes <> '[]'"))
    op.create_index("turns_commands", "turns", ["text"], sqlite_where=sa.text("source = 'command'"))
    op.create_index("votes_person", "votes", ["person_id"])
