"""The bot's own name in a message. It is left out, unless others are named in a row with it: "@parley, @ann: hello"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.i18n import say
from core.language import language_of

BETWEEN = re.compile(r"(?:[\s,;:&+/、，；：]|\b(?:and|or)\b|和|与|與|跟|及|或)*", re.IGNORECASE)
"""What may stand between the names of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name of somebody in a text, from `start` to `end`; `is_bot` if it is the bot's own."""

    start: int
    end: int
    is_bot: bool


def in_company(text: str, names: Iterable[Name]) -> frozenset[int]:
    """Where the own names of the bot start that stand in one row with the name of somebody else."""
    rows: list[list[Name]] = []
    for name in sorted(names, key=lambda name: name.start):
        if rows and BETWEEN.fullmatch(text, rows[-1][-1].end, name.start):
            rows[-1].append(name)
        else:
            rows.append([name])
    mixed = (row for row in rows if not all(name.is_bot for name in row))
    return frozenset(name.start for row in mixed for name in row if name.is_bot)


def you(text: str) -> str:
    """What stands for the own name of the bot, which means nothing to the model: "@you", in the language of a text."""
    return say(language_of(text) or "en", "parts.you")
