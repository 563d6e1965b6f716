"""`parley password` sets and removes the password of operators."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import app
from bots.password import change_password, remove_password
from config.settings import Settings
from core.errors import PasswordRefused
from core.operators import MAX_BYTES, MIN_CHARACTERS, find_session, fits, is_open, open_session
from core.store import installation, open_store

PASSWORD = "correct horse battery"
OTHER = "another horse battery"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


async def test_a_password_is_changed_and_removed(settings: Settings) -> None:
    """The latest one fits, and none once it is removed; each change ends the sessions that there are."""
    for password in (PASSWORD, OTHER):
        await change_password(settings, password, io.StringIO())
    async with open_store(settings.store_url) as store:
        hashed = await store.read(installation.password)
        assert (fits(OTHER, hashed), fits(PASSWORD, hashed)) == (True, False)
        token = await store.run(open_session, None, bytes(32), 0.0)
    await remove_password(settings, io.StringIO())
    async with open_store(settings.store_url) as store:
        assert not await store.read(is_open)
        assert await store.read(find_session, token, 0.0) is None


async def test_no_password_is_stored(settings: Settings) -> None:
    """The database file holds an argon2id hash, and the password nowhere."""
    await change_password(settings, PASSWORD, io.StringIO())
    content = settings.store_path.read_bytes()
    assert PASSWORD.encode() not in content
    assert b"$argon2id$" in content


@pytest.mark.parametrize("password", ["", "x" * (MIN_CHARACTERS - 1), "x" * (MAX_BYTES + 1)])
async def test_a_poor_password_is_refused(settings: Settings, password: str) -> None:
    """One that is too short or too long changes nothing."""
    await change_password(settings, PASSWORD, io.StringIO())
    with pytest.raises(PasswordRefused):
        await change_password(settings, password, io.StringIO())
    async with open_store(settings.store_url) as store:
        assert fits(PASSWORD, await store.read(installation.password))


def test_the_command_reads_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal the password is the first line of the input; `--off` removes it."""
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["password"], input=f"{PASSWORD}\n")
    assert (ran.exit_code, "The password is set." in ran.stdout) == (0, True)
    assert PASSWORD not in ran.output
    assert "There is no password any more." in CliRunner().invoke(app, ["password", "--off"]).stdout
