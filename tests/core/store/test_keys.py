"""Stored keys come back by their digest until they are revoked, also from a backup."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.store import Store, backups, open_store
from core.store.keys import add, carry_over, find, listed, note_use, revoke
from core.store.migrate import migrate


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'parley.db'}"
    async with open_store(url) as opened:
        yield opened


async def test_a_key_is_found_by_its_digest(store: Store) -> None:
    """A key comes back with its scopes and times; another digest finds nothing."""
    assert await store.run(add, "shop", b"1", ("chat", "metrics"), 5.0)
    found = await store.read(find, b"1")
    assert found is not None
    assert (found.name, found.scopes, found.created_at, found.used_at) == ("shop", ("chat", "metrics"), 5.0, None)
    assert await store.read(find, b"2") is None
    await store.run(note_use, b"1", 6.0)
    assert [key.used_at for key in await store.read(listed)] == [6.0]


async def test_a_revoked_key_is_not_found(store: Store) -> None:
    """It stays in the list, and its name may be given to a new key, but not to two."""
    await store.run(add, "shop", b"1", ("chat",), 5.0)
    assert await store.run(revoke, "shop", 6.0)
    assert not await store.run(revoke, "shop", 7.0)
    assert await store.read(find, b"1") is None
    assert await store.run(add, "shop", b"2", ("chat",), 8.0)
    assert not await store.run(add, "shop", b"3", ("chat",), 8.0)
    assert [(key.name, key.revoked_at) for key in await store.read(listed)] == [("shop", 6.0), ("shop", None)]


async def test_a_restored_backup_revives_no_key(tmp_path: Path) -> None:
    """After a restore the keys are as they were right before it, and those of the backup that were not there stay."""
    database, backup = tmp_path / "parley.db", tmp_path / "backup.db"
    async with open_store(f"sqlite:///{database}") as store:
        for name, digest in (("lost", b"1"), ("kept", b"2")):
            await store.run(add, name, digest, ("chat",), 1.0)
        backups.back_up(database, backup)
        await store.run(revoke, "lost", 2.0)
        await store.run(add, "new", b"3", ("metrics",), 3.0)
    backups.restore(database, backup, "20260101T000000Z")
    async with open_store(f"sqlite:///{database}") as store:
        assert await store.read(find, b"1") is None
        assert {key.name for key in await store.read(listed) if key.revoked_at is None} == {"kept", "new"}


def test_of_two_keys_with_one_name_the_present_one_stays() -> None:
    """The backup of another database may have a key of the same name."""
    present, restored = sa.create_engine("sqlite://"), sa.create_engine("sqlite://")
    with present.begin() as here, restored.begin() as there:
        migrate(here)
        migrate(there)
        add(here, "shop", b"1", ("chat",), 1.0)
        add(there, "shop", b"2", ("chat",), 1.0)
        add(there, "other", b"3", ("chat",), 1.0)
        carry_over(here, there)
        assert find(there, b"1")
        assert find(there, b"2") is None
        assert find(there, b"3")
