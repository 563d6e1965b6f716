"""Telegram's Bot API as the bot uses it: calls within the rate limit, and failures as errors of `core/errors.py`.

No call is repeated here. The library's errors do not leave this file, since the text of some holds the token.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardMarkup,
    InputMediaDocument,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.constants import ChatAction
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from bots.connection import Connection
from bots.markdown import FormattedText
from bots.proxies import refusal_of_proxy
from bots.telegram.answers import AnswerRefused
from bots.telegram.budget import Budget
from bots.telegram.identity import Identity
from bots.telegram.text import entities
from core.errors import AnswerUnreadable, DeliveryFailed, DeliveryRejected, RateLimited, TokenRefused

UNREADABLE = (AnswerRefused, KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""Errors for an answer of another form than Telegram documents, as from a proxy."""
RETRY_AFTER, TOKEN_RETRY_AFTER = 5.0, 60.0
"""Seconds until a reply is offered again: after a failure of Telegram or the network, and without a usable token."""
PLACEHOLDER = "…"
MISSING = ("message to edit not found", "message_id_invalid", "message can't be edited", "message can't be deleted")
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
WANTED_UPDATES = ["message", "edited_message", "callback_query", "my_chat_member"]
"""The kinds of updates to receive. They are always sent, since Telegram otherwise goes by the list it had last."""
MAX_TOPIC = 128
"""Characters of a topic's name (Bot API, createForumTopic)."""
MOST_UPDATES = 100
"""Updates that Telegram returns at once, at most."""
GET_UPDATES = "get_Updates"
"""Spelled so that the library returns updates as JSON. If it parses them, one bad update fails the whole batch."""


class MessageMissing(DeliveryRejected):
    """The message to edit has been deleted; or one can no longer be edited, or deleted."""

    def __init__(self) -> None:
        super().__init__("no such message")


class TextRefused(DeliveryRejected):
    """Telegram does not take a text, or the way it is formatted."""


class ChatMoved(DeliveryRejected):
    """The group became a supergroup and has another id, `chat`."""

    def __init__(self, chat: int) -> None:
        super().__init__("the group was upgraded")
        self.chat = chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Telegram shows of the bot: the description in an empty chat, and the short one on its profile."""

    description: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A chat, its topic (0 for none), and the message to reply to (0 for none)."""

    chat: int
    thread: int = 0
    reply_to: int = 0


class TelegramApi:
    """Raises DeliveryFailed if a call may succeed later, DeliveryRejected if it will not.

    Methods whose name ends in `_now` do not wait for the rate limit: `may_preview` has been asked before.
    """

    def __init__(self, bot: Bot, budget: Budget, connection: Connection) -> None:
        self._bot = bot
        self._budget = budget
        self._connection = connection

    async def identify(self) -> Identity:
        """The account that the token belongs to."""
        with self._translated_errors():
            user = await self._bot.get_me()
            hears_all = user.can_read_all_group_messages or False
            return Identity(id=user.id, username=user.username or "", hears_all=hears_all)

    async def get_updates(
        self, offset: int, *, poll: int, read_timeout: float, limit: int = MOST_UPDATES
    ) -> list[object]:
        """The updates from `offset` on, which confirms those before it. Waits up to `poll` seconds for the first.

        If one alone cannot be read, it is counted, and only its number is returned.
        """
        asked = {"offset": offset, "limit": limit, "timeout": poll, "allowed_updates": WANTED_UPDATES}
        with self._translated_errors():
            try:
                updates: object = await self._bot.do_api_request(
                    GET_UPDATES, api_kwargs=asked, read_timeout=read_timeout
                )
            except AnswerRefused as error:
                if limit > 1 or len(error.updates) != 1:
                    raise
                self._connection.skip("no JSON", update=error.updates[0])
                return [{"update_id": error.updates[0]}]
            if not isinstance(updates, list):
                raise TypeError
            return updates

    async def set_webhook(self, url: str, secret: str) -> None:
        """Have updates sent to `url`. Updates that wait are kept."""
        with self._translated_errors():
            await self._bot.set_webhook(url, secret_token=secret, allowed_updates=WANTED_UPDATES)

    async def delete_webhook(self) -> None:
        """Have updates wait for `get_updates`, which is refused while a webhook is set."""
        with self._translated_errors():
            await self._bot.delete_webhook()

    async def webhook_url(self) -> str:
        """Where updates are sent now; empty if there is no webhook."""
        with self._translated_errors():
            return (await self._bot.get_webhook_info()).url

    async def set_menu(self, menu: Sequence[BotCommand], language: str | None = None) -> None:
        """Offer commands to people whose Telegram speaks a language; None for all others."""
        with self._translated_errors():
            await self._bot.set_my_commands(menu, language_code=language)

    async def describe(self, profile: Profile, language: str | None = None) -> None:
        """Show a description to people whose Telegram speaks a language; None for all others. What is shown already is
        not sent again.
        """
        with self._translated_errors():
            if (await self._bot.get_my_description(language)).description != profile.description:
                await self._bot.set_my_description(profile.description, language)
            if (await self._bot.get_my_short_description(language)).short_description != profile.short:
                await self._bot.set_my_short_description(profile.short, language)

    async def answer_button(self, query_id: str, words: str | None) -> None:
        """Stop the spinner of a button, and show some words if there are any. Telegram does not limit these calls."""
        with self._translated_errors():
            await self._bot.answer_callback_query(query_id, words)

    def may_preview(self, chat: int, *, leave: int) -> bool:
        """Spend one call on a preview if the rate limit then still has room for `leave` more."""
        return self._budget.try_take(chat, leave=leave)

    def has_room(self, chat: int, *, leave: int) -> bool:
        """Whether a preview might be shown now, so that it is worth to lay it out. Spends nothing."""
        return self._budget.has_room(chat, leave=leave)

    async def open_topic(self, chat: int, name: str) -> int:
        """Open a topic in a group; its id. Not idempotent. Raises TextRefused if the group has no topics, or the bot
        may not open one.
        """
        await self._budget.take(chat)
        with self._translated_errors(chat):
            return (await self._bot.create_forum_topic(chat, name[:MAX_TOPIC])).message_thread_id

    async def post(self, place: Place, words: str = "") -> int:
        """Post a message that notifies people of some words, or a silent placeholder if there are none; its id.

        If this raises DeliveryFailed, the message may exist all the same, unless the error is RateLimited.
        """
        await self._budget.take(place.chat)
        return await self.post_now(place, words)

    async def post_now(self, place: Place, words: str = "", keyboard: InlineKeyboardMarkup | None = None) -> int:
        reply = ReplyParameters(place.reply_to, allow_sending_without_reply=True) if place.reply_to else None
        with self._translated_errors(place.chat):
            message = await self._bot.send_message(
                place.chat,
                words or PLACEHOLDER,
                disable_notification=not words,
                message_thread_id=place.thread or None,
                reply_parameters=reply,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
            )
            return message.message_id

    async def edit(
        self, chat: int, message_id: int, text: FormattedText, keyboard: InlineKeyboardMarkup | None
    ) -> None:
        """Put a text into a message of the bot. Idempotent."""
        await self._budget.take(chat)
        await self.edit_now(chat, message_id, text, keyboard)

    async def edit_now(
        self, chat: int, message_id: int, text: FormattedText, keyboard: InlineKeyboardMarkup | None
    ) -> None:
        with self._translated_errors(chat):
            await self._bot.edit_message_text(
                text.text,
                chat,
                message_id,
                entities=entities(text) or None,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
            )

    async def delete(self, chat: int, message_id: int) -> None:
        """Delete a message of the bot. Idempotent.

        Raises MessageMissing if it is too old for that: Telegram allows it for 48 hours.
        """
        await self._budget.take(chat)
        with self._translated_errors(chat):
            await self._bot.delete_message(chat, message_id)

    async def replace_keyboard(self, chat: int, message_id: int, keyboard: InlineKeyboardMarkup) -> None:
        """Put other buttons under a message of the bot. Idempotent."""
        await self._budget.take(chat)
        with self._translated_errors(chat):
            await self._bot.edit_message_reply_markup(chat, message_id, reply_markup=keyboard)

    async def edit_into_file(self, chat: int, message_id: int, name: str, text: str, caption: str) -> None:
        """Replace the content of a message of the bot by a file with a caption. Idempotent."""
        await self._budget.take(chat)
        document = InputMediaDocument(text.encode(), caption=caption, filename=name)
        with self._translated_errors(chat):
            await self._bot.edit_message_media(document, chat, message_id)

    async def draft_now(self, place: Place, draft_id: int, text: FormattedText) -> None:
        """Show a text as the draft of a message. An empty one shows as "Thinking..."."""
        with self._translated_errors(place.chat):
            await self._bot.send_message_draft(
                place.chat, draft_id, text.text, place.thread or None, entities=entities(text) or None
            )

    async def type_now(self, place: Place) -> None:
        """Show for five seconds that the bot is typing."""
        with self._translated_errors(place.chat):
            await self._bot.send_chat_action(place.chat, ChatAction.TYPING, place.thread or None)

    @contextmanager
    def _translated_errors(self, chat: int | None = None) -> Iterator[None]:
        """Raise the library's errors as ours, and pause the `chat` if Telegram asks for it."""
        try:
            yield
        except RetryAfter as error:
            seconds = _seconds(error)
            if chat is not None:
                self._budget.pause(chat, seconds)
            raise RateLimited(retry_after=seconds, reason="rate limit") from None
        except ChatMigrated as error:
            raise ChatMoved(error.new_chat_id) from None
        except Forbidden as error:
            raise DeliveryRejected(error.message) from None
        except BadRequest as error:
            _check_refusal(error.message)
        except InvalidToken:
            raise TokenRefused(retry_after=TOKEN_RETRY_AFTER, reason="the token is not accepted") from None
        except Conflict:
            raise DeliveryFailed(retry_after=RETRY_AFTER, reason="another program takes this bot's updates") from None
        except UNREADABLE as error:
            raise AnswerUnreadable(retry_after=RETRY_AFTER, reason=type(error).__name__) from None
        except TelegramError as error:
            raise _unreachable(error) from None
        self._connection.heard()


def _unreachable(error: TelegramError) -> DeliveryFailed:
    """The error for a call that did not reach Telegram, or that Telegram cannot answer now."""
    if isinstance(error.__cause__, httpx.ProxyError):
        return refusal_of_proxy(error.__cause__)
    return DeliveryFailed(retry_after=RETRY_AFTER, reason=type(error).__name__)


def _check_refusal(message: str) -> None:
    """Raise the error for an HTTP 400, which is final. If the text is in place already, or the message deleted, it is
    none.
    """
    said = message.lower()
    if "message is not modified" in said or "message to delete not found" in said:
        return
    if any(words in said for words in MISSING):
        raise MessageMissing
    raise TextRefused(message)


def _seconds(error: RetryAfter) -> float:
    value = error.retry_after
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
