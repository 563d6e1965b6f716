"""When people work, in their time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.hours import Hours, Span

WORKDAYS = Hours(spans=(Span.parse("mon-fri 09:00-17:30"),))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02 09:00", "2026-03-02 09:00"),  # a Monday
        ("2026-03-02 08:59", "2026-03-02 09:00"),
        ("2026-03-02 17:30", "2026-03-03 09:00"),
        ("2026-03-06 20:00", "2026-03-09 09:00"),
        ("2026-03-08 12:00", "2026-03-09 09:00"),
    ],
)
def test_the_next_opening(now: str, opens: str) -> None:
    """Within the hours it is now; otherwise the next begin, also after a weekend."""
    assert WORKDAYS.next_open(at(now)) == at(opens)


def test_without_spans_it_is_always_open() -> None:
    assert Hours().next_open(5.0) == 5.0


def test_hours_are_those_of_the_zone_in_summer_too() -> None:
    """Nine o'clock in Berlin is 8:00 UTC in winter and 7:00 in summer."""
    hours = Hours(spans=(Span.parse("mon-sun 09:00-24:00"),), zone=ZoneInfo("Europe/Berlin"))
    assert hours.next_open(at("2026-03-28 01:00")) == at("2026-03-28 08:00")
    assert hours.next_open(at("2026-03-29 01:30")) == at("2026-03-29 07:00")
    assert hours.next_open(at("2026-03-28 22:59")) == at("2026-03-28 22:59")
    assert hours.next_open(at("2026-03-28 23:00")) == at("2026-03-29 07:00")


def test_days_may_go_over_the_weekend() -> None:
    assert Span.parse("fri-mon 10:00-12:00").days == {4, 5, 6, 0}


@pytest.mark.parametrize("text", ["", "mon", "mon 9:00-10:00", "foo 09:00-10:00", "mon 10:00-09:00", "mon 10:00-25:00"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"should|minute|hour"):
        Span.parse(text)
