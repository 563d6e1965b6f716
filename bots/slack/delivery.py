"""Replies on Slack: a stream or a placeholder, whose ts is committed, is edited into the reply."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Self

import structlog

from bots.slack.api import SlackApi
from bots.slack.forms import Forms, displayed_text, plain_form, reply_forms, rich_forms
from bots.slack.identity import Identity
from bots.slack.posts import Posts, place
from bots.slack.previews import Previews
from bots.slack.streams import Streams
from bots.slack.text import has_link, markdown, split, without_links
from core.clock import Clock
from core.delivery import Claim
from core.errors import DeliveryFailed, DeliveryRejected
from core.i18n import say
from core.messages import Kind, Reply

log = structlog.get_logger()

TOO_LONG = {"msg_too_long", "msg_blocks_too_long"}
MESSAGE_MISSING = {"message_not_found", "cant_update_message", "edit_window_closed"}
"""Errors for a message that was deleted, or can no longer be edited."""
STREAM_PAUSES = (3.0, 5.0)
PREVIEW_SIZE, RESPONSE_SIZE = 3_800, 30_000
"""Characters of one preview, and of one message at a response URL."""


class Showing(StrEnum):
    """The way in which a turn is shown."""

    POST = "post"
    STREAM = "stream"
    RESPONSE = "response"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """How a turn is shown, stored as "post:<ts>", "stream:<ts>", "response" or "nowhere".

    A post is a message that began as a placeholder, a stream one that began as a stream; `ts` is its id. A response is
    an answer at a slash command's response URL. Nowhere means that the bot may not write in the channel.
    """

    kind: Showing
    ts: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.ts}" if self.ts else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        kind, _, ts = text.partition(":")
        return cls(kind=Showing(kind), ts=ts)

    @property
    def is_message(self) -> bool:
        """Whether there is a message that can be edited."""
        return self.kind in {Showing.POST, Showing.STREAM}

    @property
    def is_stream(self) -> bool:
        return self.kind is Showing.STREAM


RESPONSE, NOWHERE = Handle(kind=Showing.RESPONSE), Handle(kind=Showing.NOWHERE)


class SlackDelivery:
    """A `Delivery` for one bot account.

    A direct message is answered in a stream, which only one person sees grow. Other messages, and direct messages when
    no stream can be started, get a placeholder. Slash commands have no placeholder.
    """

    def __init__(self, api: SlackApi, identity: Identity, clock: Clock) -> None:
        self._api = api
        self._posts = Posts(api, identity, clock)
        self._previews = Previews(clock)
        self._streams = Streams(api, clock)
        self._has_status = True

    async def begin(self, claim: Claim) -> str:
        if not claim.message.conversation.thread:
            return str(RESPONSE)
        try:
            handle = await self._open_message(claim)
        except DeliveryRejected as error:
            log.warning("nowhere to answer", turn=claim.id, reason=error.reason)
            return str(NOWHERE)
        if claim.reply is None:
            await self._begin_preview(claim, handle)
        return str(handle)

    async def preview(self, claim: Claim, piece: str) -> None:
        handle = Handle.parse(claim.handle)
        if not handle.is_message:
            return
        if claim.id not in self._previews:  # an earlier process began the turn
            if handle.is_stream:
                self._streams.adopt(claim.id, place(claim), handle.ts)
            await self._begin_preview(claim, handle)
        self._previews.add(claim.id, piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if not claim.handle:
            return await self.begin(claim)
        handle = Handle.parse(claim.handle)
        had_preview = await self._previews.end(claim.id)
        try:
            if handle.is_stream and (after_stream := await self._end_stream(claim, handle, reply)) != handle:
                return str(after_stream)
            if handle.is_message:
                await self._show_reply(claim, handle, reply)
            elif handle == RESPONSE:
                await self._respond(claim, reply)
        except DeliveryRejected as error:  # for example, the bot was removed from the channel
            log.warning("answer not delivered", turn=claim.id, reason=error.reason)
        if had_preview and not handle.is_stream:
            await self._set_status(claim, "")
        return claim.handle

    async def drop(self, claim: Claim) -> None:
        await self._previews.end(claim.id)
        self._streams.drop(claim.id)

    async def close(self) -> None:
        """End all previews. The next process goes on with the turns that have no reply yet."""
        await self._previews.end_all()
        await self._streams.end_all()

    async def _open_message(self, claim: Claim) -> Handle:
        """Start a stream or post a placeholder.

        A stream carries no tag and cannot be found again. If an earlier process may have started one, or there is a
        reply already, a placeholder is posted instead.
        """
        is_streamed = claim.reply is None and claim.message.kind is Kind.PRIVATE
        if is_streamed and not self._posts.may_exist(claim):
            with self._posts.in_doubt(claim):
                ts = await self._streams.begin(claim.id, place(claim), claim.message.sender)
            if ts:
                return Handle(kind=Showing.STREAM, ts=ts)
        return await self._post_placeholder(claim)

    async def _post_placeholder(self, claim: Claim) -> Handle:
        ts = await self._posts.post(claim, "first", plain_form(say(claim.locale, "slack.thinking")))
        return Handle(kind=Showing.POST, ts=ts)

    async def _end_stream(self, claim: Claim, handle: Handle, reply: Reply) -> Handle:
        """Stop the stream; the handle of the message for the reply, which is a new one for a reply with links.

        Slack previews links in what was a stream, and can be told not to only when a message is posted.
        """
        await self._streams.end(claim.id, place(claim), handle.ts)
        if not has_link(reply.text):
            return handle
        try:
            await self._api.delete(place(claim), handle.ts)
        except DeliveryRejected as error:
            if error.reason not in MESSAGE_MISSING:
                log.info("stream not deleted", turn=claim.id, reason=error.reason)
                return handle
        return await self._post_placeholder(claim)

    async def _show_reply(self, claim: Claim, handle: Handle, reply: Reply) -> None:
        """Put the reply into the message. If Slack finds it too long, try smaller parts."""
        *sizes, smallest = reply_forms(reply, claim.id, claim.locale)
        for parts in sizes:
            try:
                return await self._show_parts(claim, handle, parts)
            except DeliveryRejected as error:
                if error.reason not in TOO_LONG:
                    raise
        return await self._show_parts(claim, handle, smallest)

    async def _show_parts(self, claim: Claim, handle: Handle, parts: tuple[Forms, ...]) -> None:
        """Put the first part into the message, or beside it if it is missing, and post the others below."""
        try:
            await self._posts.edit(claim, handle.ts, parts[0])
        except DeliveryRejected as error:
            if error.reason not in MESSAGE_MISSING:
                raise
            await self._posts.post_beside(claim, "instead", parts[0])
        for number, forms in enumerate(parts[1:], start=2):
            await self._posts.post_beside(claim, f"part {number}", forms)

    async def _respond(self, claim: Claim, reply: Reply) -> None:
        """Answer a slash command. Not idempotent: a crash before the commit repeats the answer."""
        for part in split(displayed_text(reply), RESPONSE_SIZE):
            await self._api.respond(claim.message.reference, plain_form(part))

    async def _begin_preview(self, claim: Claim, handle: Handle) -> None:
        if handle.is_stream:
            await self._previews.begin(claim.id, partial(self._preview_in_stream, claim, handle), STREAM_PAUSES)
        else:
            await self._previews.begin(claim.id, partial(self._preview_in_edit, claim, handle))

    async def _preview_in_stream(self, claim: Claim, handle: Handle, text: str) -> None:
        """Append to the stream; fall back to edits once it has ended. Slack shows an empty stream as in progress."""
        text = without_links(text)
        try:
            if text.strip() and not await self._streams.show(claim.id, markdown(text)):
                await self._preview_in_edit(claim, handle, text)
        except DeliveryFailed as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _preview_in_edit(self, claim: Claim, handle: Handle, text: str) -> None:
        """Edit the message, or set a status before the first word. A failure is logged and ignored."""
        if not text.strip():
            await self._set_status(claim, say(claim.locale, "slack.status"))
            return
        shown, *rest = split(text, PREVIEW_SIZE)
        try:
            await self._posts.edit(claim, handle.ts, rich_forms(shown + (" …" if rest else "")))
        except (DeliveryFailed, DeliveryRejected) as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _set_status(self, claim: Claim, words: str) -> None:
        """Set the thread's status, until Slack refuses one: not every workspace has them."""
        if not self._has_status:
            return
        try:
            await self._api.set_status(place(claim), words)
        except DeliveryRejected as error:
            log.info("no status is shown", reason=error.reason)
            self._has_status = False
        except DeliveryFailed:
            return
