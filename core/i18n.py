"""The bot's own words in each language."""

import tomllib
from functools import cache
from importlib import resources
from typing import get_args

from core.messages import Locale

LOCALES: tuple[Locale, ...] = get_args(Locale)


def say(locale: Locale, key: str, /, **values: object) -> str:
    """The sentence `key` ("refusal.throttled") in a locale, with its placeholders filled. Raises KeyError."""
    section, _, name = key.partition(".")
    return _words(locale)[section][name].format(**values)


@cache
def _words(locale: Locale) -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files("core").joinpath(f"locales/{locale}.toml").read_text("utf-8"))
