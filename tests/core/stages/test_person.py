from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.help_desk import HelpDesk
from core.intent import Intent, IntentReader
from core.messages import Choice, ConversationKey, Reply, Source, Turn
from core.stages.person import person
from core.store import Store
from tests.core.conftest import Write

DESK = HelpDesk(
    place=ConversationKey(platform="test", workspace="w", chat="desk"), operators=frozenset({"test:op"}), timeout=600.0
)
ANSWER = Reply(text="an answer", source=Source.MODEL)


async def reply_to(store: Store, clock: ManualClock, write: Write, text: str, intent: Intent) -> tuple[Reply, int]:
    """What the stage replies, and how often the model was asked for an intent."""
    read: list[str] = []

    def intent_of(asked: str) -> Intent:
        read.append(asked)
        return intent

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    async def rest(_turn: Turn) -> Reply:
        return ANSWER

    engine = ScriptedEngine.fixed()
    engine.intent = intent_of
    message = write(text)
    there = replace(message, conversation=replace(message.conversation, platform="telegram"))
    stage = person(store, DESK, IntentReader(engine), clock.now)
    return await stage(Turn(id=1, message=there, sink=sink), rest), len(read)


async def test_a_person_is_offered_by_intent(store: Store, clock: ManualClock, write: Write) -> None:
    """A wish in other words than those that are known gets the offer of a person, with a button."""
    reply, _ = await reply_to(store, clock, write, "Could one of your colleagues ring me back?", Intent.PERSON)
    assert reply.choices == (Choice.ASK,)
    assert reply.text.startswith("Would you rather talk with a person?")


async def test_another_intent_is_answered(store: Store, clock: ManualClock, write: Write) -> None:
    """A message that mentions people and asks for none goes its way."""
    assert (await reply_to(store, clock, write, "How many people work there?", Intent.QUESTION))[0] == ANSWER


@pytest.mark.parametrize("text", ["When do you open?", "几点开门？", "a person " * 40])
async def test_most_messages_are_not_read_for_it(store: Store, clock: ManualClock, write: Write, text: str) -> None:
    """A message without a word for a person, or a long one, costs no reading."""
    assert await reply_to(store, clock, write, text, Intent.PERSON) == (ANSWER, 0)


async def test_known_words_need_no_reading(store: Store, clock: ManualClock, write: Write) -> None:
    """The words that ask for a person are enough, and hand the conversation over at once."""
    reply, read = await reply_to(store, clock, write, "a person, please", Intent.OTHER)
    assert (reply.text.startswith("I have asked a person"), read) == (True, 0)
