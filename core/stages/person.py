"""Hands a conversation over to a person who is asked for, and keeps the model silent while one has it."""

from collections.abc import Callable

from core.commands import has_buttons
from core.handoff import asking
from core.handoff.offering import offer_in
from core.handoff.words import agrees, asks_for_a_person, mentions_a_person
from core.help_desk import HelpDesk
from core.intent import Intent, IntentReader
from core.language import reply_language
from core.messages import Reply, Source, Turn
from core.pipeline import Handler, Stage
from core.store import Store


def person(store: Store, desk: HelpDesk | None, intents: IntentReader | None, now: Callable[[], float]) -> Stage:
    """The stage that asks the operators in if the message asks for a person, or is a yes to the offer of one. Without a
    help desk it does nothing.

    If only its intent says so, as `intents` reads it, a person is offered: the model may be wrong.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if desk is None or not has_buttons(turn.message.conversation):
            return await call_next(turn)
        if asks_for_a_person(turn.message.text) or await _is_taken(turn) or await _agrees(turn):
            return await hand_over(store, desk, turn, now())
        if intents is not None and mentions_a_person(turn.message.text) and await _wants_one(turn, intents):
            return offer_in(turn.message.conversation, turn.locale)
        return await call_next(turn)

    async def _agrees(turn: Turn) -> bool:
        return agrees(turn.message.text) and await store.read(asking.was_just_offered, turn.message, turn.id)

    async def _is_taken(turn: Turn) -> bool:
        return await store.read(asking.is_taken, turn.message)

    return stage


async def _wants_one(turn: Turn, intents: IntentReader) -> bool:
    reading = await intents.read(turn.message.text, reply_language(turn))
    return reading.label is Intent.PERSON


async def hand_over(store: Store, desk: HelpDesk, turn: Turn, now: float) -> Reply:
    """Hand the conversation of a turn over; what the customer is told."""
    words = await store.run(asking.ask, turn.message, desk, turn.locale, now)
    return Reply(text=words, source=Source.COMMAND)
