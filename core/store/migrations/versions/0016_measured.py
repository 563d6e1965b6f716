"""The index of measured replies leaves out those without a duration, which a database of before has by the million."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("turns_measured", "turns")
    op.create_index("turns_measured", "turns", ["id"], sqlite_where=sa.text("source = 'model' AND seconds >= 0"))
