"""Opens the store for a command that is of no use without one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.settings import Settings
from core.errors import ConfigError
from core.store import Store, open_store


@asynccontextmanager
async def open_existing_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of the bot. Raises ConfigError if there is none yet, and creates none."""
    if not settings.store_path.exists():
        raise ConfigError("store.url", f"there is no {settings.store_path} yet")
    async with open_store(settings.store_url) as store:
        yield store
