"""Answers a bare number that picks one of the questions that the reply before suggested."""

import unicodedata
from dataclasses import replace

from core.messages import Author, Message, Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store, questions

AFTER_NUMBER = ".。)）、 "


def suggested(store: Store) -> Stage:
    """The stage that puts the suggested question in the place of its number, in the store too, for the history."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if (number := _number(turn.message.text)) and _quotes_the_bot_at_most(turn.message):
            picked = await store.run(questions.pick, turn.message, turn.id, number)
            turn = replace(turn, message=picked or turn.message)
        return await call_next(turn)

    return stage


def _quotes_the_bot_at_most(message: Message) -> bool:
    """Whether no other words come with it. In groups the bot is answered by a reply, which quotes it."""
    return all(quote.author is Author.BOT for quote in message.quotes)


def _number(text: str) -> int:
    """The digit that the text consists of, in any script: "2", "2.", "２"; 0 if it is another text."""
    digit = text.strip().rstrip(AFTER_NUMBER)
    return unicodedata.digit(digit, 0) if len(digit) == 1 else 0
