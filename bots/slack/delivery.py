"""Replies on Slack: a stream or a placeholder, whose ts is committed, is edited into the reply."""

from dataclasses import replace

import structlog

from bots.slack.api import Place, Session, SlackApi
from bots.slack.asides import Asides
from bots.slack.files import Files
from bots.slack.forms import Forms, displayed, plain_form, reply_forms, response_forms
from bots.slack.handle import Handle, Surface
from bots.slack.identity import Identity
from bots.slack.links import has_link
from bots.slack.posts import Posts, place
from bots.slack.previews import Previews
from bots.slack.reference import Reference
from bots.slack.streams import Streams
from core.clock import Clock
from core.delivery import Claim
from core.errors import NOT_ALLOWED, DeliveryRejected
from core.i18n import say
from core.messages import Kind, Reply, Source

log = structlog.get_logger()

TOO_LONG = {"msg_too_long", "msg_blocks_too_long"}
MESSAGE_MISSING = {"message_not_found", "cant_update_message", "edit_window_closed"}
"""Errors for a message that was deleted, or can no longer be edited."""


class SlackDelivery:
    """A `Delivery` for one bot account.

    A direct message is answered in a stream, which only its recipient sees grow. Other messages, and direct messages if
    no stream can be started, get a placeholder. A slash command is answered at its response URL, and in a channel a
    personal command, and a person who may not talk to the bot, by an ephemeral message, without a placeholder. What
    answers no message, such as a welcome, is a direct message that is posted once its words are known.
    """

    def __init__(self, api: SlackApi, identity: Identity, clock: Clock) -> None:
        self._api = api
        self._posts = Posts(api, identity, clock)
        self._asides = Asides(api, self._posts, clock)
        self._files = Files(api, self._posts)
        self._streams = Streams(api, clock)
        self._previews = Previews(api, self._posts, self._streams, clock)

    async def begin(self, claim: Claim) -> str:
        reference = claim.message.reference
        if not reference:
            return await self._begin_direct(claim)
        if Reference.parse(reference) is None:
            return str(Handle(surface=Surface.RESPONSE))
        if claim.is_aside or _is_for_a_stranger(claim):
            return str(Handle(surface=Surface.EPHEMERAL))
        try:
            handle = await self._open_message(claim)
        except DeliveryRejected as error:
            if claim.is_passed_on:
                raise
            log.warning("nowhere to answer", turn=claim.id, reason=error.reason)
            return str(Handle(surface=Surface.NOWHERE))
        if claim.reply is None:
            await self._previews.begin(claim, handle)
        return str(handle)

    async def preview(self, claim: Claim, piece: str) -> None:
        handle = Handle.parse(claim.handle)
        if handle.is_message and not claim.is_revised:  # the earlier answer stays until it is replaced
            await self._previews.add(claim, handle, piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if not Handle.is_known(claim.handle):
            return await self.begin(replace(claim, reply=reply))
        handle = Handle.parse(claim.handle)
        await self._previews.end(claim.id)
        try:
            shown = await self._show(claim, handle, reply)
        except DeliveryRejected as error:  # for example, the bot was removed from the channel
            if claim.is_passed_on:
                raise
            log.warning("answer not delivered", turn=claim.id, reason=error.reason)
            shown = handle
        if shown == handle and handle.is_message:
            await self._previews.end_processing(claim)
        return str(shown)

    async def open_thread(self, claim: Claim) -> str:
        """Post the message that begins the thread."""
        channel = Place(channel=claim.message.conversation.chat, thread="")
        return await self._api.post(channel, plain_form(claim.title), f"{claim.id}:thread")

    async def withdraw(self, claim: Claim) -> None:
        handle = Handle.parse(claim.handle)
        await self._previews.end(claim.id)
        if handle.surface is Surface.STREAM:
            await self._streams.end(claim.id, place(claim), handle.ts, Session.ACTIVE)
        if handle.is_message:
            await self._posts.remove(claim, handle.ts, kept=())
        await self._previews.end_processing(claim)

    async def drop(self, claim: Claim) -> None:
        await self._previews.end(claim.id)
        self._streams.drop(claim.id)

    async def close(self) -> None:
        """End all previews. The next process goes on with the turns that have no reply yet."""
        await self._previews.end_all()
        await self._streams.end_all()

    async def _begin_direct(self, claim: Claim) -> str:
        """Post the beginning of a reply as a direct message; its handle, empty as long as there is no reply."""
        if claim.reply is None:
            return ""
        beginning, *_ = reply_forms(claim.reply, claim.id, claim.locale, claim.yes_or_no(claim.reply))[0]
        try:
            return str(await self._asides.begin_direct(claim, beginning[-1]))
        except DeliveryRejected as error:
            if claim.is_passed_on:
                raise
            log.warning("nowhere to answer", turn=claim.id, reason=error.reason)
            return str(Handle(surface=Surface.NOWHERE))

    async def _open_message(self, claim: Claim) -> Handle:
        """Start a stream or post a placeholder.

        A stream carries no tag and cannot be found again. So a placeholder is posted if an earlier process may have
        started a stream, and also if there is a reply already.
        """
        can_stream = claim.reply is None and claim.message.kind is Kind.PRIVATE
        if can_stream and not self._posts.may_exist(claim):
            with self._posts.in_doubt(claim):
                ts = await self._streams.begin(claim.id, place(claim), claim.message.sender)
            if ts:
                return Handle(surface=Surface.STREAM, ts=ts)
        return await self._post_placeholder(claim)

    async def _post_placeholder(self, claim: Claim) -> Handle:
        """Post the message that is edited into the reply. Slack notifies people of its words, so that a person's own
        stand in it from the beginning.
        """
        form = plain_form(say(claim.locale, "slack.thinking"))
        if claim.reply is not None and claim.reply.source is Source.PERSON:
            form = reply_forms(claim.reply, claim.id, claim.locale)[0][0][-1]
        return Handle(surface=Surface.POST, ts=await self._posts.post(claim, "first", form))

    async def _show(self, claim: Claim, handle: Handle, reply: Reply) -> Handle:
        """Show the reply and return the handle unchanged; or do what must be committed first, and return the new one:
        post a placeholder instead of a stream or an ephemeral message, or upload a file.
        """
        match handle.surface:
            case Surface.NOWHERE:
                return handle
            case Surface.RESPONSE if not claim.is_personal:
                await self._respond(claim, reply)
                return handle
            case Surface.RESPONSE | Surface.EPHEMERAL:
                return await self._asides.show(claim, handle, reply)
            case Surface.STREAM:
                message = await self._end_stream(claim, handle, reply)
                if message != handle:
                    return message
        return await self._edit_message(claim, handle, reply)

    async def _end_stream(self, claim: Claim, handle: Handle, reply: Reply) -> Handle:
        """Stop the stream; the handle of the message for the reply.

        A reply with links needs a new message: Slack previews links in what was a stream, and only a post can tell it
        not to.
        """
        await self._streams.end(claim.id, place(claim), handle.ts, Session.ACTIVE)
        if not has_link(displayed(reply)):
            return handle
        try:
            await self._api.delete(place(claim), handle.ts)
        except DeliveryRejected as error:
            if error.reason not in MESSAGE_MISSING:
                log.info("stream not deleted", turn=claim.id, reason=error.reason)
                return handle
        return await self._post_placeholder(claim)

    async def _edit_message(self, claim: Claim, handle: Handle, reply: Reply) -> Handle:
        """Put the reply into the message, or as a file below it. If Slack finds it too long, try smaller parts."""
        *sizes, smallest = reply_forms(reply, claim.id, claim.locale, claim.yes_or_no(reply))
        if claim.file and len(sizes[0]) > 1 and (shown := await self._files.show(claim, handle, reply)):
            return shown
        for parts in sizes:
            try:
                await self._show_parts(claim, handle, parts)
            except DeliveryRejected as error:
                if error.reason not in TOO_LONG:
                    raise
            else:
                return handle
        await self._show_parts(claim, handle, smallest)
        return handle

    async def _show_parts(self, claim: Claim, handle: Handle, parts: tuple[Forms, ...]) -> None:
        """Put the first part into the message, or post it if the message is missing; post the others below."""
        try:
            await self._posts.edit(claim, handle.ts, parts[0])
        except DeliveryRejected as error:
            if error.reason not in MESSAGE_MISSING:
                raise
            await self._posts.post_beside(claim, "instead", parts[0])
        beside = {f"part {number}": forms for number, forms in enumerate(parts[1:], start=2)}
        for part, forms in beside.items():
            await self._posts.post_beside(claim, part, forms)
        if claim.is_revised:  # the earlier answer may have had more parts
            await self._posts.remove(claim, handle.ts, kept={"first", "instead", *beside})

    async def _respond(self, claim: Claim, reply: Reply) -> None:
        """Answer a slash command. Not idempotent: a crash before the commit repeats the answer."""
        for forms in response_forms(reply):
            await self._posts.respond(claim, forms)


def _is_for_a_stranger(claim: Claim) -> bool:
    """Whether a person is told in a channel that they may not talk to the bot."""
    return claim.message.kind is Kind.GROUP and claim.reply is not None and claim.reply.error == NOT_ALLOWED
