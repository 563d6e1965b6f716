"""Backups of a database, and their return into its place.

A backup is older than the database that it replaces, which knows what must not happen again: the people who were
forgotten since, the keys that were revoked, the events that were accepted, and the turns that are still to be answered.
These are carried over.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from core.errors import BackupRefused, StoreDamaged, StoreLocked
from core.messages import Person
from core.store import installation, keys, records, sessions, tombstones
from core.store.copies import BEFORE_RESTORE, beside, copy, new_file, settle
from core.store.files import remove, sync
from core.store.handoffs import CLOSED
from core.store.people import find_or_add
from core.store.portable import insert_new
from core.store.removal import remove_turns
from core.store.schema import events, handoffs, people, turns
from core.store.schema import installation as installations
from core.store.schema import tombstones as stones
from core.store.sqlite import make_engine, prepare
from core.store.states import IS_OPEN
from core.store.translation import store_error
from core.store.turns import with_senders

NO_BACKUP = {"SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR"}
"""Errors of a file that is no database of ours; the last one is that of a missing table."""
BATCH = 1_000
"""Rows that are copied at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has done: where the database that was there is `kept`, and how many open turns of the backup were
    `dropped` because nothing tells whether they have been answered since.
    """

    kept: Path | None
    dropped: int


def back_up(database: Path, target: Path) -> None:
    """Write a backup to a new file, while the database is in use. Raises StoreError, OSError, sqlite3.Error."""
    if not database.exists():
        raise BackupRefused(str(database), "there is no database yet")
    with _reserved(target):
        copy(database, target)


def restore(database: Path, backup: Path, stamp: str) -> Restored:
    """Put a backup into the place of a database that nobody uses; the database stays beside it, named by the stamp.

    Open turns of the backup have been dealt with since and are dropped; those of the database are taken over.
    Raises StoreError, OSError, sqlite3.Error.
    """
    _check_backup(backup)
    new = database.with_name(f"{database.name}.restoring")
    remove(new)
    try:
        copy(backup, new)
        with _opened(new, path=None) as restored:
            dropped = remove_turns(restored, IS_OPEN)
            sessions.end_all(restored)
            if database.exists():
                dropped = 0
                with _present(database) as present:
                    _carry_over(present, restored)
        settle(new)
        kept = _kept(database, stamp) if database.exists() else None
        sync(database.parent)  # names may reach the disk in any order: the kept one first, and the end of the old log
        new.replace(database)
    finally:
        remove(new)
    sync(database.parent)
    return Restored(kept=kept, dropped=dropped)


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """A new file at the path, which is removed if the body fails. Raises BackupRefused if it cannot be made."""
    with ExitStack() as stack:
        try:
            stack.enter_context(new_file(path))
        except FileExistsError:
            raise BackupRefused(str(path), "exists already") from None
        except OSError as error:
            raise BackupRefused(str(path), error.strerror or "cannot be written") from None
        yield


def _check_backup(backup: Path) -> None:
    """Raises BackupRefused unless the file is a database of ours."""
    if not backup.is_file():
        raise BackupRefused(str(backup), "there is no such file")
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        if error.sqlite_errorname in NO_BACKUP:
            raise BackupRefused(str(backup), f"is no backup of parley ({error})") from None
        raise


@contextmanager
def _opened(file: Path, path: Path | None) -> Iterator[sa.Connection]:
    """A transaction in a database that is checked and migrated."""
    engine = make_engine(f"sqlite:///{file}")
    try:
        prepare(engine, path)
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _present(database: Path) -> Iterator[sa.Connection]:
    """The database that is replaced. Without what it knows, forgotten people would come back."""
    try:
        with _opened(database, path=database) as connection:
            yield connection
    except (StoreDamaged, sa.exc.DatabaseError) as error:
        damage = store_error(error.orig) if isinstance(error, sa.exc.DatabaseError) else error
        if not isinstance(damage, StoreDamaged):
            raise
        without = "if that does not pass, move it away to restore without what it knows, also of people forgotten since"
        raise BackupRefused(str(database), f"cannot be read ({damage}); {without}") from None


def _carry_over(present: sa.Connection, restored: sa.Connection) -> None:
    """Bring what the present database knows into the restored one."""
    _carry_tombstones(present, restored)
    keys.carry_over(present, restored)
    installation.set_password(restored, installation.password(present))
    installation.note_last_turn(present)
    installation.note_last_turn(restored)
    last = max(connection.scalar(sa.select(installations.c.last_turn)) or 0 for connection in (present, restored))
    restored.execute(installations.update().values(last_turn=last))
    for rows in present.execute(sa.select(events.c.digest, events.c.seen_at)).partitions(BATCH):
        restored.execute(insert_new(restored, events), [row._asdict() for row in rows])
    _carry_open_turns(present, restored)


def _carry_tombstones(present: sa.Connection, restored: sa.Connection) -> None:
    """Forget in the restored database those who were forgotten after the backup, and take the tombstones over."""
    key = installation.key(present)
    known = _tombstones(restored) if installation.key(restored) == key else {}
    newer = {digest: row for digest, row in _tombstones(present).items() if _is_newer(row, known.get(digest))}
    restored.execute(installations.update().values(key=key))
    for person in [Person.parse(name) for name in restored.scalars(sa.select(people.c.key)).all()]:
        if tombstones.digest(key, str(person)) in newer:
            records.forget(restored, person, current_turn=0)
    restored.execute(stones.delete())
    for row in (known | newer).values():
        restored.execute(stones.insert().values(row._asdict()))


def _tombstones(connection: sa.Connection) -> dict[bytes, sa.Row[tuple[object, ...]]]:
    return {row.digest: row for row in connection.execute(sa.select(stones))}


def _is_newer(row: sa.Row[tuple[object, ...]], known: sa.Row[tuple[object, ...]] | None) -> bool:
    return known is None or row.forgotten_at > known.forgotten_at


def _carry_open_turns(present: sa.Connection, restored: sa.Connection) -> None:
    """Take open turns over, but for what operators are shown: which hand-offs go on is not known to the backup."""
    open_ = with_senders().where(IS_OPEN, sa.not_(turns.c.at_desk)).order_by(turns.c.id)
    restored.execute(handoffs.update().values(state=CLOSED))
    for row in present.execute(open_).all():
        values = {column.name: getattr(row, column.name) for column in turns.columns}
        sender = find_or_add(restored, Person.parse(row.person))
        values |= {"id": installation.next_turn(restored, row.conversation), "person_id": sender.id, "lease_until": 0.0}
        values["handoff_id"] = None
        restored.execute(turns.insert().values(values))


def _kept(database: Path, stamp: str) -> Path:
    """Another name beside the database, which is one file now. Raises BackupRefused if another process has it open."""
    try:
        settle(database)
    except sqlite3.OperationalError as error:
        if not isinstance(store_error(error), StoreLocked):
            raise
        raise BackupRefused(str(database), "another program is using it; stop that first") from None
    kept = beside(database, BEFORE_RESTORE, stamp)
    os.link(database, kept)
    return kept
