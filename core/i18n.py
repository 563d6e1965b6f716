"""Which language a text is in, and the words for people in each language."""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import get_args

from core.messages import Locale

LOCALES: tuple[Locale, ...] = get_args(Locale)
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
LATIN = re.compile(r"[A-Za-z]+")


def language_of(text: str) -> Locale | None:
    """The language of a text: Chinese with at least as many Han characters as Latin words, None without either."""
    han, latin = len(HAN.findall(text)), len(LATIN.findall(text))
    if not han and not latin:
        return None
    return "zh" if han >= latin else "en"


def say(locale: Locale, key: str, /, **values: object) -> str:
    """The sentence `key` ("refusal.throttled") in `locale`, with its values filled in. KeyError for an unknown key."""
    section, _, name = key.partition(".")
    return _words(locale)[section][name].format(**values)


@cache
def _words(locale: Locale) -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files("core").joinpath(f"locales/{locale}.toml").read_text("utf-8"))
