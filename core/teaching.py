"""What administrators teach the bot in the chat: it lists what was asked in vain, and learns an answer after a yes.

The number of a gap is the turn of one of its questions, so that it means the same at any time. What is learned is the
text of the command alone, with wordings of the administrator's own: a customer's words would outlive their /forget.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.commands import NUMBERED, TEACH, has_buttons, prefix_in
from core.errors import AnsweredAlready, EntryUnwritable, GapUnknown, KnowledgeUnusable, Misused, TooLong
from core.i18n import say
from core.knowledge.gaps import Gap, OpenGap, Searched, find_gap, open_gaps, search
from core.knowledge.passages import Passage
from core.knowledge.teaching import FILE, Entry, check_entry, has_entry, write_entry
from core.knowledge.terms import folded
from core.language import language_of
from core.messages import Turn
from core.store import Store
from core.store.gaps import Missed
from core.text import clean, shortened

MOST_GAPS = 10
"""Gaps in a list."""
MOST_WORDINGS = 8
"""Questions of a gap that are shown and tried."""
LISTED_CHARACTERS, SHOWN_CHARACTERS = 100, 300
"""Characters of a question that a list and the gap itself show."""
MAX_CHARACTERS = 2_000
"""Longest entry. It is shown in one message, with buttons below it."""
EQUALS = re.compile("[=＝]")
BETWEEN_WORDINGS = re.compile("[|｜\n]")


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


async def list_gaps(school: School, turn: Turn) -> str:
    """The questions without a good answer, those that were asked most first."""
    found = await open_gaps(school.store, school.knowledge, MOST_GAPS)
    if not found:
        return say(turn.locale, "teach.no_gaps")
    prefix = prefix_in(turn.message.conversation)
    lines = "\n".join(_line(turn, gap) for gap in found)
    return say(turn.locale, "teach.gaps", lines=lines, prefix=prefix, usage=TEACH.usage_with(prefix))


async def teach(school: School, turn: Turn, argument: str) -> str:
    """Show a gap, or the entry that would answer it and ask for a yes, or do what was answered. Raises Refusal."""
    called = NUMBERED.fullmatch(argument)
    usage = TEACH.usage_with(prefix_in(turn.message.conversation))
    if called is None:
        raise Misused(usage=usage)
    decision, number, text = (called[1] or "").lower(), int(called[2]), called[3] or ""
    if decision == "no":
        return say(turn.locale, "teach.kept")
    if not text:
        return _in_full(turn, await _gap(school, number), usage)
    entry = _entry(text, usage)
    try:
        if decision == "yes":
            return await _learn(school, turn, number, entry)
        return await _propose(school, turn, number, entry)
    except KnowledgeUnusable as error:
        raise EntryUnwritable(file=error.file, reason=error.reason) from error


async def _learn(school: School, turn: Turn, number: int, entry: Entry) -> str:
    """Write the entry. If a process was killed after it had, the next one finds the entry and says so."""
    if not await asyncio.to_thread(has_entry, school.folder, entry):
        await _check_open(school, number)
        await asyncio.to_thread(write_entry, school.folder, entry)
    return say(turn.locale, "teach.learned", question=entry.questions[0], file=FILE)


async def _propose(school: School, turn: Turn, number: int, entry: Entry) -> str:
    gap = await _check_open(school, number)
    await asyncio.to_thread(check_entry, school.folder, entry)
    return say(
        turn.locale,
        "teach.asks" if has_buttons(turn.message.conversation) else "teach.asks_in_words",
        language=say(turn.locale, f"language.{entry.language}"),
        questions="\n".join(entry.questions),
        answer=entry.answer,
        trial=await _trial(school, turn, gap, entry),
        file=FILE,
        command=f"{prefix_in(turn.message.conversation)}{TEACH.name} yes {number} …",
    )


async def _trial(school: School, turn: Turn, gap: Gap, entry: Entry) -> str:
    """How many questions of the gap would have an answer with the entry. What is worded too differently has none."""
    tried = await school.knowledge.with_passage(entry.passage)
    asked = _different(gap)
    missed = [
        question.text
        for question in asked
        if not (await tried.search(question.text, language=question.locale)).confident
    ]
    if not missed:
        return say(turn.locale, "teach.answers_all")
    words = shortened(_in_a_line(missed[0]), SHOWN_CHARACTERS)
    return say(turn.locale, "teach.misses", missed=len(missed), tried=len(asked), question=words)


async def _check_open(school: School, number: int) -> Gap:
    """The open gap. Raises GapUnknown, and AnsweredAlready if somebody has answered it."""
    gap = await _gap(school, number)
    findings = await search(gap, school.knowledge)
    if findings.confident:
        raise AnsweredAlready(answer=findings.confident.passage.text)
    return gap


async def _gap(school: School, number: int) -> Gap:
    gap = await find_gap(school.store, number)
    if gap is None:
        raise GapUnknown(number=number)
    return gap


def _entry(text: str, usage: str) -> Entry:
    """The entry in a text like "One wording? | Another one? = The answer". Raises Misused, TooLong."""
    asked, *said = EQUALS.split(text, maxsplit=1)
    wordings = (_in_a_line(wording) for wording in BETWEEN_WORDINGS.split(asked))
    questions = tuple({folded(wording): wording for wording in wordings if wording}.values())
    answer = clean("".join(said))
    if not questions or not answer:
        raise Misused(usage=usage)
    if (size := sum(map(len, questions)) + len(answer)) > MAX_CHARACTERS:
        raise TooLong(size=size, limit=MAX_CHARACTERS, unit="characters")
    language = language_of("\n".join(questions)) or language_of(answer) or "en"
    return Entry(language=language, questions=questions, answer=answer)


def _line(turn: Turn, found: OpenGap) -> str:
    first = found.gap.first
    return say(
        turn.locale,
        "teach.gap",
        number=first.turn_id,
        times=len(found.gap.questions),
        language=say(turn.locale, f"language.{first.locale}"),
        question=shortened(_in_a_line(first.text), LISTED_CHARACTERS),
    )


def _in_full(turn: Turn, gap: Gap, usage: str) -> str:
    """The different questions of a gap, and how to answer it."""
    lines = "\n".join(shortened(_in_a_line(question.text), SHOWN_CHARACTERS) for question in _different(gap))
    return say(turn.locale, "teach.in_full", times=len(gap.questions), lines=lines, usage=usage)


def _different(gap: Gap) -> list[Missed]:
    """The questions of a gap that differ in their words, the latest first, but not all of very many."""
    different: dict[str, Missed] = {}
    for question in gap.questions:
        different.setdefault(folded(question.text), question)
    return list(different.values())[:MOST_WORDINGS]


def _in_a_line(text: str) -> str:
    return " ".join(clean(text).split())
