"""What the bot can be taught: questions without a good answer, and the entries that answer them.

The number of a gap is the turn of one of its questions, so that it means the same at any time. What is learned are
wordings of the teacher's own: a customer's words would outlive their /forget.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.errors import AnsweredAlready, EntryUnwritable, GapUnknown, KnowledgeUnusable, TooLong
from core.knowledge.gaps import Gap, OpenGap, Searched, find_gap, open_gaps, search
from core.knowledge.passages import Passage
from core.knowledge.teaching import Entry, check_entry, has_entry, write_entry
from core.knowledge.terms import folded
from core.language import language_of
from core.store import Store
from core.store.gaps import Missed
from core.text import clean

MOST_WORDINGS = 8
"""Questions of a gap that are shown and tried."""
MAX_CHARACTERS = 2_000
"""Longest entry. It is shown in one message, with buttons below it."""


class Teachable(Searched, Protocol):
    """Knowledge that can be tried with an entry more."""

    async def with_passage(self, passage: Passage) -> Searched:
        """What it would be if it had one passage more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """What can be taught: the knowledge, and the folder that it is read from."""

    store: Store
    knowledge: Teachable
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How an entry would do: how many questions of its gap were `tried`, and those that would have no answer still."""

    tried: int
    missed: tuple[str, ...]


def entry_of(wordings: Iterable[str], answer: str) -> Entry | None:
    """The entry that somebody has written; None if it lacks a question or the answer. Raises TooLong."""
    lines = (in_a_line(wording) for wording in wordings)
    questions = tuple({folded(line): line for line in lines if line}.values())
    said = clean(answer)
    if not questions or not said:
        return None
    if (size := sum(map(len, questions)) + len(said)) > MAX_CHARACTERS:
        raise TooLong(size=size, limit=MAX_CHARACTERS, unit="characters")
    language = language_of("\n".join(questions)) or language_of(said) or "en"
    return Entry(language=language, questions=questions, answer=said)


async def list_gaps(school: School, most: int) -> list[OpenGap]:
    """The gaps that are open, at most so many, those that were asked most first."""
    return await open_gaps(school.store, school.knowledge, most)


async def gap_of(school: School, number: int) -> Gap:
    """The gap with this number, open or not. Raises GapUnknown."""
    gap = await find_gap(school.store, number)
    if gap is None:
        raise GapUnknown(number=number)
    return gap


async def try_entry(school: School, number: int, entry: Entry) -> Trial:
    """Try an entry on the questions of an open gap. What is worded too differently has no answer with it.

    Raises GapUnknown, AnsweredAlready, EntryUnwritable.
    """
    gap = await _open_gap(school, number)
    try:
        await asyncio.to_thread(check_entry, school.folder, entry)
    except KnowledgeUnusable as error:
        raise EntryUnwritable(file=error.file, reason=error.reason) from error
    tried = await school.knowledge.with_passage(entry.passage)
    asked = different(gap)
    missed = [
        question.text
        for question in asked
        if not (await tried.search(question.text, language=question.locale)).confident
    ]
    return Trial(tried=len(asked), missed=tuple(missed))


async def learn(school: School, number: int, entry: Entry) -> None:
    """Write the entry. If a process was killed after it had, the next one finds the entry and does nothing.

    Raises GapUnknown, AnsweredAlready, EntryUnwritable.
    """
    try:
        if not await asyncio.to_thread(has_entry, school.folder, entry):
            await _open_gap(school, number)
            await asyncio.to_thread(write_entry, school.folder, entry)
    except KnowledgeUnusable as error:
        raise EntryUnwritable(file=error.file, reason=error.reason) from error


def different(gap: Gap) -> list[Missed]:
    """The questions of a gap that differ in their words, the latest first, but not all of very many."""
    found: dict[str, Missed] = {}
    for question in gap.questions:
        found.setdefault(folded(question.text), question)
    return list(found.values())[:MOST_WORDINGS]


def in_a_line(text: str) -> str:
    """The text without control characters and line breaks."""
    return " ".join(clean(text).split())


async def _open_gap(school: School, number: int) -> Gap:
    """Raises GapUnknown, and AnsweredAlready if somebody has answered it."""
    gap = await gap_of(school, number)
    findings = await search(gap, school.knowledge)
    if findings.confident:
        raise AnsweredAlready(answer=findings.confident.passage.text)
    return gap
