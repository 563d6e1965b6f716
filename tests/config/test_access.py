"""Entries of the access lists, from the settings."""

import json
from pathlib import Path

import pytest

from config.load import load_settings
from config.settings import Settings
from core.errors import ConfigError

PEOPLE = ["telegram:1", "telegram:987654321", "slack:U0123ABCD", "slack:W0123ABCD", "console:ann"]
PLACES = ["telegram:chat:-100", "telegram:chat:-1001234567890", "slack:channel:C0123ABCD", "slack:channel:G01"]
PLATFORMS = ["telegram:*", "slack:*", "console:*"]


def load(option: str, entries: object) -> Settings:
    path = Path("written.toml")
    path.write_text(f"[access]\n{option} = {json.dumps(entries)}", "utf-8")
    return load_settings(path)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_people_places_and_platforms_are_allowed() -> None:
    """All forms of entries are accepted in `allow`, and people in `admins`."""
    every = [*PEOPLE, *PLACES, *PLATFORMS]
    assert load("allow", every).access.allow == tuple(every)
    assert load("admins", PEOPLE).access.admins == tuple(PEOPLE)


@pytest.mark.parametrize(
    "entry",
    [
        "987654321",
        "@ann",
        "telegram:@ann",
        "telegram:-100123",
        "telegram:0",
        "telegram:chat:ann",
        "telegram:channel:-100123",
        "telegram:1 ",
        "telegramm:1",
        "Telegram:1",
        "telegram",
        "telegram:",
        "slack:u0123abcd",
        "slack:ann",
        "slack:C0123ABCD",
        "slack:channel:general",
        "slack:channel:#general",
        "slack:channel:U0123ABCD",
        "slack:chat:C0123ABCD",
        "*",
        "*:*",
        "",
    ],
)
def test_an_entry_of_no_known_form_is_named(entry: str) -> None:
    """An entry of another form is refused, in one line that names the entry and the known forms."""
    with pytest.raises(ConfigError, match=r"^access\.allow: ") as refused:
        load("allow", ["telegram:1", entry])
    assert f"'{entry}' should be like telegram:123456789, " in refused.value.reason
    for form in ("telegram:chat:-1001234567890", "slack:channel:C0123ABCD", "telegram:*", "slack:U0123ABCD"):
        assert form in refused.value.reason
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("entry", ["telegram:*", "slack:*", *PLACES])
def test_an_admin_is_one_person(entry: str) -> None:
    """Neither a platform nor a place is an administrator."""
    with pytest.raises(ConfigError, match=r"^access\.admins: .* should be like telegram:123456789, slack:U0123ABCD"):
        load("admins", [entry])


def test_an_entry_in_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong entry in the environment is reported under the name of the variable."""
    monkeypatch.setenv("PARLEY_ACCESS__ALLOW", "telegram:1, slack:general")
    with pytest.raises(ConfigError, match=r"^PARLEY_ACCESS__ALLOW: 'slack:general' should be like"):
        load_settings()
