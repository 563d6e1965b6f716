"""What administrators teach the bot in the chat: it lists what was asked in vain, and learns an answer after a yes.

The number of a gap is the turn of one of its questions, so that it means the same at any time. What is learned is the
text of the command alone, with wordings of the administrator's own: a customer's words would outlive their /forget.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from core.commands import NUMBERED, TEACH, has_buttons, prefix_in
from core.errors import AnsweredAlready, EntryUnwritable, GapUnknown, KnowledgeUnusable, Misused, TooLong
from core.i18n import say
from core.knowledge.gaps import Gap, OpenGap, Searched, find_gap, open_gaps, search
from core.knowledge.teaching import FILE, Entry, check_entry, has_entry, write_entry
from core.knowledge.terms import folded
from core.language import language_of
from core.messages import Turn
from core.store import Store
from core.text import clean, shortened

MOST_GAPS = 10
"""Gaps in a list."""
MOST_WORDINGS = 8
"""Questions that are shown of a gap."""
LISTED_CHARACTERS, SHOWN_CHARACTERS = 100, 300
"""Characters of a question that a list and the gap itself show."""
MAX_CHARACTERS = 2_000
"""Longest entry. It is shown in one message, with buttons below it."""
EQUALS = re.compile("[=＝]")
BETWEEN_WORDINGS = re.compile("[|｜\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """What can be taught: the knowledge, and the folder that it is read from."""

    store: Store
    knowledge: Searched
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
    await _check_open(school, number)
    await asyncio.to_thread(check_entry, school.folder, entry)
    return say(
        turn.locale,
        "teach.asks" if has_buttons(turn.message.conversation) else "teach.asks_in_words",
        language=say(turn.locale, f"language.{entry.language}"),
        questions="\n".join(entry.questions),
        answer=entry.answer,
        file=FILE,
        command=f"{prefix_in(turn.message.conversation)}{TEACH.name} yes {number} …",
    )


async def _check_open(school: School, number: int) -> None:
    """Raises GapUnknown, and AnsweredAlready if somebody has answered the gap."""
    findings = await search(await _gap(school, number), school.knowledge)
    if findings.confident:
        raise AnsweredAlready(answer=findings.confident.passage.text)


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
    texts = dict.fromkeys(shortened(_in_a_line(question.text), SHOWN_CHARACTERS) for question in gap.questions)
    lines = "\n".join(list(texts)[:MOST_WORDINGS])
    return say(turn.locale, "teach.in_full", times=len(gap.questions), lines=lines, usage=usage)


def _in_a_line(text: str) -> str:
    return " ".join(clean(text).split())
