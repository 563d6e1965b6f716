"""`parley backup FILE` and `parley restore FILE`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from bots.app import sole_server
from bots.progress import waiting
from config.settings import Settings
from core.errors import BackupRefused
from core.store import backups
from core.store.translation import translated

PLATFORMS = ("telegram", "slack")


def back_up(settings: Settings, file: Path, out: TextIO) -> None:
    """Write a checked backup of the database to a new file. The bot may run meanwhile. Raises StoreError."""
    _check_file(settings)
    with waiting(f"copying {settings.store_path}"):
        translated(lambda: backups.back_up(settings.store_path, file))
    print(f"{settings.store_path} is backed up to {file}", file=out)


def restore(settings: Settings, file: Path, out: TextIO) -> None:
    """Replace the database by a backup. Raises ConfigError if a bot runs, and StoreError."""
    _check_file(settings)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    served = {*PLATFORMS, *(lock.stem for lock in settings.data_dir.glob("*.lock"))}
    with sole_server(settings.data_dir, sorted(served)):
        done = translated(lambda: backups.restore(settings.store_path, file, stamp))
    print(f"{file} is restored to {settings.store_path}", file=out)
    if done.kept:
        print(f"the database that was there is kept as {done.kept}", file=out)
    if done.dropped:
        print(
            f"{done.dropped} messages that waited when the backup was made may be answered already: dropped", file=out
        )


def _check_file(settings: Settings) -> None:
    """Raises BackupRefused if the database is no file."""
    if not settings.has_store_file:
        raise BackupRefused(settings.store_name, "use the server's own tools, pg_dump and pg_restore")
