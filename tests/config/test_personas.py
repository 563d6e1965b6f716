from pathlib import Path

import pytest

from config.personas import MAX_BYTES, load_persona
from core.errors import ConfigError

VALID = 'name = "Ada"\nen = "You are Ada."\nzh = "你是 Ada。"\n'


def _written(folder: Path, text: str) -> str:
    path = folder / "ada.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_shipped_persona() -> None:
    """The default persona has words in both languages."""
    persona = load_persona("parley")
    assert persona.name == "Parley"
    assert "You are Parley" in persona.system["en"]
    assert "你是 Parley" in persona.system["zh"]


def test_a_persona_from_a_file(tmp_path: Path) -> None:
    """A TOML file in the same form is a persona."""
    assert load_persona(_written(tmp_path, VALID)).system == {"en": "You are Ada.", "zh": "你是 Ada。"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('name = "Ada"\nen = "You are Ada."', "zh: Field required"),
        ('name = "Ada"\nzh = "你是 Ada。"', "en: Field required"),
        (VALID + 'fr = "Tu es Ada."', "fr: Extra inputs"),
        (VALID.replace("You are Ada.", "  "), "en: "),
        (VALID.replace("You are Ada.", "x" * 4001), "en: "),
        (VALID + "#" * MAX_BYTES, "is larger than"),
        ("name =", "Invalid value"),
    ],
)
def test_an_invalid_persona_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """A persona that lacks a language, is too long or has an unknown key raises ConfigError."""
    with pytest.raises(ConfigError, match=r"^chat\.persona: ") as refused:
        load_persona(_written(tmp_path, text))
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    "name", ["unheard_of", "../personas/parley", "/nowhere/ada.toml", "~nobody-at-all/ada.toml", "a b"]
)
def test_a_missing_persona_is_refused(name: str) -> None:
    """A name without a file raises ConfigError, and so does a name that leads to another folder."""
    with pytest.raises(ConfigError, match=r"^chat\.persona: "):
        load_persona(name)


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefgh12345678",
        "xoxb-1234567890-abc",
        "xapp-1-A0000-1234",
        "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhhIIi",
        "hf_abcdefghijklmnopqrstuv",
        "ghp_abcdefghijklmnopqrstuv",
        "AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_in_a_persona_is_refused(tmp_path: Path, secret: str) -> None:
    """A persona is public, so text that looks like a key raises ConfigError, which does not repeat it."""
    with pytest.raises(ConfigError, match="looks like a secret") as refused:
        load_persona(_written(tmp_path, VALID.replace("You are Ada.", f"You are Ada. The key is {secret}.")))
    assert secret not in str(refused.value)
