"""Opens the store for a command that is of no use without one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.settings import Settings
from core.errors import ConfigError
from core.store import Store, open_store


def has_store(settings: Settings) -> bool:
    """Whether there is a store, as far as one sees before it is opened: a server is asked for it then."""
    return not settings.has_store_file or settings.store_path.exists()


@asynccontextmanager
async def open_existing_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of the bot. Raises ConfigError if there is none yet, and creates none."""
    if not has_store(settings):
        raise ConfigError("store.url", f"there is no {settings.store_name} yet")
    async with open_store(settings.store_url) as store:
        yield store
