"""Where people work who take conversations over, who they are, and when they are there."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from core.access import is_allowed
from core.hours import Hours
from core.messages import ConversationKey, Locale, Person


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpDesk:
    """The `place` is a channel or a group, in which each conversation has a thread.

    `operators` are the people there whose words reach customers, in the notation of `core/access.py`. A conversation
    is given back to the bot if nobody does anything about it for `timeout` seconds. `locale` is the language of the
    bot's own words there.
    """

    place: ConversationKey
    operators: frozenset[str]
    timeout: float
    hours: Hours = field(default_factory=Hours)
    locale: Locale = "en"

    def is_at(self, conversation: ConversationKey) -> bool:
        """Whether a conversation is in the place where people work."""
        return replace(conversation, thread="") == self.place

    def trusts(self, person: Person) -> bool:
        """Whether a person who writes there is an operator."""
        return is_allowed(person, self.place, self.operators)

    def opens_at(self, now: float) -> float:
        """When somebody reads what is asked `now`."""
        return self.hours.next_open(now)

    def local_time(self, at: float) -> str:
        """A time of the desk in words that are the same in every language: "2026-03-02 09:00 CET"."""
        return datetime.fromtimestamp(at, self.hours.zone).strftime("%Y-%m-%d %H:%M %Z").strip()
