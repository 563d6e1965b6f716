import re
import tomllib
from pathlib import Path
from string import Formatter

import pytest

import core
from core.i18n import LOCALES, say
from core.language import language_of
from core.messages import Locale

FILES = Path(core.__file__).parent / "locales"


def _sentences(locale: Locale) -> dict[str, str]:
    sections = tomllib.loads((FILES / f"{locale}.toml").read_text("utf-8"))
    return {f"{section}.{name}": text for section, words in sections.items() for name, text in words.items()}


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_language_has_a_file() -> None:
    """There is exactly one file of sentences for each locale."""
    assert {path.stem for path in FILES.glob("*.toml")} == set(LOCALES)


@pytest.mark.parametrize("locale", LOCALES)
def test_languages_say_the_same_things(locale: Locale) -> None:
    """Each language has the same sentences with the same placeholders, so no reply depends on the language."""
    english = {key: _placeholders(text) for key, text in _sentences("en").items()}
    assert {key: _placeholders(text) for key, text in _sentences(locale).items()} == english


@pytest.mark.parametrize("locale", LOCALES)
def test_every_sentence_can_be_said(locale: Locale) -> None:
    """Each sentence can be formatted with its values."""
    for key, text in _sentences(locale).items():
        said = say(locale, key, **dict.fromkeys(_placeholders(text), 7))
        assert said.strip()
        assert not set("{}") & set(said)


@pytest.mark.parametrize("locale", LOCALES)
def test_sentences_are_in_their_language(locale: Locale) -> None:
    """Every sentence is in its file's language."""
    for key, text in _sentences(locale).items():
        plain = Formatter().vformat(text, (), dict.fromkeys(_placeholders(text), ""))  # names of values are English
        assert language_of(plain) in {locale, None}, key


@pytest.mark.parametrize("locale", LOCALES)
def test_no_sentence_spells_a_command(locale: Locale) -> None:
    """Commands are named with the prefix of the platform; only the console, which has one, spells it out."""
    spelled = {key for key, text in _sentences(locale).items() if re.search(r"(?<![\w}])[/!][a-z]{2,}", text)}
    assert spelled == {"console.welcome"}


def test_unknown_sentence_is_an_error() -> None:
    """An unknown sentence raises an error."""
    with pytest.raises(KeyError):
        say("en", "refusal.unheard_of")
