"""How a turn is shown on Telegram: a placeholder, whose id is kept, and then the reply in its place."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from bots.telegram.budget import Flooded
from bots.telegram.buttons import Buttons
from bots.telegram.outbox import Elsewhere, Missing, Outbox, Place, Unreachable
from bots.telegram.previews import Previews
from bots.telegram.text import Rich, rich, split, without_mentions
from core.delivery import Claim
from core.messages import Kind, Reply, Source
from core.mood import EMOJI

R = TypeVar("R")
log = structlog.get_logger()

RATED = {Source.MODEL, Source.CACHE}
"""The replies that people are asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """The messages of one reply: "-1001:12,13" in the store."""

    chat: int
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.chat}:{','.join(map(str, self.ids))}" if self.ids else ""

    @classmethod
    def parse(cls, text: str) -> "Handle":
        chat, _, ids = text.partition(":")
        return cls(chat=int(chat), ids=tuple(map(int, ids.split(","))))

    def put(self, number: int, message_id: int) -> "Handle":
        """The handle with a message as its `number`th."""
        return replace(self, ids=(*self.ids[:number], message_id, *self.ids[number + 1 :]))


class TelegramDelivery:
    """A `Delivery`. In private chats the preview is a draft and the placeholder comes with the reply, one for each
    part of it; in groups the placeholder comes first.
    """

    def __init__(self, outbox: Outbox, previews: Previews, buttons: Buttons) -> None:
        self._outbox = outbox
        self._previews = previews
        self._buttons = buttons
        self._moved: dict[int, int] = {}
        self._substitutes: dict[int, set[int]] = {}

    def move(self, old: int, new: int) -> None:
        """A group has a new id. It need not be kept: Telegram says so again to whoever writes to the old one, and the
        store has it from the message that says so to all.
        """
        self._moved[old] = new

    async def begin(self, claim: Claim) -> str:
        try:
            return await self._following(claim, self._begin_preview)
        except Unreachable as error:
            log.warning("chat cannot be written to", turn=claim.id, reason=str(error))
            return ""

    async def preview(self, claim: Claim, piece: str) -> None:
        self._previews.add(claim.id, piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        await self._previews.end(claim.id)
        try:
            handle = str(await self._following(claim, lambda claim: self._show(claim, reply)))
        except Unreachable as error:
            log.warning("reply cannot be delivered", turn=claim.id, reason=str(error))
            handle = claim.handle
        if handle == claim.handle:
            self._substitutes.pop(claim.id, None)
        return handle

    async def drop(self, claim: Claim) -> None:
        await self._previews.end(claim.id)
        self._substitutes.pop(claim.id, None)

    async def _begin_preview(self, claim: Claim) -> str:
        """Drafts need no handle. A group whose budget is used up gets its placeholder with the reply."""
        place = self._place(claim)
        if claim.message.kind is Kind.PRIVATE:
            await self._previews.begin_drafts(claim.id, place)
            return ""
        if not self._outbox.may_preview(place.chat, leave=1):
            return ""
        try:
            message_id = await self._outbox.post_now(place)
        except Flooded:
            return ""
        await self._previews.begin_edits(claim.id, place.chat, message_id)
        return str(Handle(chat=place.chat, ids=(message_id,)))

    async def _show(self, claim: Claim, reply: Reply) -> Handle:
        """Each part of the reply in a message of its own; or, where one is missing, a placeholder more."""
        place, parts = self._place(claim), self._parts(claim, reply)
        handle = _known(claim, place.chat)
        if len(handle.ids) < len(parts):
            return handle.put(len(handle.ids), await self._outbox.post(place))
        is_rated = reply.source in RATED
        for number, (message_id, part) in enumerate(zip(handle.ids, parts, strict=False)):
            has_buttons = is_rated and number == len(parts) - 1
            keyboard = self._buttons.under(claim.id, place.chat) if has_buttons else None
            try:
                await self._outbox.put(place.chat, message_id, part, keyboard)
            except Missing:
                return handle.put(number, await self._substitute(claim, message_id))
        return handle

    async def _substitute(self, claim: Claim, message_id: int) -> int:
        """A message in place of one that somebody deleted. If it goes the same way, that is what they want."""
        substitutes = self._substitutes.setdefault(claim.id, set())
        if message_id in substitutes:
            raise Missing
        substitutes.add(fresh := await self._outbox.post(self._place(claim)))
        return fresh

    async def _following(self, claim: Claim, show: Callable[[Claim], Awaitable[R]]) -> R:
        """Do it, once more if the group turns out to be elsewhere."""
        try:
            return await show(claim)
        except Elsewhere as error:
            self.move(self._place(claim).chat, error.chat)
            return await show(claim)

    def _parts(self, claim: Claim, reply: Reply) -> list[Rich]:
        """The reply in pieces that fit. Only a model writes Markdown: what people export comes as they wrote it."""
        text = without_mentions(reply.text) if claim.message.kind is Kind.GROUP else reply.text
        whole = rich(text) if reply.source in RATED else Rich(text=text)
        if reply.mood is not None and reply.show_mood:
            whole = whole.followed_by(EMOJI[reply.mood.label])
        return split(whole)

    def _place(self, claim: Claim) -> Place:
        conversation = claim.message.conversation
        chat = int(conversation.chat)
        has_moved = chat in self._moved
        is_pointed_at = claim.message.kind is Kind.GROUP and not has_moved  # its number is another message's there
        return Place(
            chat=self._moved[chat] if has_moved else chat,
            thread=int(conversation.thread or 0),
            reply_to=int(claim.message.reference or 0) if is_pointed_at else 0,
        )


def _known(claim: Claim, chat: int) -> Handle:
    """What is shown of this turn, as far as it is known. Message ids mean nothing in another chat."""
    known = Handle.parse(claim.handle) if claim.handle else None
    return known if known and known.chat == chat else Handle(chat=chat)
