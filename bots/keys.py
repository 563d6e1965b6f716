"""`parley key`: who may use the HTTP interface."""

import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TextIO

from bots.folders import private_folder
from bots.stores import open_existing_store
from config.settings import LimitSettings, Settings
from core.keys import ENTROPY_BYTES, Scope, add_key, revoke_key
from core.store import keys, open_store
from core.store.keys import StoredKey


async def add(
    settings: Settings, name: str, scopes: Collection[Scope], now: float, out: TextIO, per_minute: int | None = None
) -> None:
    """Add a key, and print it: there is no other time to see it. Raises KeyRefused, StoreError."""
    private_folder(settings.data_dir)
    async with open_store(settings.store_url) as store:
        key = await store.run(add_key, name, scopes, secrets.token_bytes(ENTROPY_BYTES), now, per_minute)
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
        opens = ", ".join(key.scopes) + _limits(key, settings.limits)
        print(f"{key.name}: {opens}; created {_minute(key.created_at)}, {used}{revoked}", file=out)


def _limits(key: StoredKey, limits: LimitSettings) -> str:
    """How much the people of a key may write together."""
    if Scope.CHAT not in key.scopes:
        return ""
    rate = key.per_minute or limits.key_per_minute
    return f"; {rate} messages a minute, {limits.key_burst} at once, {limits.key_max_queued} waiting"


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
