"""Refuses messages without words, and overlong ones, before the model sees them."""

from core.engine.protocol import Engine
from core.errors import EmptyText, TooLong, Unreadable
from core.messages import Message, Reply, Turn
from core.pipeline import Handler, Stage
from core.text import size_in_bytes


def guard(engine: Engine, max_tokens: int) -> Stage:
    """The stage that refuses messages without words, own or quoted, and those over `max_tokens`.

    The sender's own words are never truncated.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        _check_words(turn.message)
        await check_length(engine, turn.message.text, max_tokens)
        return await call_next(turn)

    return stage


def _check_words(message: Message) -> None:
    """Raises Unreadable or EmptyText if there is nothing to read in a message."""
    if message.has_words:
        return
    media = (*message.media, *(kind for quote in message.quotes for kind in quote.media))
    raise Unreadable(media=tuple(dict.fromkeys(media))) if media else EmptyText


async def check_length(engine: Engine, text: str, max_tokens: int) -> None:
    """Raises TooLong if a text has more than `max_tokens`.

    A byte-level tokenizer yields at most one token per byte, so short texts need not be counted.
    """
    if size_in_bytes(text) > max_tokens and (size := await engine.count_tokens(text)) > max_tokens:
        raise TooLong(size=size, limit=max_tokens, unit="tokens")
