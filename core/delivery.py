"""Between the worker and a front end: the claim of a turn, and what a front end does to show it."""

from dataclasses import dataclass
from typing import Protocol

from core.commands import asking_command, is_start, personal_command
from core.i18n import say
from core.messages import Kind, Locale, Message, Reply, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A turn leased to this process.

    `attempt` counts from 1, and `faults` the tries that failed unexpectedly. `locale` is the language of the bot's own
    words. `handle` names the messages that show the turn, empty if there are none yet. `reply` is None until the turn
    is answered. A turn that `is_revised` has been answered before: its messages may show an earlier answer, and may be
    more than it needs now. A claim with a `title` is shown to operators in a thread that does not exist yet. What a
    person has said `is_passed_on`.
    """

    id: int
    attempt: int
    message: Message
    locale: Locale
    faults: int = 0
    handle: str = ""
    reply: Reply | None = None
    is_revised: bool = False
    title: str = ""
    is_passed_on: bool = False

    @property
    def is_personal(self) -> bool:
        """Whether the reply is for the sender alone."""
        return personal_command(self.message.text) is not None

    @property
    def is_aside(self) -> bool:
        """Whether it was asked for in a group all the same, so that a front end must show it elsewhere."""
        return self.is_personal and self.message.kind is Kind.GROUP

    @property
    def file(self) -> str:
        """The name of the file that holds the reply if it is longer than a message; empty if it comes in parts."""
        command = personal_command(self.message.text)
        return command.file if command else ""

    def opens_chat(self, reply: Reply) -> bool:
        """Whether the reply says who the bot is to a person who opened their chat with it."""
        return self.message.kind is Kind.PRIVATE and reply.source is Source.COMMAND and is_start(self.message.text)

    def yes_or_no(self, reply: Reply) -> tuple[str, str] | None:
        """The words for yes and no if the reply asks the sender for one, which a front end offers as buttons."""
        command = asking_command(self.message.text) if reply.source is Source.COMMAND else None
        return (say(self.locale, f"yes.{command.name}"), say(self.locale, f"no.{command.name}")) if command else None


class Delivery(Protocol):
    """How a front end shows a turn. A handle is the front end's own notation for the messages that show it.

    A message that cannot be found again is posted one at a time: the method returns, and the worker commits the new
    handle before the next one is posted. So a crash leaves at most one unknown message behind.

    Of a claim that `is_aside` nothing is shown in the group but, if there is no other way, how to get the reply.
    """

    async def begin(self, claim: Claim) -> str:
        """Show that the turn is being worked on; the handle of the placeholder, empty if nothing is shown."""

    async def preview(self, claim: Claim, piece: str) -> str | None:
        """Show one more piece of the reply. May do nothing. Returns the new handle if it had to post a message."""

    async def finish(self, claim: Claim, reply: Reply) -> str:
        """Put the reply into the messages of `claim.handle` and return the handle unchanged.

        If a message is missing, or there is one too many, post or delete it and return the new handle instead: the
        worker commits it and calls again. Putting text into messages and deleting them are idempotent. Raises
        DeliveryFailed, and DeliveryRejected if what `is_passed_on` cannot be shown: its author is told.
        """

    async def open_thread(self, claim: Claim) -> str:
        """Open a thread with the claim's title in its chat; the thread, in the front end's own notation.

        Not idempotent: a crash before the commit leaves an empty thread behind. Raises DeliveryFailed, and
        DeliveryRejected if the bot may not write there.
        """

    async def withdraw(self, claim: Claim) -> None:
        """Delete the messages that show the turn, whose sender has withdrawn the question. Idempotent.

        Messages that can no longer be deleted stay. Raises DeliveryFailed.
        """

    async def drop(self, claim: Claim) -> None:
        """Stop showing the turn: another gateway has taken it over."""
