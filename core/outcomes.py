"""What became of people's questions in a span of time: the figures by which an operator judges the bot.

A case is what a person asks in a conversation until they have asked nothing for a day. It is resolved if its last
question was answered by the bot without a thumb down, and no person was asked. It is reopened if it begins within seven
days after the same person's last question there. Commands and words that are passed on in a hand-off are no questions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil
from statistics import median

from core.messages import ANSWERS, Source

CASE_PAUSE = 86_400.0
REOPENED_WITHIN = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question. `seconds` passed until its answer was ready; None if there is none yet. `is_answered` tells an
    answer from a refusal or an apology. `up` and `down` are the thumbs that the answer got.
    """

    person_id: int
    conversation: str
    at: float
    seconds: float | None
    source: Source | None
    is_answered: bool
    up: int
    down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A hand-off. `taken_at` is when a person took over; None if none has."""

    person_id: int
    conversation: str
    opened_at: float
    taken_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Seconds that people waited: the median and the 90th percentile; None if nobody did."""

    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Figures of a span. `unanswered` are questions that were refused, failed, or have no answer yet.

    `handed_over` are cases for which a person was asked, `first_answer` the wait for the answer to a case's first
    question, and `takeover` the wait for a person. `gaps` are questions without a good answer: refused, voted down, or
    the last one before a hand-off. `up` and `down` are thumbs by the source of the answer.
    """

    questions: int
    answers: Mapping[Source, int]
    unanswered: int
    cases: int
    resolved: int
    handed_over: int
    reopened: int
    gaps: int
    first_answer: Wait
    takeover: Wait
    up: Mapping[Source, int]
    down: Mapping[Source, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    questions: Sequence[Asked]
    before: float | None  # when the person asked the last question of their case before
    is_handed_over: bool

    @property
    def at(self) -> float:
        return self.questions[0].at

    @property
    def is_resolved(self) -> bool:
        last = self.questions[-1]
        return last.is_answered and not last.down and not self.is_handed_over

    @property
    def is_reopened(self) -> bool:
        return self.before is not None and self.at - self.before <= REOPENED_WITHIN


def outcomes(
    asked: Iterable[Asked], handed_over: Sequence[HandedOver], gaps: int, *, since: float, until: float
) -> Outcomes:
    """The figures of the cases that began, and of the questions that were asked, from `since` to before `until`.

    `asked` are in order of person, conversation and time, from REOPENED_WITHIN before `since` on. `handed_over` reach
    CASE_PAUSE beyond the last question.
    """
    questions: list[Asked] = []
    cases: list[_Case] = []
    for case in _cases(asked, handed_over):
        questions += [question for question in case.questions if since <= question.at < until]
        cases += [case] if since <= case.at < until else []
    opened = [one for one in handed_over if since <= one.opened_at < until]
    answered = [question for question in questions if question.is_answered]
    return Outcomes(
        questions=len(questions),
        answers=_by_source((question.source, 1) for question in answered),
        unanswered=len(questions) - len(answered),
        cases=len(cases),
        resolved=sum(case.is_resolved for case in cases),
        handed_over=sum(case.is_handed_over for case in cases),
        reopened=sum(case.is_reopened for case in cases),
        gaps=gaps,
        first_answer=wait_of([case.questions[0].seconds for case in cases if case.questions[0].is_answered]),
        takeover=wait_of([one.taken_at - one.opened_at for one in opened if one.taken_at is not None]),
        up=_by_source((question.source, question.up) for question in answered),
        down=_by_source((question.source, question.down) for question in answered),
    )


def _cases(asked: Iterable[Asked], handed_over: Sequence[HandedOver]) -> Iterator[_Case]:
    opened = {
        whose: [one.opened_at for one in theirs]
        for whose, theirs in groupby(sorted(handed_over, key=_whose), key=_whose)
    }
    for whose, theirs in groupby(asked, key=_whose):
        before = None
        for questions in _split(list(theirs)):
            begun, ended = questions[0].at, questions[-1].at + CASE_PAUSE
            is_handed_over = any(begun <= at < ended for at in opened.get(whose, ()))
            yield _Case(questions=questions, before=before, is_handed_over=is_handed_over)
            before = questions[-1].at


def _split(questions: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    """The questions of a person in a conversation, cut at the pauses."""
    cuts = [n for n, (one, next_) in enumerate(pairwise(questions), start=1) if next_.at - one.at >= CASE_PAUSE]
    for begin, end in pairwise([0, *cuts, len(questions)]):
        yield questions[begin:end]


def _whose(one: Asked | HandedOver) -> tuple[int, str]:
    return one.person_id, one.conversation


def _by_source(counted: Iterable[tuple[Source | None, int]]) -> Mapping[Source, int]:
    counts = {source: 0 for source in Source if source in ANSWERS}
    for source, count in counted:
        if source in counts:
            counts[source] += count
    return counts


def wait_of(seconds: Iterable[float | None]) -> Wait:
    """Never below 0, since the clock may have been set."""
    waited = sorted(max(one, 0.0) for one in seconds if one is not None)
    if not waited:
        return Wait(median=None, p90=None)
    return Wait(median=median(waited), p90=waited[ceil(0.9 * len(waited)) - 1])
