"""People who may not talk to the bot: whether one who presses a button is told so, or was told a moment ago."""

from cachetools import TTLCache

from core.accepting import NOTICE_EVERY
from core.clock import Clock
from core.messages import Person

REMEMBERED = 4_096
"""Strangers who are remembered, the latest ones."""


class Strangers:
    """The strangers who were told lately. They are kept in memory only, as a stranger's press leaves no trace."""

    def __init__(self, clock: Clock) -> None:
        self._told: TTLCache[str, None] = TTLCache(REMEMBERED, ttl=NOTICE_EVERY, timer=clock.monotonic)

    def tell(self, person: Person) -> bool:
        """Whether the person is to be told, which is noted: not twice in `NOTICE_EVERY`."""
        is_due = str(person) not in self._told
        if is_due:
            self._told[str(person)] = None
        return is_due
