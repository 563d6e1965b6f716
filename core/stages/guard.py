"""What the model is never asked to read: nothing at all, or more than it is meant to."""

from core.engine.protocol import Engine
from core.errors import EmptyText, TooLong
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.text import size_in_bytes


def guard(engine: Engine, max_tokens: int) -> Stage:
    """The stage that refuses empty messages and those over `max_tokens`; nothing is ever cut silently."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if not turn.message.text:
            raise EmptyText
        await check_length(engine, turn.message.text, max_tokens)
        return await call_next(turn)

    return stage


async def check_length(engine: Engine, text: str, max_tokens: int) -> None:
    """Raise TooLong for a text of more than `max_tokens`.

    A byte-level tokenizer gives at most one token a byte, so that only a long text needs to be counted.
    """
    if size_in_bytes(text) > max_tokens and (size := await engine.count_tokens(text)) > max_tokens:
        raise TooLong(size=size, limit=max_tokens, unit="tokens")
