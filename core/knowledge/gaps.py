"""Groups questions that ask alike, so that an operator reads each gap once."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import filterfalse

from core.knowledge.terms import folded, grams, is_function, words
from core.store.gaps import Missed

ALIKE = 0.5
"""Share of the terms of two questions together that both have, from which they count as one."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask alike; the first one stands for all."""

    questions: tuple[Missed, ...]


def grouped(questions: Iterable[Missed]) -> list[Gap]:
    """The gaps, those that were asked most first."""
    groups: list[tuple[frozenset[str], list[Missed]]] = []
    for question in questions:
        topics = _topics(question.text)
        near = next((group for known, group in groups if _likeness(topics, known) >= ALIKE), None)
        if near is None:
            groups.append((topics, [question]))
        else:
            near.append(question)
    return sorted((Gap(tuple(group)) for _, group in groups), key=lambda gap: -len(gap.questions))


def _topics(text: str) -> frozenset[str]:
    """Words that carry a topic and pieces of them; all words if none does."""
    plain = folded(text)
    found = words(plain)
    return frozenset([*filterfalse(is_function, found), *grams(plain)]) or frozenset(found)


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
