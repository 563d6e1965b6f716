"""Truncates the context of a message so that both fit into the token limit."""

from dataclasses import replace

from core.engine.protocol import Engine
from core.errors import TooLong
from core.messages import Message, Reply, Turn
from core.pipeline import Handler, Stage
from core.stages.guard import check_length


def context(engine: Engine, max_tokens: int) -> Stage:
    """The stage that drops the oldest quoted lines until they and the message are at most `max_tokens` together."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        lines = turn.message.context.splitlines()
        while lines and not await _has_room(engine, lines, turn.message, max_tokens):
            del lines[0]
        return await call_next(replace(turn, message=replace(turn.message, context="\n".join(lines))))

    return stage


async def _has_room(engine: Engine, lines: list[str], message: Message, max_tokens: int) -> bool:
    try:
        await check_length(engine, "\n".join([*lines, message.text]), max_tokens)
    except TooLong:
        return False
    return True
