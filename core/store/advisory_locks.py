"""The advisory locks of an installation in PostgreSQL. Each has a number of its own; a new one takes the next.

Installations in different schemas of one database do not wait for each other.
"""

import sqlalchemy as sa

_TABLES, _SCHEMA = "'installation'::regclass::oid::int", "current_schema::regnamespace::oid::int"

ALONE = sa.text(f"SELECT pg_advisory_xact_lock(80114, {_TABLES})")
"""Of a transaction beside which no other one may write."""
BESIDE = sa.text(f"SELECT pg_advisory_xact_lock_shared(80114, {_TABLES})")
"""Of a transaction beside which others may run that are safe so."""
PREPARE = sa.text(f"SELECT pg_advisory_xact_lock(80115, {_SCHEMA})")
"""Of a gateway that makes or migrates the tables."""
USE = sa.text(f"SELECT pg_advisory_lock_shared(80116, {_SCHEMA})")
"""Of each connection as long as it is open, as SQLite has a shared lock on a file that is open."""
HOLD = sa.text(f"SELECT pg_try_advisory_lock(80116, {_SCHEMA})")
"""Of a program that needs the tables for itself: true if nobody uses them."""
INDEX = sa.text(f"SELECT pg_try_advisory_lock(80117, {_SCHEMA})")
"""Of a gateway that builds indexes: true if no other one does."""
