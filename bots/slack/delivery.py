"""Answers on their way to Slack: a placeholder in the thread, or a stream, is edited into the answer."""

from dataclasses import replace
from functools import partial

import structlog

from bots.slack.drafts import Drafts
from bots.slack.forms import Forms, plain_form, reply_forms, rich_forms, spoken
from bots.slack.places import Bot
from bots.slack.posts import Posts, place
from bots.slack.streams import Streams
from bots.slack.text import has_link, markdown, split, without_links
from bots.slack.web import NotTaken, Web
from core.clock import Clock
from core.delivery import Claim
from core.errors import DeliveryFailed
from core.i18n import say
from core.messages import Kind, Reply

log = structlog.get_logger()

TOO_LONG = {"msg_too_long", "msg_blocks_too_long"}
NO_MESSAGE = {"message_not_found", "cant_update_message", "edit_window_closed"}
"""A placeholder that was deleted, or cannot be edited any more, is answered beside."""
RESPONSE, NOWHERE, POST, STREAM = "response", "nowhere", "post:", "stream:"
"""Handles: a slash command's own way of answering, a place where nothing can be said, and a message, posted or begun
as a stream.
"""
STREAM_PAUSES = (3.0, 5.0)
PREVIEW_SIZE, RESPONSE_SIZE = 3_800, 30_000


class SlackDelivery:
    """Shows the turns of one bot account."""

    def __init__(self, web: Web, bot: Bot, clock: Clock) -> None:
        self._drafts = Drafts(clock)
        self._streams = Streams(web, clock)
        self._web = web
        self._posts = Posts(web, bot, clock)
        self._has_status = True

    async def begin(self, claim: Claim) -> str:
        if not claim.message.conversation.thread:
            return RESPONSE
        try:
            handle = await self._first_sign(claim)
        except NotTaken as error:
            log.warning("nowhere to answer", turn=claim.id, reason=error.code)
            return NOWHERE
        if claim.reply is None:
            await self._open_draft(replace(claim, handle=handle))
        return handle

    async def preview(self, claim: Claim, piece: str) -> None:
        if not _is_message(claim):
            return
        if claim.id not in self._drafts:  # taken up after a restart
            if _is_stream(claim):
                self._streams.take_up(claim.id, place(claim), _ts(claim))
            await self._open_draft(claim)
        self._drafts.add(claim.id, piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if not claim.handle:
            return await self.begin(claim)
        drafted = await self._drafts.close(claim.id)
        try:
            if claim.handle == RESPONSE:
                await self._respond(claim, reply)
            elif _is_stream(claim) and (handle := await self._end_stream(claim, reply)) != claim.handle:
                return handle
            elif _is_message(claim):
                await self._answer(claim, reply)
        except NotTaken as error:  # the channel or the bot's right to speak in it is gone
            log.warning("answer not delivered", turn=claim.id, reason=error.code)
        if drafted and not _is_stream(claim):
            await self._status(claim, "")
        return claim.handle

    async def drop(self, claim: Claim) -> None:
        await self._drafts.close(claim.id)
        self._streams.drop(claim.id)

    async def close(self) -> None:
        """Show no more of any turn; what is not answered will be taken up where it stands."""
        await self._drafts.close_all()
        await self._streams.end_all()

    async def _first_sign(self, claim: Claim) -> str:
        """A stream in a direct message, where the one who asked is all who watch, or else a placeholder.

        A stream carries no mark: where one may have been begun before it is not looked for, and none is begun again.
        """
        if claim.reply is None and claim.message.kind is Kind.PRIVATE and not self._posts.may_be_there(claim):
            with self._posts.doubted(claim):
                ts = await self._streams.begin(claim.id, place(claim), claim.message.sender)
            if ts:
                return STREAM + ts
        return await self._placeholder(claim)

    async def _placeholder(self, claim: Claim) -> str:
        return POST + await self._posts.post(claim, "first", plain_form(say(claim.locale, "slack.thinking")))

    async def _end_stream(self, claim: Claim, reply: Reply) -> str:
        """The handle of where the answer goes, once no stream is in its way.

        Only of what was posted can Slack be told to show no previews of its links: an answer with links goes there.
        """
        await self._streams.end(claim.id, place(claim), _ts(claim))
        if not has_link(reply.text):
            return claim.handle
        try:
            await self._web.delete(place(claim), _ts(claim))
        except NotTaken as error:
            if error.code not in NO_MESSAGE:
                log.info("stream not deleted", turn=claim.id, reason=error.code)
                return claim.handle
        return await self._placeholder(claim)

    async def _answer(self, claim: Claim, reply: Reply) -> None:
        """Put the reply in place, cut smaller for as long as it is too long."""
        *sizes, smallest = reply_forms(reply, claim.id, claim.locale)
        for parts in sizes:
            try:
                return await self._show_parts(claim, parts)
            except NotTaken as error:
                if error.code not in TOO_LONG:
                    raise
        return await self._show_parts(claim, smallest)

    async def _show_parts(self, claim: Claim, parts: tuple[Forms, ...]) -> None:
        try:
            await self._posts.edit(claim, _ts(claim), parts[0])
        except NotTaken as error:
            if error.code not in NO_MESSAGE:
                raise
            await self._posts.post_beside(claim, "instead", parts[0])
        for number, forms in enumerate(parts[1:], start=2):
            await self._posts.post_beside(claim, f"part {number}", forms)

    async def _respond(self, claim: Claim, reply: Reply) -> None:
        """Answer a slash command. Such an answer cannot be edited: a crash at this very moment repeats it."""
        for part in split(spoken(reply), RESPONSE_SIZE):
            await self._web.respond(claim.message.reference, plain_form(part))

    async def _open_draft(self, claim: Claim) -> None:
        if _is_stream(claim):
            await self._drafts.open(claim.id, partial(self._show_stream, claim), STREAM_PAUSES)
        else:
            await self._drafts.open(claim.id, partial(self._show_draft, claim))

    async def _show_stream(self, claim: Claim, text: str) -> None:
        """What there is of a reply, in a stream for as long as there is one. It shows by itself that it is begun."""
        text = without_links(text)
        try:
            if text.strip() and not await self._streams.grow(claim.id, markdown(text)):
                await self._show_draft(claim, text)
        except DeliveryFailed as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _show_draft(self, claim: Claim, text: str) -> None:
        """What there is of a reply, as a preview: dropped whenever it cannot be shown."""
        if not text.strip():
            await self._status(claim, say(claim.locale, "slack.status"))
            return
        shown, *rest = split(text, PREVIEW_SIZE)
        try:
            await self._posts.edit(claim, _ts(claim), rich_forms(shown + (" …" if rest else "")))
        except (DeliveryFailed, NotTaken) as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _status(self, claim: Claim, words: str) -> None:
        if not self._has_status:
            return
        try:
            await self._web.status(place(claim), words)
        except NotTaken as error:
            log.info("no status is shown", reason=error.code)
            self._has_status = False
        except DeliveryFailed:
            return


def _is_message(claim: Claim) -> bool:
    return claim.handle.startswith((POST, STREAM))


def _is_stream(claim: Claim) -> bool:
    return claim.handle.startswith(STREAM)


def _ts(claim: Claim) -> str:
    return claim.handle.partition(":")[2]
