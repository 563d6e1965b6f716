"""What people see of a button press: the spinner ends, a notice that they alone read, and the mark of their vote."""

import asyncio

import structlog

from bots.telegram.api import TelegramApi
from bots.telegram.buttons import Buttons
from bots.telegram.payloads import CallbackQuery, Post
from core.buttons import Receipt
from core.errors import DeliveryFailed, DeliveryRejected

log = structlog.get_logger()


class Acknowledgements:
    """Acknowledges presses. A failure is logged and ignored, since what the button does is done."""

    def __init__(self, api: TelegramApi, buttons: Buttons) -> None:
        self._api = api
        self._buttons = buttons
        self._in_order = asyncio.Lock()

    async def show(self, query: CallbackQuery, receipt: Receipt) -> None:
        """Answer the query, and mark a vote.

        A private chat has one voter, so the mark stands in the keyboard. In a group it would be taken for everybody's,
        so the notice names the vote.
        """
        post = query.message
        pressed = self._buttons.read(query.data, post.chat.id) if post else None
        is_private = post is not None and post.chat.type == "private"
        named = pressed.button.face if pressed and receipt.vote and not is_private else ""
        await self._answer(query.id, f"{named} {receipt.notice}".strip())
        if post and pressed and receipt.vote and is_private:
            await self._mark(post, pressed.turn_id, receipt.vote)

    async def _answer(self, query_id: str, words: str) -> None:
        try:
            await self._api.answer_button(query_id, words or None)
        except (DeliveryFailed, DeliveryRejected) as error:
            log.debug("button not acknowledged", reason=error.reason)

    async def _mark(self, post: Post, turn_id: int, vote: int) -> None:
        """Mark votes one after another, so that the last one stays."""
        chat, marked = post.chat.id, self._buttons.under(turn_id, post.chat.id, vote=vote)
        async with self._in_order:
            try:
                await self._api.replace_keyboard(chat, post.message_id, marked)
            except (DeliveryFailed, DeliveryRejected) as error:
                log.debug("vote not marked", reason=error.reason)
