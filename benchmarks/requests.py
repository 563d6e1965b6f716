"""What people ask for where replies repeat their prompt more or less, in both languages: the requests of `guesses`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from benchmarks.questions import MEASURED
from benchmarks.texts import PROSE
from core.knowledge.index import build_index
from core.knowledge.searching import search
from core.messages import Locale, Quote, Relation
from core.parts import quoted
from core.stages.knowledge import GROUNDS
from training.faqs import read_faq
from training.knowledge import MEASURED as BUSINESSES
from training.sample import LANGUAGES

TASKS: Final[Mapping[Locale, Sequence[str]]] = {
    "en": (
        "Correct the spelling mistakes in this text and send me the whole text:",
        "Make this text sound friendlier, and keep what it says:",
        "Summarise this text in two sentences:",
    ),
    "zh": (
        "请改正下面这段话里的错别字，并把全文发给我：",
        "请把下面这段话改得更亲切一些，意思不变：",
        "请用两句话概括下面这段话：",
    ),
}
PARAGRAPHS: Final = 2
"""Texts in each language, each of which has every task."""
SHORTEST_BYTES: Final = 400
"""Of these texts, in UTF-8."""
QUESTIONS: Final = 4
"""Questions to each business in each language."""
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "topic": {"type": "string", "maxLength": 80},
        "mood": {"enum": ["positive", "neutral", "negative"]},
        "words_of_the_person": {"type": "string", "maxLength": 200},
        "urgent": {"type": "boolean"},
    },
    "required": ["topic", "mood", "words_of_the_person", "urgent"],
    "additionalProperties": False,
}
"""Of the replies of the kind `json`."""


class Kind(StrEnum):
    """What people ask for."""

    FAQ = "faq"
    REWRITE = "rewrite"
    CHAT = "chat"
    JSON = "json"


def requests(kind: Kind) -> list[str]:
    """Messages as the model gets them."""
    return list(REQUESTS[kind]())


def _questions() -> Iterator[str]:
    """Questions that the model answers from passages, after those, evenly spaced."""
    for language in LANGUAGES:
        for name in ("shop", "hotel"):
            faq = read_faq(*BUSINESSES[name], language)
            index = build_index(faq.passages, None, version="")
            found = [search(index, None, asked.text, language=language) for asked in faq.asked]
            grounded = [one for one in found if one.grounds and not one.confident]
            for one in grounded[:: len(grounded) // QUESTIONS][:QUESTIONS]:
                passages = reversed(one.grounds[:GROUNDS])
                quotes = [Quote(relation=Relation.KNOWN, text=match.passage.text) for match in passages]
                yield "\n\n".join([*quoted(quotes, language), one.question])


def _tasks() -> Iterator[str]:
    for language in LANGUAGES:
        paragraphs = (PROSE / f"{language}.txt").read_text("utf-8").split("\n\n")
        long = [text for text in paragraphs if len(text.encode()) >= SHORTEST_BYTES]
        for text in long[:PARAGRAPHS]:
            yield from (f"{task}\n\n{text}" for task in TASKS[language])


REQUESTS: Final[Mapping[Kind, Callable[[], Iterator[str]]]] = {
    Kind.FAQ: _questions,
    Kind.REWRITE: _tasks,
    Kind.CHAT: lambda: iter(MEASURED),
    Kind.JSON: lambda: iter(MEASURED),
}
