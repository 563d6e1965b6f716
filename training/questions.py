"""Adds the questions of the chat dialogues to the mood seeds, because people ask a bot more than they tell it."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from core.messages import Label, Locale
from training.seeds import MoodSeeds, Seeds
from training.slots import slot_names

QUESTION: Mapping[Locale, re.Pattern[str]] = {
    "en": re.compile(
        r"\?$|^(what|how|when|where|who|which|why|can|could|do|does|is|are|will|may|tell|show|give|write|set|call|book"
        r"|play|open|please|explain|translate|recommend|list|export|switch)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        r"^(?!.*(怎么办|怎么这么|怎么老|还)).*([?？]$|吗|什么|怎么|谁|哪|几|多少|多久|^讲|^说|^帮|^请|^查)"
    ),
}
"""Questions and requests, by their wording. They count as neutral unless their dialogue has a mood."""
MOOD_SLOTS: Mapping[str, Label] = {f"{label}": label for label in Label}
"""Slots of dialogues that are filled with a mood sentence of the label they are named for."""


def with_questions(seeds: Seeds, language: Locale) -> MoodSeeds:
    """Mood seeds of one language plus the first questions of its dialogues (kind "question") and the slots they use."""
    entries: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for label, question in _labelled(seeds, language):
        entries[label, "question"].append(question)
    slots = {("any", name): values for name, values in seeds.slots.items()}
    return {**slots, **seeds.mood, **{heading: tuple(lines) for heading, lines in entries.items()}}


def _labelled(seeds: Seeds, language: Locale) -> Iterator[tuple[Label, str]]:
    """Questions with their dialogue's mood, or neutral. Leaves out remarks without a mood and uses of mood slots."""
    for block in seeds.blocks:
        for question in block.steps[0].questions:
            if slot_names(question) & MOOD_SLOTS.keys():
                continue
            if block.mood:
                yield block.mood, question
            elif QUESTION[language].search(question):
                yield Label.NEUTRAL, question
