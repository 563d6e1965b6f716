"""Sessions of operators end with their key, and are not restored."""

from pathlib import Path

from core.store import backups, installation, keys, open_store, sessions


async def test_a_restore_ends_all_sessions(tmp_path: Path) -> None:
    """After a restore no session is open, and the password is the one right before it, not that of the backup."""
    database, backup = tmp_path / "parley.db", tmp_path / "backup.db"
    async with open_store(f"sqlite:///{database}") as store:
        await store.run(installation.set_password, "old")
        await store.run(sessions.add, b"1", None, 1.0)
    backups.back_up(database, backup)
    async with open_store(f"sqlite:///{database}") as store:
        await store.run(installation.set_password, "new")
    backups.restore(database, backup, "now")
    async with open_store(f"sqlite:///{database}") as store:
        assert await store.read(installation.password) == "new"
        assert await store.read(sessions.find, b"1") is None


async def test_a_session_ends_with_its_key(tmp_path: Path) -> None:
    """It is found with the name of its key, until that is revoked; a new key of the name does not bring it back."""
    async with open_store(f"sqlite:///{tmp_path / 'parley.db'}") as store:
        await store.run(keys.add, "anna", b"k", ("admin",), 1.0)
        await store.run(sessions.add, b"1", "anna", 1.0)
        found = await store.read(sessions.find, b"1")
        assert found is not None
        assert found.key == "anna"
        await store.run(keys.revoke, "anna", 2.0)
        await store.run(keys.add, "anna", b"l", ("admin",), 3.0)
        assert await store.read(sessions.find, b"1") is None


async def test_old_sessions_are_deleted(tmp_path: Path) -> None:
    """Those that are too old or were unused for too long go, the others stay."""
    async with open_store(f"sqlite:///{tmp_path / 'parley.db'}") as store:
        for digest, at in ((b"old", 1.0), (b"unused", 5.0), (b"used", 5.0)):
            await store.run(sessions.add, digest, None, at)
        await store.run(sessions.note_use, b"used", 9.0)
        await store.run(sessions.purge, 4.0, 6.0)
        left = [digest for digest in (b"old", b"unused", b"used") if await store.read(sessions.find, digest)]
        assert left == [b"used"]
