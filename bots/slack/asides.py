"""Replies that only the sender sees: as an ephemeral message where they asked, else as a direct message.

Slack keeps no ephemeral message, shows it only to a person who is there, and cannot edit it.
"""

from collections.abc import Sequence

import structlog

from bots.slack.api import SlackApi
from bots.slack.forms import Form, Forms, plain_form, reply_forms
from bots.slack.handle import Handle, Surface
from bots.slack.posts import Posts
from core.clock import Clock
from core.delivery import Claim
from core.errors import DeliveryRejected
from core.i18n import say
from core.messages import Reply

log = structlog.get_logger()

PRESENT_SECONDS = 60.0
"""How long a person is assumed to be there after a question. Slack drops ephemeral messages for those who are not."""


class Asides:
    """The replies of one bot account that only their askers see."""

    def __init__(self, api: SlackApi, posts: Posts, clock: Clock) -> None:
        self._api = api
        self._posts = posts
        self._clock = clock

    async def show(self, claim: Claim, handle: Handle, reply: Reply) -> Handle:
        """Post the reply where it was asked for and return the handle unchanged; a crash before its commit repeats it.

        If the reply is too long or too late for that, or Slack refuses, begin a direct message and return its handle.
        """
        messages = reply_forms(reply, claim.id, claim.locale, claim.yes_or_no(reply))[0]
        if len(messages) == 1 and self._is_present(claim, handle):
            try:
                await self._whisper(claim, handle, messages)
            except DeliveryRejected as error:
                log.info("not shown where it was asked", turn=claim.id, reason=error.reason)
            else:
                return handle
        try:
            return await self.begin_direct(claim, plain_form(say(claim.locale, "slack.thinking")))
        except DeliveryRejected as error:
            log.info("no direct message", turn=claim.id, reason=error.reason)
        await self._whisper(claim, handle, messages)
        return handle

    def _is_present(self, claim: Claim, handle: Handle) -> bool:
        """A response URL expires by itself, so only an ephemeral message can be lost unnoticed."""
        return handle.surface is Surface.RESPONSE or self._clock.now() < claim.message.sent_at + PRESENT_SECONDS

    async def _whisper(self, claim: Claim, handle: Handle, messages: Sequence[Forms]) -> None:
        for forms in messages:
            if handle.surface is Surface.RESPONSE:
                await self._posts.respond(claim, forms)
            else:
                await self._posts.whisper(claim, forms)

    async def begin_direct(self, claim: Claim, form: Form) -> Handle:
        """Begin a direct message to the sender. It has no thread to be found in: a crash here may leave it behind."""
        there = await self._api.post_directly(claim.message.sender.id, form)
        return Handle(surface=Surface.DIRECT, ts=there.thread, channel=there.channel)
