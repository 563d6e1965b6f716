"""`parley store copy` names what it has copied, and no password."""

import getpass
import io
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.keys import add
from bots.moving import copy
from config.load import load_settings
from config.settings import Settings
from core.errors import ConfigError
from core.keys import Scope
from tests.postgresql import new_schema


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


async def test_the_configured_database_has_a_name(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`store.url` stands for the database of the settings, whose secret URL so stands in no command."""
    await add(settings, "shop", {Scope.CHAT}, 5.0, io.StringIO())
    with new_schema() as url:
        parsed = sa.make_url(url)
        login = parsed.set(username=parsed.username or getpass.getuser(), password=parsed.password or "s3cret")
        monkeypatch.setenv("PARLEY_STORE__URL", login.render_as_string(hide_password=False))
        configured, said = load_settings(None), io.StringIO()
        copy(configured, str(settings.store_path), "store.url", said)
        copy(configured, "store.url", f"sqlite:///{tmp_path}/back.db", said)
    lines = said.getvalue().splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("keys")] == [["keys", "1"], ["keys", "1"]]
    assert [line for line in lines if " is copied to " in line] == [
        f"{settings.store_path} is copied to {configured.store_name}: 2 rows, equal in both by count and digest",
        f"{configured.store_name} is copied to {tmp_path}/back.db: 2 rows, equal in both by count and digest",
    ]
    assert str(login.password) not in said.getvalue()


@pytest.mark.parametrize("address", ["mysql://ann:secret@host/parley", "postgresql://ann:secret@host"])
def test_an_address_that_is_none_is_not_quoted(settings: Settings, address: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigError, match="postgresql://USER") as raised:
        copy(settings, address, "to.db", io.StringIO())
    assert "secret" not in str(raised.value)
