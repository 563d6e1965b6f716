"""`parley retry-dead`: have turns tried again that could be neither answered nor apologised for."""

from typing import TextIO

from bots.stores import open_existing_store
from config.settings import Settings
from core.store import dead_letters


async def retry_dead(settings: Settings, turn_id: int | None, out: TextIO) -> None:
    """Open one dead letter again, or all. A bot that is running takes them up at once. Raises ConfigError if there is
    no store yet.
    """
    async with open_existing_store(settings) as store:
        opened = await store.run(dead_letters.retry, turn_id)
    print(f"{opened} opened again", file=out)
