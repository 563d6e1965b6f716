"""${message}"""

import sqlalchemy as sa
from alembic import op

from core.store.portable import Text

# A migration adds only, since gateways of the version before are running: tables, columns that may be NULL or have a
# server_default, indexes of new tables. See "Migrations" in CONTRIBUTING.md, also for one that takes something away.
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
