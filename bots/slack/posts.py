"""Messages that are posted once: each carries a tag by which it is found after a crash or a lost answer."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import structlog

from bots.slack.api import Place, SlackApi
from bots.slack.forms import Form, Forms
from bots.slack.handle import Handle
from bots.slack.identity import Identity
from bots.slack.payloads import ThreadMessage
from bots.slack.reference import Reference, place_of
from core.clock import Clock
from core.delivery import Claim
from core.errors import DeliveryRejected, RateLimited
from core.messages import Source

log = structlog.get_logger()

BAD_FORM = re.compile(r"invalid_|markdown|no_text")
"""Errors after which a plainer form of the same message is tried, such as "invalid_blocks"."""
CLOCK_SKEW = 60.0
"""Seconds by which Slack's clock, which dates messages, may differ from ours."""


class Posts:
    """The messages of one bot account."""

    def __init__(self, api: SlackApi, identity: Identity, clock: Clock) -> None:
        self._api = api
        self._identity = identity
        self._started_at = clock.now()
        self._in_doubt: set[int] = set()

    async def post(self, claim: Claim, part: str, form: Form) -> str:
        """The ts of one part of a reply. The part is posted if it is not found in the thread."""
        tag = f"{_tags(claim)}{part}"
        must_look = self._was_tried(claim) or _holds_words(claim)
        may_exist = self.may_exist(claim)
        with self.in_doubt(claim):
            found = await self._find(claim, tag, must_look=must_look) if may_exist else ""
            return found or await self._api.post(place(claim), form, tag)

    async def post_beside(self, claim: Claim, part: str, forms: Forms) -> None:
        """Post one more message of a reply. It is always looked for first: `finish` may be at its second attempt."""
        self._in_doubt.add(claim.id)
        ts = await self.post(claim, part, forms[-1])
        await self.edit(claim, ts, forms)

    async def edit(self, claim: Claim, ts: str, forms: Forms) -> None:
        """Put the best form that the workspace accepts into a message. Idempotent."""
        await _show_best(forms, partial(self._api.update, place(claim), ts))

    async def remove(self, claim: Claim, first: str, kept: Collection[str]) -> None:
        """Delete the messages of a turn, without those whose parts are `kept`; `first` has no tag if it was a stream.

        Idempotent.
        """
        tags = _tags(claim)
        tagged = {
            found.ts: found.tag.removeprefix(tags)
            for found in await self._own_messages(claim)
            if found.tag.startswith(tags)
        }
        for ts, part in ({first: "first"} | tagged).items():
            if part not in kept:
                await self._delete(claim, ts)

    async def _delete(self, claim: Claim, ts: str) -> None:
        try:
            await self._api.delete(place(claim), ts)
        except DeliveryRejected as error:
            log.info("message not removed", turn=claim.id, reason=error.reason)

    async def respond(self, claim: Claim, forms: Forms) -> None:
        """Post the best form that Slack accepts at the response URL of a slash command. Not idempotent."""
        await _show_best(forms, partial(self._api.respond, claim.message.reference))

    async def whisper(self, claim: Claim, forms: Forms) -> None:
        """Post the best form that Slack accepts for the sender alone, where they asked. Not idempotent.

        A thread that holds nothing but its first message would not show it.
        """
        here = place(claim)
        where = replace(here, thread="") if here.thread == _beginning(claim) else here
        await _show_best(forms, partial(self._api.whisper, where, claim.message.sender.id))

    async def has_file(self, claim: Claim, file: str) -> bool:
        """Whether a message of the bot has this file."""
        return any(shared.id == file for message in await self._own_messages(claim) for shared in message.files)

    def may_exist(self, claim: Claim) -> bool:
        """Whether a message of this turn may exist without a handle: an earlier attempt, or an earlier process whose
        turn this was, may have posted it and crashed.
        """
        return self._was_tried(claim) or claim.message.sent_at < self._started_at + CLOCK_SKEW

    def _was_tried(self, claim: Claim) -> bool:
        """Whether an attempt is known that may have posted a message of this turn."""
        return claim.attempt > 1 or claim.id in self._in_doubt

    @contextmanager
    def in_doubt(self, claim: Claim) -> Iterator[None]:
        """Post something for a turn. If that fails, the turn stays in doubt: Slack may have posted it all the same."""
        self._in_doubt.add(claim.id)
        yield
        self._in_doubt.discard(claim.id)

    async def _find(self, claim: Claim, tag: str, *, must_look: bool) -> str:
        """The ts of the message with this tag; empty if there is none, or the thread may not be read.

        The rate limit of reading delays a post only if an attempt is known, or if it would show a person's words twice:
        a second placeholder is better than a late answer or none.
        """
        try:
            messages = await self._own_messages(claim)
        except RateLimited:
            if must_look:
                raise
            return ""
        return next((found.ts for found in messages if found.tag == tag), "")

    async def _own_messages(self, claim: Claim) -> Sequence[ThreadMessage]:
        """The bot's messages in the turn's thread since it began; none if the thread may not be read."""
        try:
            messages = await self._api.thread(place(claim), oldest=_beginning(claim))
        except DeliveryRejected as error:
            log.info("cannot look for an earlier post", reason=error.reason)
            return ()
        return [message for message in messages if message.user == self._identity.user]


async def _show_best(forms: Forms, show: Callable[[Form], Awaitable[None]]) -> None:
    """Show the first form that Slack does not refuse for its form. The last one's refusal is raised."""
    for form in forms[:-1]:
        try:
            return await show(form)
        except DeliveryRejected as error:
            if not BAD_FORM.search(error.reason):
                raise
            log.info("trying a plainer form", reason=error.reason)
    return await show(forms[-1])


def place(claim: Claim) -> Place:
    """The thread of a turn: that of its question, or that below its direct message."""
    handle = Handle.parse(claim.handle)
    if handle.channel:
        return Place(channel=handle.channel, thread=handle.ts)
    return place_of(claim.message)


def _holds_words(claim: Claim) -> bool:
    """Whether the first message of a turn is no placeholder: it holds a person's words from the beginning."""
    return claim.reply is not None and claim.reply.source is Source.PERSON


def _tags(claim: Claim) -> str:
    """How the tags of a turn's messages begin."""
    return f"{claim.id}:{_beginning(claim)}:"


def _beginning(claim: Claim) -> str:
    """The ts of the message that a turn's messages follow: its question, or its direct message."""
    handle = Handle.parse(claim.handle)
    reference = Reference.parse(claim.message.reference)
    return handle.ts if handle.channel or reference is None else reference.ts
