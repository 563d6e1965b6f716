"""`parley export`: all messages, answers and votes as JSON lines, for the operator."""

import json
from dataclasses import asdict
from typing import TextIO

from bots.stores import has_store
from config.settings import Settings
from core.errors import ConfigError
from core.exporting import all_records
from core.store import open_store


async def export(settings: Settings, out: TextIO) -> None:
    """Write a line for each message that was answered, oldest first. Times are UTC epoch seconds."""
    if not has_store(settings):
        raise ConfigError("store.url", f"there is nothing at {settings.store_name} yet")
    async with open_store(settings.store_url) as store:
        async for record in all_records(store, None):
            out.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
