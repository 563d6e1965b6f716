"""Refuses empty and overlong messages before the model sees them."""

from core.engine.protocol import Engine
from core.errors import EmptyText, TooLong
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.text import size_in_bytes


def guard(engine: Engine, max_tokens: int) -> Stage:
    """The stage that refuses empty messages and those over `max_tokens`. No message is truncated."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if not turn.message.text:
            raise EmptyText
        await check_length(engine, turn.message.text, max_tokens)
        return await call_next(turn)

    return stage


async def check_length(engine: Engine, text: str, max_tokens: int) -> None:
    """Raises TooLong if a text has more than `max_tokens`.

    A byte-level tokenizer yields at most one token per byte, so short texts need not be counted.
    """
    if size_in_bytes(text) > max_tokens and (size := await engine.count_tokens(text)) > max_tokens:
        raise TooLong(size=size, limit=max_tokens, unit="tokens")
