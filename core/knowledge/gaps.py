"""Groups questions that ask alike, so that an operator reads each gap once, and finds those that are still open."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import filterfalse
from typing import Protocol

from core.knowledge.passages import Findings
from core.knowledge.terms import folded, grams, is_function, words
from core.messages import Locale
from core.store import Store
from core.store.gaps import Missed, missed

ALIKE = 0.5
"""Share of the terms of two questions together that both have, from which they count as one."""
MOST_QUESTIONS = 2_000
"""Questions, the latest, in which gaps are looked for."""


class Searched(Protocol):
    """Knowledge, as far as this module needs it."""

    async def search(self, question: str, *, language: Locale) -> Findings:
        """What is known about a question."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask alike; the first one, which is the latest, stands for all."""

    questions: tuple[Missed, ...]

    @property
    def first(self) -> Missed:
        return self.questions[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGap:
    """A gap that the knowledge does not answer, and what is nearest to it."""

    gap: Gap
    findings: Findings


async def open_gaps(store: Store, knowledge: Searched, most: int) -> list[OpenGap]:
    """The gaps that the knowledge does not answer, at most so many, those that were asked most first."""
    found: list[OpenGap] = []
    for gap in await _all_gaps(store):
        if len(found) == most:
            break
        findings = await search(gap, knowledge)
        if not findings.confident:
            found.append(OpenGap(gap=gap, findings=findings))
    return found


async def find_gap(store: Store, turn_id: int) -> Gap | None:
    """The gap to which the question of a turn belongs; None if that is no question without a good answer."""
    gaps = await _all_gaps(store)
    return next((gap for gap in gaps if any(question.turn_id == turn_id for question in gap.questions)), None)


async def search(gap: Gap, knowledge: Searched) -> Findings:
    """What is known about a gap. It is closed if that is confident."""
    return await knowledge.search(gap.first.text, language=gap.first.locale)


async def _all_gaps(store: Store) -> list[Gap]:
    return await asyncio.to_thread(grouped, await store.read(missed, MOST_QUESTIONS))


def grouped(questions: Iterable[Missed]) -> list[Gap]:
    """The gaps, those that were asked most first."""
    numbers: dict[str, int] = {}
    groups: list[tuple[int, list[Missed]]] = []
    for question in questions:
        topics = _bits(_topics(question.text), numbers)
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


def _bits(terms: Iterable[str], numbers: dict[str, int]) -> int:
    """The terms as a set of bits, which are compared ten times as fast. New terms are added to the `numbers`."""
    return sum(1 << numbers.setdefault(term, len(numbers)) for term in terms)


def _likeness(one: int, other: int) -> float:
    return (one & other).bit_count() / ((one | other).bit_count() or 1)
