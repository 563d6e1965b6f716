"""Between the worker and a front end: the claim of a turn, and what a front end does to show it."""

from dataclasses import dataclass
from typing import Protocol

from core.messages import Locale, Message, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A turn leased to this process.

    `attempt` counts from 1. `locale` is the language of the bot's own words. `handle` names the messages that show the
    turn, empty if there are none yet. `reply` is None until the turn is answered.
    """

    id: int
    attempt: int
    message: Message
    locale: Locale
    handle: str = ""
    reply: Reply | None = None


class Delivery(Protocol):
    """How a front end shows a turn. A handle is the front end's own notation for the messages that show it.

    A message that cannot be found again is posted one at a time: the method returns, and the worker commits the new
    handle before the next one is posted. So a crash leaves at most one unknown message behind.
    """

    async def begin(self, claim: Claim) -> str:
        """Show that the turn is being worked on; the handle of the placeholder, empty if nothing is shown."""

    async def preview(self, claim: Claim, piece: str) -> str | None:
        """Show one more piece of the reply. May do nothing. Returns the new handle if it had to post a message."""

    async def finish(self, claim: Claim, reply: Reply) -> str:
        """Put the reply into the messages of `claim.handle` and return the handle unchanged.

        If a message is missing, post it and return the new handle instead: the worker commits it and calls again.
        Putting text into messages is idempotent. Raises DeliveryFailed.
        """

    async def drop(self, claim: Claim) -> None:
        """Stop showing the turn: another gateway has taken it over."""
