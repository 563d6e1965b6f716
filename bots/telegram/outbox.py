"""Calls that reach a chat, within the budget, and what Telegram's refusals mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from bots.telegram.budget import Budget, Flooded
from bots.telegram.text import Rich
from core.errors import DeliveryFailed, ParleyError

log = structlog.get_logger()

TROUBLE = (TelegramError, KeyError, TypeError, AttributeError, ValueError)
"""What a call may end in: what is behind the address need not be Telegram, and the library trusts its answers."""
LATER = 5.0
"""Seconds after which a call is tried again that nothing is known of."""
MUCH_LATER = 60.0
"""The same where the token is refused."""
WAITING = "…"
"""The text of a placeholder."""
NOT_THERE = ("message to edit not found", "message_id_invalid", "message can't be edited")
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class Unreachable(ParleyError):
    """The chat cannot be written to, now or later."""


class Missing(Unreachable):
    """The message to edit is not there any more."""


class Elsewhere(Unreachable):
    """The group has another id now."""

    def __init__(self, chat: int) -> None:
        super().__init__("the group was upgraded")
        self.chat = chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A chat, its topic if it has any (0 for none), and the message that is answered (0 for none)."""

    chat: int
    thread: int = 0
    reply_to: int = 0


class Outbox:
    """Writes to chats. Nothing is tried twice here."""

    def __init__(self, bot: Bot, budget: Budget) -> None:
        self._bot = bot
        self._budget = budget

    def may_preview(self, chat: int, *, leave: int) -> bool:
        return self._budget.try_take(chat, leave=leave)

    async def post(self, place: Place) -> int:
        """A new placeholder's message id, when it is due. Raises DeliveryFailed when it may or may not be there."""
        await self._budget.take(place.chat)
        return await self.post_now(place)

    async def post_now(self, place: Place) -> int:
        reply = ReplyParameters(place.reply_to, allow_sending_without_reply=True) if place.reply_to else None
        with self._explained(place.chat):
            message = await self._bot.send_message(
                place.chat,
                WAITING,
                message_thread_id=place.thread or None,
                reply_parameters=reply,
                link_preview_options=NO_PREVIEW,
            )
            return message.message_id

    async def put(self, chat: int, message_id: int, text: Rich, keyboard: InlineKeyboardMarkup | None) -> None:
        """Put a text into a message of ours, which may be repeated: the same again is fine."""
        await self._budget.take(chat)
        await self.put_now(chat, message_id, text, keyboard)

    async def put_now(self, chat: int, message_id: int, text: Rich, keyboard: InlineKeyboardMarkup | None) -> None:
        with self._explained(chat):
            await self._bot.edit_message_text(
                text.text,
                chat,
                message_id,
                entities=text.entities() or None,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
            )

    async def draft(self, place: Place, draft_id: int, text: Rich) -> None:
        with self._explained(place.chat):
            await self._bot.send_message_draft(
                place.chat, draft_id, text.text, place.thread or None, entities=text.entities() or None
            )

    async def type(self, place: Place) -> None:
        with self._explained(place.chat):
            await self._bot.send_chat_action(place.chat, ChatAction.TYPING, place.thread or None)

    @contextmanager
    def _explained(self, chat: int) -> Iterator[None]:
        try:
            yield
        except RetryAfter as error:
            seconds = seconds_of(error)
            self._budget.pause(chat, seconds)
            raise Flooded(retry_after=seconds) from None
        except ChatMigrated as error:
            raise Elsewhere(error.new_chat_id) from None
        except Forbidden as error:
            raise Unreachable(error.message) from None
        except BadRequest as error:
            _check_refusal(error.message)
        except InvalidToken:
            raise DeliveryFailed(retry_after=MUCH_LATER) from None
        except TROUBLE:
            raise DeliveryFailed(retry_after=LATER) from None


def _check_refusal(message: str) -> None:
    """A 400 is final: said again it would be refused again, unless it says that all is as it should be."""
    said = message.lower()
    if "message is not modified" in said:
        return
    if any(words in said for words in NOT_THERE):
        raise Missing
    raise Unreachable(message)


def seconds_of(error: RetryAfter) -> float:
    """How long Telegram wants to be left alone."""
    value = error.retry_after
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
