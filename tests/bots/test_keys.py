"""`parley key` makes, lists and revokes keys."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import app
from bots.keys import add, list_keys, revoke
from config.settings import Settings
from core.errors import ConfigError, KeyRefused
from core.keys import Scope, find_key
from core.store import open_store

DAY = 86_400.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


async def scopes_of(settings: Settings, key: str) -> frozenset[Scope] | None:
    async with open_store(settings.store_url) as store:
        found = await store.run(find_key, key, 2 * DAY)
    return found.scopes if found else None


async def test_a_key_lives_from_add_to_revoke(settings: Settings) -> None:
    """`add` prints nothing but the key, `list` everything but the key, and a revoked one is still listed."""
    added, told = io.StringIO(), io.StringIO()
    await add(settings, "shop", {Scope.METRICS, Scope.CHAT}, DAY, added)
    key = added.getvalue().strip()
    assert await scopes_of(settings, key) == frozenset({Scope.METRICS, Scope.CHAT})
    await list_keys(settings, told)
    await revoke(settings, "shop", 3 * DAY, told)
    await list_keys(settings, told)
    assert await scopes_of(settings, key) is None
    known = "shop: chat, metrics; created 1970-01-02 00:00 UTC, used 1970-01-03 00:00 UTC"
    assert told.getvalue().splitlines() == [known, "shop is revoked", f"{known}, revoked 1970-01-04 00:00 UTC"]


async def test_each_key_is_another_one(settings: Settings) -> None:
    """Keys are random, and long enough for an URL-safe 32 bytes."""
    added = io.StringIO()
    for name in ("one", "two"):
        await add(settings, name, {Scope.CHAT}, DAY, added)
    one, two = added.getvalue().split()
    assert one != two
    assert len(one) == len("parley_") + 43


async def test_what_is_not_there_is_not_revoked(settings: Settings) -> None:
    """No store is created by a command that only reads or revokes."""
    for command in (list_keys(settings, io.StringIO()), revoke(settings, "shop", DAY, io.StringIO())):
        with pytest.raises(ConfigError):
            await command
    assert not settings.store_path.exists()
    await add(settings, "shop", {Scope.CHAT}, DAY, io.StringIO())
    with pytest.raises(KeyRefused):
        await revoke(settings, "other", DAY, io.StringIO())


def test_the_command_line_makes_a_key_for_chat(settings: Settings) -> None:
    """Without a scope a key opens the chat only; each scope that is named is one that it opens."""
    env = {"PARLEY_DATA_DIR": str(settings.data_dir)}
    for arguments in (["add", "a"], ["add", "b", "--scope", "metrics"], ["list"]):
        done = CliRunner().invoke(app, ["key", *arguments], env=env)
        assert done.exit_code == 0
    assert [line.split(";")[0] for line in done.output.splitlines()] == ["a: chat", "b: metrics"]
