"""Selects what a message quotes for the prompt: nothing that the history ends with, and no more than fits."""

import re
from dataclasses import replace

from core.engine.protocol import Engine
from core.errors import TooLong
from core.language import reply_language
from core.messages import Author, Locale, Message, Quote, Relation, Reply, Turn
from core.parts import fitted, in_prompt
from core.pipeline import Handler, Stage
from core.stages.guard import check_length


def quotes(engine: Engine, max_tokens: int) -> Stage:
    """The stage that shortens the quotes until they and the message are at most `max_tokens` together.

    The sender's own words are never shortened.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        unknown = tuple(quote for quote in turn.message.quotes if not _ends_history(quote, turn))
        message = replace(turn.message, quotes=unknown)
        message = await _fitted(engine, message, reply_language(turn), max_tokens)
        return await call_next(replace(turn, message=message))

    return stage


def _ends_history(quote: Quote, turn: Turn) -> bool:
    """Whether it is the last answer, which the model reads just before the message, or a message of that answer.

    Platforms show an answer without its markup, so only letters and digits are compared.
    """
    if (quote.relation, quote.author) != (Relation.REPLIED, Author.BOT) or not turn.history or not turn.message.text:
        return False
    said = _letters(quote.text)
    return said != "" and said in _letters(turn.history[-1].answer)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


async def _fitted(engine: Engine, message: Message, language: Locale, max_tokens: int) -> Message:
    short = message
    room = sum(len(quote.text) for quote in message.quotes)
    while room and not await _fits(engine, in_prompt(short, language), max_tokens):
        room = room * 3 // 4
        short = replace(message, quotes=fitted(message.quotes, room))
    return short


async def _fits(engine: Engine, text: str, max_tokens: int) -> bool:
    try:
        await check_length(engine, text, max_tokens)
    except TooLong:
        return False
    return True
