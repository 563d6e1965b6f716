"""Replies on Telegram: a message with the beginning, whose id is committed, is edited into the reply."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import structlog
from telegram import InlineKeyboardMarkup

from bots.additions import with_additions
from bots.markdown import FormattedText, so_far
from bots.telegram.api import PLACEHOLDER, ChatMoved, MessageMissing, Place, TelegramApi, TextRefused
from bots.telegram.asides import link_to_private, open_aside, place_in_private
from bots.telegram.buttons import Buttons
from bots.telegram.handle import Handle
from bots.telegram.identity import ROOT
from bots.telegram.opening import has_opening, opening
from bots.telegram.previews import Previews
from bots.telegram.text import from_markdown, split, without_mentions
from core.delivery import Claim
from core.errors import DeliveryFailed, DeliveryRejected, RateLimited
from core.i18n import say
from core.messages import ANSWERS, Kind, Locale, Reply

R = TypeVar("R")
log = structlog.get_logger()


class TelegramDelivery:
    """A `Delivery` for one bot account, which offers first `questions`.

    The first message of a reply is posted with its first sentence, since Telegram notifies people of new messages and
    of no edits: in a private chat once the reply is known, in a group once the sentence is. The other messages begin as
    silent placeholders. The preview is a draft in a private chat, and in a group edits of the first message, with a
    button to stop. A draft takes no buttons (Bot API 10.0), so that in a private chat a person stops with /stop. A
    personal reply in a group has no preview.
    """

    def __init__(
        self,
        api: TelegramApi,
        previews: Previews,
        buttons: Buttons,
        questions: Mapping[Locale, Sequence[str]],
    ) -> None:
        self._api = api
        self._previews = previews
        self._buttons = buttons
        self._questions = questions
        self._moved: dict[int, int] = {}
        self._substitutes: dict[int, set[int]] = {}
        self._in_doubt: set[int] = set()

    def move(self, old: int, new: int) -> None:
        """Use a group's new id from now on. It is not stored: Telegram repeats it in the error for a call with the old
        one.
        """
        self._moved[old] = new

    async def begin(self, claim: Claim) -> str:
        try:
            return await self._following_the_group(claim, self._begin_preview)
        except DeliveryRejected as error:
            log.warning("chat cannot be written to", turn=claim.id, reason=error.reason)
            return ""

    async def preview(self, claim: Claim, piece: str) -> str | None:
        text = self._previews.add(claim.id, piece)
        if claim.handle or claim.message.kind is Kind.PRIVATE or claim.id in self._in_doubt:
            return None
        try:
            return await self._following_the_group(claim, lambda claim: self._open(claim, text))
        except (DeliveryFailed, DeliveryRejected) as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)
            return None

    async def finish(self, claim: Claim, reply: Reply) -> str:
        await self._previews.end(claim.id)
        try:
            handle = str(await self._following_the_group(claim, lambda claim: self._show(claim, reply)))
        except DeliveryRejected as error:
            if claim.is_passed_on:
                raise
            log.warning("reply cannot be delivered", turn=claim.id, reason=error.reason)
            handle = claim.handle
        if handle == claim.handle:
            self._forget(claim)
        return handle

    async def open_thread(self, claim: Claim) -> str:
        """Open a topic, or post a message to reply to if the group has no topics or the bot may not open one."""
        return await self._following_the_group(claim, self._open_thread)

    async def withdraw(self, claim: Claim) -> None:
        await self._previews.end(claim.id)
        if shown := Handle.parse(claim.handle):
            for message_id in shown.ids:
                await self._remove(shown.chat, message_id)
        self._forget(claim)

    async def drop(self, claim: Claim) -> None:
        await self._previews.end(claim.id)
        self._forget(claim)

    async def _remove(self, chat: int, message_id: int) -> None:
        """Delete a message, or empty it if it is too old for that."""
        try:
            try:
                await self._api.delete(chat, message_id)
            except MessageMissing:
                await self._api.edit(chat, message_id, FormattedText(text=PLACEHOLDER), None)
        except DeliveryRejected as error:
            log.info("message not removed", reason=error.reason)

    def _forget(self, claim: Claim) -> None:
        self._substitutes.pop(claim.id, None)
        self._in_doubt.discard(claim.id)

    async def _begin_preview(self, claim: Claim) -> str:
        """Show that the bot is writing. Posts nothing: what the message is to notify people of is not known yet."""
        if claim.is_aside:
            return ""
        if claim.message.kind is Kind.PRIVATE:
            await self._previews.begin_drafts(claim.id, self._place(claim))
        else:
            await self._previews.begin_typing(claim.id, self._place(claim))
        return ""

    async def _open_thread(self, claim: Claim) -> str:
        place = self._place(claim)
        try:
            return str(await self._api.open_topic(place.chat, claim.title))
        except TextRefused as error:
            log.info("no topic", turn=claim.id, reason=error.reason)
        return f"{ROOT}{await self._api.post(place, claim.title)}"

    async def _open(self, claim: Claim, text: str) -> str | None:
        """Post a group's message once the first sentence is known and the rate limit allows it; its handle."""
        place = self._place(claim)
        if not self._api.has_room(place.chat, leave=1):
            return None
        shown = without_mentions(from_markdown(so_far(text))).text
        if not has_opening(shown) or not self._api.may_preview(place.chat, leave=1):
            return None
        stop = self._buttons.while_writing(claim.id, place.chat)
        with self._posting(claim):
            message_id = await self._api.post_now(place, opening(shown), stop)
        await self._previews.begin_edits(claim.id, place.chat, message_id, stop)
        return str(Handle(chat=place.chat, ids=(message_id,)))

    async def _show(self, claim: Claim, reply: Reply) -> Handle:
        """Put the reply, or the link to it, into its messages. If one is missing, post one instead."""
        place, parts = self._place(claim), self._parts(claim, reply)
        if not claim.is_aside:
            return await self._show_at(place, claim, reply, parts)
        if Handle.parse(claim.handle) is None:
            return await open_aside(self._api, claim, place, opening(parts[0].text))
        if there := place_in_private(claim):
            return await self._show_at(there, claim, reply, parts)
        return await self._show_at(place, claim, reply, [await link_to_private(self._api, claim)])

    async def _show_at(self, place: Place, claim: Claim, reply: Reply, parts: Sequence[FormattedText]) -> Handle:
        handle = _known_messages(claim, place.chat)
        if len(handle.ids) == 1 < len(parts) and claim.file:
            return await self._show_file(place, claim, reply, parts, handle)
        if len(handle.ids) < len(parts):
            return handle.put(len(handle.ids), await self._post(place, claim, parts, len(handle.ids)))
        if len(handle.ids) > len(parts):  # an earlier answer was longer
            await self._remove(place.chat, handle.ids[-1])
            return handle.without_last()
        for index, (message_id, part) in enumerate(zip(handle.ids, parts, strict=False)):
            keyboard = self._keyboard(claim, reply, place.chat) if index == len(parts) - 1 else None
            try:
                await self._show_part(claim, part, partial(self._api.edit, place.chat, message_id, keyboard=keyboard))
            except MessageMissing:
                return handle.put(index, await self._substitute(place, claim, parts, index, message_id))
        return handle

    def _keyboard(self, claim: Claim, reply: Reply, chat: int) -> InlineKeyboardMarkup | None:
        """The buttons of a reply: votes for the model's, first questions below who the bot is, yes and no for a
        question that the person sees.
        """
        if reply.source in ANSWERS:
            return self._buttons.under(claim.id, chat)
        if reply.choices or reply.suggestions:
            return self._buttons.of_choices(claim.id, chat, reply, claim.locale)
        if claim.opens_chat(reply) and (questions := self._questions.get(claim.locale)):
            return self._buttons.of_questions(claim.id, chat, questions)
        is_seen = not claim.is_aside or place_in_private(claim) is not None
        words = claim.yes_or_no(reply)
        return self._buttons.under_question(claim.id, chat, words) if is_seen and words else None

    async def _show_file(
        self, place: Place, claim: Claim, reply: Reply, parts: Sequence[FormattedText], handle: Handle
    ) -> Handle:
        """Put the reply as a file into its one message. If Telegram refuses it, post a second message, for parts."""
        (message_id,) = handle.ids
        caption = say(claim.locale, "private.file")
        try:
            await self._api.edit_into_file(place.chat, message_id, claim.file, reply.text, caption)
        except MessageMissing:
            return handle.put(0, await self._substitute(place, claim, parts, 0, message_id))
        except TextRefused as error:
            log.warning("file refused", turn=claim.id, reason=error.reason)
            return handle.put(1, await self._api.post(place))
        return handle

    async def _show_part(
        self, claim: Claim, part: FormattedText, show: Callable[[FormattedText], Awaitable[None]]
    ) -> None:
        """Show a part as it is formatted, else as plain text, else an apology, so that no placeholder stays."""
        for text in (part, FormattedText(text=part.text)):
            try:
                return await show(text)
            except TextRefused as error:
                log.warning("text refused", turn=claim.id, reason=error.reason)
        return await show(FormattedText(text=say(claim.locale, "apology.unexpected")))

    async def _substitute(
        self, place: Place, claim: Claim, parts: Sequence[FormattedText], index: int, message_id: int
    ) -> int:
        """The id of a new message for one that was deleted. Raises MessageMissing if that one was a substitute itself:
        a person who deletes it twice does not want it.
        """
        substitutes = self._substitutes.setdefault(claim.id, set())
        if message_id in substitutes:
            raise MessageMissing
        substitutes.add(fresh := await self._post(place, claim, parts, index))
        return fresh

    async def _post(self, place: Place, claim: Claim, parts: Sequence[FormattedText], index: int) -> int:
        """Post the message for a part; its id. People are notified of the first part, and once."""
        if index > 0 or claim.id in self._in_doubt:
            return await self._api.post(place)
        try:
            with self._posting(claim):
                return await self._api.post(place, opening(parts[0].text))
        except TextRefused:
            return await self._api.post(place)

    @contextmanager
    def _posting(self, claim: Claim) -> Iterator[None]:
        """Post a message of a turn. If that fails, the turn is in doubt: people may have been notified all the same."""
        try:
            yield
        except (RateLimited, ChatMoved):
            raise
        except (DeliveryFailed, DeliveryRejected):
            self._in_doubt.add(claim.id)
            raise

    async def _following_the_group(self, claim: Claim, show: Callable[[Claim], Awaitable[R]]) -> R:
        """Call `show`, and once more if the group turns out to have another id."""
        try:
            return await show(claim)
        except ChatMoved as error:
            self.move(self._place(claim).chat, error.chat)
            return await show(claim)

    def _parts(self, claim: Claim, reply: Reply) -> list[FormattedText]:
        """The reply in parts that fit. Only the model's replies are Markdown; a command's text is shown as it is."""
        text = with_additions(reply)
        whole = from_markdown(text) if reply.source in ANSWERS else FormattedText(text=text)
        is_public = claim.message.kind is Kind.GROUP and not claim.is_aside
        return split(without_mentions(whole) if is_public else whole)

    def _place(self, claim: Claim) -> Place:
        """Where the reply goes. In a group it replies to the question, but a move renumbers messages."""
        conversation = claim.message.conversation
        chat = int(conversation.chat)
        has_moved = chat in self._moved
        is_reply = claim.message.kind is Kind.GROUP and not has_moved
        topic, reply_to = conversation.thread, claim.message.reference if is_reply else ""
        if reply_to == topic:
            reply_to = ""
        if topic.startswith(ROOT):
            topic, reply_to = "", topic.removeprefix(ROOT)
        return Place(chat=self._moved[chat] if has_moved else chat, thread=int(topic or 0), reply_to=int(reply_to or 0))


def _known_messages(claim: Claim, chat: int) -> Handle:
    """The claim's messages in `chat`; none if its handle is of another chat, whose message ids mean nothing here."""
    known = Handle.parse(claim.handle)
    return known if known and known.chat == chat else Handle(chat=chat)
