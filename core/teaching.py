"""What administrators teach the bot in the chat: it lists what was asked in vain, and learns an answer after a yes."""

import re

from core import school
from core.commands import NUMBERED, TEACH, has_buttons, prefix_in
from core.errors import Misused
from core.i18n import say
from core.knowledge.gaps import Gap, OpenGap
from core.knowledge.teaching import FILE, Entry
from core.messages import Turn
from core.school import School, Trial, different, in_a_line
from core.text import shortened

MOST_GAPS = 10
"""Gaps in a list."""
LISTED_CHARACTERS, SHOWN_CHARACTERS = 100, 300
"""Characters of a question that a list and the gap itself show."""
EQUALS = re.compile("[=＝]")
BETWEEN_WORDINGS = re.compile("[|｜\n]")


async def list_gaps(taught: School, turn: Turn) -> str:
    """The questions without a good answer, those that were asked most first."""
    found = await school.list_gaps(taught, MOST_GAPS)
    if not found:
        return say(turn.locale, "teach.no_gaps")
    prefix = prefix_in(turn.message.conversation)
    lines = "\n".join(_line(turn, gap) for gap in found)
    return say(turn.locale, "teach.gaps", lines=lines, prefix=prefix, usage=TEACH.usage_with(prefix))


async def teach(taught: School, turn: Turn, argument: str) -> str:
    """Show a gap, or the entry that would answer it and ask for a yes, or do what was answered. Raises Refusal."""
    called = NUMBERED.fullmatch(argument)
    usage = TEACH.usage_with(prefix_in(turn.message.conversation))
    if called is None:
        raise Misused(usage=usage)
    decision, number, text = (called[1] or "").lower(), int(called[2]), called[3] or ""
    if decision == "no":
        return say(turn.locale, "teach.kept")
    if not text:
        return _in_full(turn, await school.gap_of(taught, number), usage)
    entry = _entry(text)
    if entry is None:
        raise Misused(usage=usage)
    if decision == "yes":
        await school.learn(taught, number, entry)
        return say(turn.locale, "teach.learned", question=entry.questions[0], file=FILE)
    return _proposed(turn, number, entry, await school.try_entry(taught, number, entry))


def _proposed(turn: Turn, number: int, entry: Entry, trial: Trial) -> str:
    return say(
        turn.locale,
        "teach.asks" if has_buttons(turn.message.conversation) else "teach.asks_in_words",
        language=say(turn.locale, f"language.{entry.language}"),
        questions="\n".join(entry.questions),
        answer=entry.answer,
        trial=_judged(turn, trial),
        file=FILE,
        command=f"{prefix_in(turn.message.conversation)}{TEACH.name} yes {number} …",
    )


def _judged(turn: Turn, trial: Trial) -> str:
    if not trial.missed:
        return say(turn.locale, "teach.answers_all")
    words = shortened(in_a_line(trial.missed[0]), SHOWN_CHARACTERS)
    return say(turn.locale, "teach.misses", missed=len(trial.missed), tried=trial.tried, question=words)


def _entry(text: str) -> Entry | None:
    """The entry in a text like "One wording? | Another one? = The answer"; None if it is none. Raises TooLong."""
    asked, *said = EQUALS.split(text, maxsplit=1)
    return school.entry_of(BETWEEN_WORDINGS.split(asked), "".join(said))


def _line(turn: Turn, found: OpenGap) -> str:
    first = found.gap.first
    return say(
        turn.locale,
        "teach.gap",
        number=first.turn_id,
        times=len(found.gap.questions),
        language=say(turn.locale, f"language.{first.locale}"),
        question=shortened(in_a_line(first.text), LISTED_CHARACTERS),
    )


def _in_full(turn: Turn, gap: Gap, usage: str) -> str:
    """The different questions of a gap, and how to answer it."""
    lines = "\n".join(shortened(in_a_line(question.text), SHOWN_CHARACTERS) for question in different(gap))
    return say(turn.locale, "teach.in_full", times=len(gap.questions), lines=lines, usage=usage)
