"""`parley key`: who may use the HTTP interface."""

import secrets
from collections.abc import Collection
from typing import TextIO

from bots.dates import minute
from bots.folders import private_folder
from bots.stores import open_existing_store
from config.settings import LimitSettings, Settings
from core.keys import Scope, add_key, revoke_key
from core.store import keys, open_store
from core.store.keys import StoredKey
from core.tokens import ENTROPY_BYTES


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
        used = f"used {minute(key.used_at)} UTC" if key.used_at is not None else "never used"
        revoked = f", revoked {minute(key.revoked_at)} UTC" if key.revoked_at is not None else ""
        opens = ", ".join(key.scopes) + _limits(key, settings.limits)
        print(f"{key.name}: {opens}; created {minute(key.created_at)} UTC, {used}{revoked}", file=out)


def _limits(key: StoredKey, limits: LimitSettings) -> str:
    """How much the people of a key may write together."""
    if Scope.CHAT not in key.scopes:
        return ""
    rate = key.per_minute or limits.key_per_minute
    return f"; {rate} messages a minute, {limits.key_burst} at once, {limits.key_max_queued} waiting"
