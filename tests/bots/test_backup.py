import io
from pathlib import Path

import pytest

from bots.backup import back_up, restore
from bots.check import check_store
from config.load import load_settings
from config.settings import Settings
from core.errors import BackupRefused


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, empty_postgresql: str, tmp_path: Path) -> Settings:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PARLEY_STORE__URL", empty_postgresql)
    return load_settings(None)


def test_a_server_is_backed_up_by_its_own_tools(settings: Settings, tmp_path: Path) -> None:
    """`parley backup` and `parley restore` refuse a database that is no file, and name what does it."""
    for command in (back_up, restore):
        with pytest.raises(BackupRefused, match="pg_dump"):
            command(settings, tmp_path / "backup", io.StringIO())
    assert list(tmp_path.iterdir()) == []


def test_a_database_on_a_server_is_checked(settings: Settings) -> None:
    """`parley check` opens it, and names it without password and options."""
    assert check_store(settings) == settings.store_name
    assert settings.store_name.startswith("postgresql://")
    assert "search_path" not in settings.store_name
