"""`parley store copy FROM TO`."""

from pathlib import Path
from typing import TextIO

from bots.progress import waiting
from config.load import with_values
from config.settings import SQLITE, Settings
from core.store import moving
from core.store.moving import Place
from core.store.translation import translated

CONFIGURED = "store.url"
"""Stands for the database of the settings, whose URL may come from the environment or a file."""


def copy(settings: Settings, source: str, target: str, out: TextIO) -> None:
    """Copy everything from one database into a new one, and print what both hold.

    Raises ConfigError for an address that is none, CopyRefused, and StoreError.
    """
    from_, to = _place(settings, source), _place(settings, target)
    with waiting(f"copying {from_.name}"):
        copied = translated(lambda: moving.copy(from_, to))
    for contents in copied.contents:
        print(contents, file=out)
    if copied.changed:
        print(f"{copied.changed} texts have lost a NUL character, which PostgreSQL does not store", file=out)
    rows = sum(contents.rows for contents in copied.contents)
    print(f"{from_.name} is copied to {to.name}: {rows} rows, equal in both by count and digest", file=out)


def _place(settings: Settings, address: str) -> Place:
    """A path, a URL, or the configured database."""
    if address != CONFIGURED:
        url = address if "://" in address else f"{SQLITE}{Path(address).expanduser().absolute()}"
        settings = with_values(settings, "store", url=url)
    return Place(url=settings.store_url, name=settings.store_name)
