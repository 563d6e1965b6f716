"""Days are those of a time zone, and figures of spans add up."""

from array import array
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.daily import Tally, begin_of, days_until, figures, joined
from core.messages import Label, Source
from core.outcomes import Wait

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC).timestamp()


def test_the_last_day_is_that_of_now() -> None:
    """Just before midnight in UTC it is the next day in Berlin already."""
    assert [*days_until(MIDNIGHT - 1, UTC, 2)] == [date(2026, 11, 25), date(2026, 11, 26)]
    assert [*days_until(MIDNIGHT - 1, BERLIN, 1)] == [date(2026, 11, 27)]


def test_a_day_with_a_change_of_the_clock_has_another_length() -> None:
    """Days begin at midnight of the time zone, so that the one on which summer time ends has 25 hours."""
    changed = date(2026, 10, 25)
    assert begin_of(changed + timedelta(1), BERLIN) - begin_of(changed, BERLIN) == 25 * 3_600


def test_nothing_gives_no_figures_that_need_something() -> None:
    """Without answers there is no median, no speed and no share, and all counts are 0."""
    found = figures(Tally())
    assert (found.wait, found.first_piece) == (Wait(median=None, p90=None),) * 2
    assert (found.tokens_per_second, found.cache_share) == (None, None)
    assert {*found.replies.values(), *found.moods.values(), found.messages, found.up} == {0}


def test_figures_of_days_together_are_made_of_all_their_turns() -> None:
    """The median of two days is that of all waits, not of the medians; shares and speeds are weighted too."""
    first = Tally(
        messages=3,
        replies=Counter({Source.MODEL: 2, Source.CACHE: 1}),
        waits=array("d", [1, 1, 1]),
        tokens=100,
        seconds=10,
        up=1,
    )
    second = Tally(
        messages=1,
        replies=Counter({Source.CACHE: 1}),
        moods=Counter({Label.NEGATIVE: 1}),
        waits=array("d", [9]),
        tokens=50,
        seconds=5,
        handoffs=2,
    )
    both = figures(joined([first, second]))
    assert both.wait == Wait(median=1.0, p90=9.0)
    assert (both.tokens_per_second, both.cache_share) == (10.0, 0.5)
    assert (both.messages, both.replies[Source.CACHE], both.moods[Label.NEGATIVE]) == (4, 2, 1)
    assert (both.up, both.down, both.handoffs) == (1, 0, 2)
