"""`parley key`: who may use the HTTP interface."""

import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TextIO

from bots.folders import private_folder
from bots.stores import open_existing_store
from config.settings import Settings
from core.keys import ENTROPY_BYTES, Scope, add_key, revoke_key
from core.store import keys, open_store


async def add(settings: Settings, name: str, scopes: Collection[Scope], now: float, out: TextIO) -> None:
    """Add a key, and print it: there is no other time to see it. Raises KeyRefused, StoreError."""
    private_folder(settings.data_dir)
    async with open_store(settings.store_url) as store:
        key = await store.run(add_key, name, scopes, secrets.token_bytes(ENTROPY_BYTES), now)
    print(key, file=out)


async def revoke(settings: Settings, name: str, now: float, out: TextIO) -> None:
    """Revoke a key, also for a bot that is running. Raises KeyRefused, and ConfigError if there is no store yet."""
    async with open_existing_store(settings) as store:
        await store.run(revoke_key, name, now)
    print(f"{name} is revoked", file=out)


async def list_keys(settings: Settings, out: TextIO) -> None:
    """Print a line for each key. Raises ConfigError if there is no store yet."""
    async with open_existing_store(settings) as store:
        found = await store.read(keys.listed)
    for key in found:
        used = f"used {_minute(key.used_at)}" if key.used_at is not None else "never used"
        revoked = f", revoked {_minute(key.revoked_at)}" if key.revoked_at is not None else ""
        print(f"{key.name}: {', '.join(key.scopes)}; created {_minute(key.created_at)}, {used}{revoked}", file=out)


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
