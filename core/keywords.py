"""The keywords of a message: the words and short phrases in it that say what it is about, for a search or a hand-off.

A model writes them, and only what stands in the message is kept, so that a message can make it say nothing else. No
stage reads them: they cost a short reply for each message.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from cachetools import LRUCache

from core.engine.protocol import Engine
from core.i18n import LOCALES
from core.language import HAN, language_of
from core.messages import Locale
from core.prompt import ChatMessage, Prompt, by_examples
from core.text import digest

MAX_KEYWORDS = 5
MAX_WORDS = 4
"""The longest phrase, where two Han characters count as a word: a longer one is a sentence."""
MAX_TOKENS = 32
OWNER = "keywords"
"""The user of all prompts: they share the examples in the model server's prefix cache."""
SEPARATORS = re.compile(r"[,;，、；\n]+")
MARKS = " .!?:\"'()[]。！？：“”‘’（）【】《》"
"""What is not part of a keyword at its ends."""
_UNSPACED = HAN.pattern[1:-1]
_SPACED = rf"[^\W{_UNSPACED}]"
"""A letter or digit other than a Han character; those are written without spaces."""
WORD = re.compile(rf"[{_UNSPACED}]{{1,2}}|{_SPACED}+")


@cache
def keyword_prompts() -> Mapping[Locale, Prompt]:
    """The instruction and the examples that ask for the keywords of a text, by language."""
    tables = tomllib.loads(resources.files("core").joinpath("prompts/keywords.toml").read_text("utf-8"))
    return {locale: by_examples(tables[locale]["system"], tables[locale]["examples"]) for locale in LOCALES}


class KeywordReader:
    """Finds keywords with a model. The last `size` texts are cached by their digest."""

    def __init__(self, engine: Engine, *, size: int = 4096) -> None:
        self._engine = engine
        self._cache: LRUCache[bytes, tuple[str, ...]] = LRUCache(size)

    async def read(self, text: str, locale: Locale) -> tuple[str, ...]:
        """The keywords of a text; `locale` is the language of the prompt if the text has none."""
        language = language_of(text) or locale
        key = digest(f"{language} {text}")
        if key not in self._cache:
            self._cache[key] = keywords_in(text, await self._written(text, language))
        return self._cache[key]

    async def _written(self, text: str, language: Locale) -> str:
        prompt = (*keyword_prompts()[language], ChatMessage(role="user", content=text))
        async with self._engine.stream(prompt, max_tokens=MAX_TOKENS, temperature=0.0, user=OWNER) as pieces:
            return "".join([piece.text async for piece in pieces])


def keywords_in(text: str, written: str) -> tuple[str, ...]:
    """The keywords of a written list that stand word for word in the text, in the text's spelling, without repeats."""
    return tuple(dict.fromkeys(_found(text, written)))[:MAX_KEYWORDS]


def _found(text: str, written: str) -> Iterator[str]:
    for part in SEPARATORS.split(written):
        phrase = part.strip(MARKS)
        if 0 < len(WORD.findall(phrase)) <= MAX_WORDS and (match := _whole(phrase).search(text)):
            yield match[0]


def _whole(phrase: str) -> re.Pattern[str]:
    """Finds a phrase in any letter case; Latin words must be whole."""
    before = rf"(?<!{_SPACED})" if re.match(_SPACED, phrase) else ""
    after = rf"(?!{_SPACED})" if re.search(rf"{_SPACED}\Z", phrase) else ""
    return re.compile(before + re.escape(phrase) + after, re.IGNORECASE)
