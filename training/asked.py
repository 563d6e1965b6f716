"""What people ask the bot, as mood entries: questions feel neutral, flagged ones as flagged."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from core.messages import Label, Locale
from training.seeds import MoodSeeds, Seeds

ASKS: Mapping[Locale, re.Pattern[str]] = {
    "en": re.compile(
        r"\?$|^(what|how|when|where|who|which|why|can|could|do|does|is|are|will|may|tell|show|give|write|set|call|book"
        r"|play|open|please|explain|translate|recommend|list|export|switch)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        r"^(?!.*(怎么办|怎么这么|怎么老|还)).*([?？]$|吗|什么|怎么|谁|哪|几|多少|多久|^讲|^说|^帮|^请|^查)"
    ),
}
FELT: Mapping[str, Label] = {f"{label}": label for label in Label}
"""Slots of dialogues that are filled with what people say when they feel so."""


def with_asked(read: Seeds, language: Locale) -> MoodSeeds:
    """The mood seeds of a language with the first questions of its dialogues, and what their slots need."""
    entries: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for label, question in _labelled(read, language):
        entries[label, "asked"].append(question)
    slots = {("any", name): values for name, values in read.slots.items()}
    return {**slots, **read.mood, **{heading: tuple(lines) for heading, lines in entries.items()}}


def _labelled(read: Seeds, language: Locale) -> Iterator[tuple[Label, str]]:
    for block in read.blocks:
        for question in block.steps[0].questions:
            if any("{" + name + "}" in question for name in FELT):
                continue
            if block.mood:
                yield block.mood, question
            elif ASKS[language].search(question):
                yield Label.NEUTRAL, question
