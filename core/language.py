"""Which language a person is spoken to in.

There are two answers. The model replies in the language of the message at hand. The bot's own words, such as refusals
and button labels, follow a person's sentences more slowly, so that one foreign sentence does not switch them.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from core.i18n import LOCALES
from core.messages import Locale, Turn

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")
NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|(?<!\w)\w++://\S+|(?<![\w.+-])[\w.+-]++@[\w-]++\.\w[\w.]*|[@#/]\w+", re.DOTALL
)
"""Code, links, e-mail addresses, mentions, tags and commands are written the same in every language."""
SHARED_WORDS = frozenset({"ok", "okay", "oke", "k", "kk", "lol", "omg", "thx", "pls"})
"""Latin words that people type in any language. Laughter ("haha", "hehe") is matched by `LAUGHTER`."""
LAUGHTER = re.compile(r"(?:ha|he|hi|xi){2,}h?|x+d+", re.IGNORECASE)
INTERJECTIONS = SHARED_WORDS | {
    *("hi", "hey", "hello", "bye", "thank", "you", "thanks", "please", "sorry", "yes", "yeah", "yep", "no", "nope"),
    *("oh", "ah", "eh", "hm", "hmm", "mhm", "uh", "um", "wow", "cool", "nice", "great", "good", "morning", "night"),
}
"""English words that people begin with in any language. They do not tell which one a person speaks."""
FEWEST_WORDS = 2
"""A single Latin word may be a name or a product in a text of any language."""
SENTENCES_TO_SWITCH = 2
"""Consecutive sentences in another language after which the bot's own words follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """What is known about a person's languages.

    `chosen` was set with /lang, `spoken` is that of their sentences, `hint` comes from the platform. `straying` counts
    the consecutive sentences in a language other than `spoken`.
    """

    chosen: Locale | None = None
    spoken: Locale | None = None
    straying: int = 0
    hint: Locale | None = None

    def after(self, text: str) -> Self:
        """What is known once the person has written `text`. Text of no language, such as "oh wow", changes nothing."""
        language = language_of(text)
        if language is None or (language == "en" and _is_interjection(text)):
            return self
        straying = 0 if language == self.spoken else self.straying + 1
        if self.spoken is None or straying == SENTENCES_TO_SWITCH:
            return replace(self, spoken=language, straying=0)
        return replace(self, straying=straying)

    def own_words(self, configured: Locale | None) -> Locale:
        """The language of the bot's own words: the person's choice, else the `configured` one, else theirs."""
        return self.chosen or configured or self.spoken or self.hint or "en"


def reply_language(turn: Turn) -> Locale:
    """The language in which the model replies to a turn: the person's choice, else that of the message."""
    return turn.chosen_language or language_of(turn.message.text) or turn.locale


def language_of(text: str) -> Locale | None:
    """The language of a text: Chinese if it has at least as many Han characters as Latin words; None if unclear."""
    prose = NOT_PROSE.sub(" ", text)
    han = len(HAN.findall(prose))
    latin = sum(not _is_shared(word) for word in WORD.findall(prose))
    if han and han >= latin:
        return "zh"
    return "en" if latin >= FEWEST_WORDS else None


def locale_of_tag(tag: str | None) -> Locale | None:
    """The locale for a platform's language tag ("zh-hans", "en_GB.UTF-8"); None for other languages or none."""
    primary = re.split(r"[-_.]", (tag or "").lower(), maxsplit=1)[0]
    return next((locale for locale in LOCALES if locale == primary), None)


def _is_interjection(text: str) -> bool:
    return all(word.lower() in INTERJECTIONS or _is_shared(word) for word in WORD.findall(NOT_PROSE.sub(" ", text)))


def _is_shared(word: str) -> bool:
    return word.lower() in SHARED_WORDS or LAUGHTER.fullmatch(word) is not None
