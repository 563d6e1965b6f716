"""`parley retry-dead`: have turns tried again that could be neither answered nor apologised for."""

from typing import TextIO

from config.settings import Settings
from core.errors import ConfigError
from core.store import dead_letters, open_store


async def retry_dead(settings: Settings, turn_id: int | None, out: TextIO) -> None:
    """Open one dead letter again, or all. A bot that is running takes them up at once. Raises ConfigError if there is
    no store yet.
    """
    if not settings.store_path.exists():
        raise ConfigError("store.url", f"there is no {settings.store_path} yet")
    async with open_store(settings.store_url) as store:
        opened = await store.run(dead_letters.retry, turn_id)
    print(f"{opened} opened again", file=out)
