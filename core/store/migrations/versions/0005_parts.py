"""The parts of a message: what it quotes, with the author's kind, and what it carries that cannot be read.

Until now one column held all quoted lines. They become one quote from earlier in the chat, of an unknown author.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("quotes", sa.Text, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("media", sa.Text, nullable=False, server_default="[]"))
    op.execute(
        "UPDATE turns SET quotes = json_array(json_object('relation', 'earlier', 'text', context)) WHERE context <> ''"
    )
    op.drop_column("turns", "context")
