from collections.abc import Sequence

import pytest

from core.messages import Source
from core.outcomes import CASE_PAUSE, REOPENED_WITHIN, Asked, HandedOver, Outcomes, Wait, outcomes

START = 1_000_000.0


def asked(
    at: float,
    *,
    person: int = 1,
    seconds: float | None = 3.0,
    source: Source = Source.MODEL,
    up: int = 0,
    down: int = 0,
) -> Asked:
    return Asked(
        person_id=person,
        conversation="c",
        at=START + at,
        seconds=seconds,
        source=source,
        is_answered=source is not Source.REFUSAL,
        up=up,
        down=down,
    )


def handed_over(at: float, *, taken_after: float | None = None, person: int = 1) -> HandedOver:
    opened_at = START + at
    taken_at = None if taken_after is None else opened_at + taken_after
    return HandedOver(person_id=person, conversation="c", opened_at=opened_at, taken_at=taken_at)


def measured(questions: Sequence[Asked], opened: Sequence[HandedOver] = (), *, until: float = 1e9) -> Outcomes:
    return outcomes(questions, opened, 0, since=START, until=START + until)


def test_a_pause_of_a_day_ends_a_case() -> None:
    """Questions less than a day apart are one case; each person has their own."""
    found = measured([asked(0), asked(CASE_PAUSE - 1), asked(3 * CASE_PAUSE), asked(0, person=2)])
    assert (found.cases, found.questions, found.resolved, found.reopened) == (3, 4, 3, 1)


@pytest.mark.parametrize(
    ("last", "is_resolved"),
    [
        (asked(9), True),
        (asked(9, source=Source.KNOWLEDGE, up=1), True),
        (asked(9, down=1), False),
        (asked(9, source=Source.REFUSAL), False),
    ],
)
def test_the_last_answer_decides_whether_a_case_is_resolved(last: Asked, *, is_resolved: bool) -> None:
    """A refusal in the middle is made good by a later answer; a thumb down at the end is not."""
    found = measured([asked(0), asked(5, source=Source.REFUSAL), last])
    assert found.resolved == is_resolved


@pytest.mark.parametrize(("at", "count"), [(-1, 0), (0, 1), (5 + CASE_PAUSE - 1, 1), (5 + CASE_PAUSE, 0)])
def test_a_case_is_handed_over_while_it_lasts(at: float, count: int) -> None:
    """A hand-off from the first question to a day after the last one belongs to the case, which is not resolved."""
    found = measured([asked(0), asked(5)], [handed_over(at), handed_over(0, person=2)])
    assert (found.handed_over, found.resolved) == (count, 1 - count)


@pytest.mark.parametrize(("pause", "count"), [(REOPENED_WITHIN, 1), (REOPENED_WITHIN + 1, 0)])
def test_a_case_soon_after_another_one_is_reopened(pause: float, count: int) -> None:
    """Seven days count from the last question before, also if that was asked before the span."""
    assert measured([asked(-1), asked(-1 + pause)]).reopened == count


def test_only_the_span_counts() -> None:
    """Cases that began before it do not count, nor do questions before or after it."""
    found = measured([asked(-5), asked(5), asked(CASE_PAUSE + 5), asked(CASE_PAUSE + 9)], until=CASE_PAUSE + 9)
    assert (found.cases, found.questions) == (1, 2)


def test_waits_are_those_of_first_answers_and_of_people() -> None:
    """Questions without an answer have no wait, and a clock that was set back gives none below 0."""
    waits: list[float | None] = [1.0, 2.0, 3.0, 40.0, -5.0, None]
    questions = [asked(0, person=number, seconds=wait) for number, wait in enumerate(waits)]
    questions.insert(1, asked(1, person=0, seconds=900.0))
    opened = [handed_over(0, taken_after=60.0), handed_over(0, person=2)]
    found = measured(questions, opened)
    assert found.first_answer == Wait(median=2.0, p90=40.0)
    assert found.takeover == Wait(median=60.0, p90=60.0)
    assert measured([]).first_answer == Wait(median=None, p90=None)


def test_answers_and_thumbs_count_by_source() -> None:
    """Each kind of answer has its number and its thumbs; a refusal is no answer."""
    found = measured(
        [asked(0, up=2), asked(1, source=Source.CACHE, down=1), asked(2, source=Source.REFUSAL), asked(3, up=1)]
    )
    assert found.answers == {Source.MODEL: 2, Source.CACHE: 1, Source.KNOWLEDGE: 0}
    assert (found.up[Source.MODEL], found.down[Source.CACHE], found.unanswered) == (3, 1, 1)
