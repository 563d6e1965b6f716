"""What must hold after any run: each message has one outcome, and the log tells of nobody's words."""

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, str, str]
"""A message: its platform, its chat, and its id there."""

BEGUN = re.compile(r"(?:\A|…)\s*\Z")
"""The end of a message whose answer has not been put into it. A stream of Slack begins empty."""
NUMBER = re.compile(r"\d+")
FAULTS = {"error", "critical"}
CUT = (
    *("Failed to receive or enqueue a message", "Failed to check the current session"),
    "Failed to run a request listener: Cannot write to closing transport",
)
"""What slack-sdk says of a connection that was cut, before it opens another one."""
OUTAGE = re.compile(
    r"Failed to (?:retrieve WSS URL|run message listeners):"
    r" The request to the Slack API failed\. \(url: \S+, status: 503\)"
)
"""What it says if Slack is down when it wants to open one; the listener that fails is its own."""
SHORT = 20
"""Characters of a text that may stand in a log by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of a person. One that `overtakes`, such as /stop, does not wait for the answers to earlier ones."""

    place: Place
    person: str
    overtakes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn of the store: the message that it answers, and the messages that show the reply. A `conversation` has one
    order.

    `is_pressed` is a further turn of a message, by a button: to answer again, or to confirm a command.
    """

    question: Place
    state: str
    reply: str
    shown_by: tuple[Place, ...]
    conversation: str = ""
    is_pressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Messages without an outcome or with two of them, messages of the bot that no turn knows, and bad lines of logs.

    Orphans are messages that were begun and left behind; what is doubled is an answer that is shown twice, and what is
    misplaced is a turn that was accepted or answered before an earlier one of its conversation.
    """

    lost: Sequence[Place]
    doubled: Sequence[Place]
    misplaced: Sequence[Place]
    orphans: Sequence[Place]
    faults: Sequence[str]
    words: Sequence[str]


def judge(
    said: Sequence[Said],
    turns: Sequence[Turn],
    shown: Mapping[Place, str],
    *,
    forgetful: frozenset[str] = frozenset(),
    log: str = "",
    words: Sequence[str] = (),
) -> Verdict:
    """Judge a run by what people `said`, the store's turns in the order of their ids, the messages `shown`, and the
    log, which must not hold any of the `words` nor a reply. The `forgetful` have taken back what they said, so their
    turns may be gone.
    """
    answered = Counter(turn.question for turn in turns if not turn.is_pressed)
    missing = [one.place for one in said if one.person not in forgetful and not answered[one.place]]
    silent = [turn.question for turn in turns if turn.state != "delivered" or not _is_shown(turn, shown)]
    claimed = Counter(place for turn in turns for place in turn.shown_by)
    taken_back = {(one.place[0], one.place[1]) for one in said if one.person in forgetful}
    unclaimed = [place for place in shown if place not in claimed and place[:2] not in taken_back]
    twice = [place for counted in (answered, claimed) for place, count in counted.items() if count > 1]
    lines = log.splitlines()
    return Verdict(
        lost=missing + silent,
        doubled=twice + [place for place in unclaimed if not BEGUN.search(shown[place])],
        misplaced=_misplaced(turns, {one.place for one in said if one.overtakes}),
        orphans=[place for place in unclaimed if BEGUN.search(shown[place])],
        faults=[line for line in lines if _is_fault(line)],
        words=_found([*words, *(turn.reply for turn in turns)], lines),
    )


def _misplaced(turns: Sequence[Turn], overtaking: Container[Place]) -> list[Place]:
    """The turns that are out of order. Slack sends again what was not acknowledged, so it keeps no order of its own.

    What is shown of the `overtaking` has no place among the answers; an edit may make a question of it.
    """
    latest: dict[tuple[str, str], float] = {}
    found = []
    for turn in turns:
        shown_by = () if turn.question in overtaking else turn.shown_by
        marks = {"reply": min((float(place[2]) for place in shown_by), default=None)}
        if turn.question[0] == "telegram" and turn.question[2].isdigit() and not turn.is_pressed:
            marks["question"] = float(turn.question[2])
        for kind, mark in marks.items():
            key = (turn.conversation, kind)
            if mark is not None and mark < latest.get(key, 0.0):
                found.append(turn.question)
            elif mark is not None:
                latest[key] = mark
    return found


def _is_shown(turn: Turn, shown: Mapping[Place, str]) -> bool:
    return all(place in shown and not BEGUN.fullmatch(shown[place]) for place in turn.shown_by)


def _is_fault(line: str) -> bool:
    """Whether a line tells of something unexpected, or is none of ours."""
    try:
        told = json.loads(line)
    except ValueError:
        return True
    event = str(told.get("event"))
    is_expected = event.startswith(CUT) or OUTAGE.match(event)
    return not is_expected and ("exception" in told or told.get("level") in FAULTS)


def _found(words: Iterable[str], lines: Iterable[str]) -> list[str]:
    """The words that stand in the lines. Lines that differ by numbers only are looked through once."""
    told = "\n".join({NUMBER.sub("0", line) for line in lines})
    return [word for word in words if len(word) > SHORT and NUMBER.sub("0", word) in told]
