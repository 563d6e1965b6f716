from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.messages import Author, Message, Quote, Relation, Reply, Source, Turn
from core.stages.suggested import suggested
from core.store import Store, turns
from core.store.history import Keeping
from core.store.people import find_or_add
from core.store.turns import Lease
from tests.core.conftest import Write

QUESTIONS = ("When do you open?", "Where do I open it?")
KEEPING = Keeping(max_tokens=1000, shared=False)


async def add(store: Store, message: Message, now: float) -> int:
    def insert(connection: sa.Connection) -> int:
        return turns.add(connection, find_or_add(connection, message.sender).id, message, "en", now)

    return await store.run(insert)


async def suggest(store: Store, message: Message, now: float) -> None:
    """Answer a message with suggestions."""
    await add(store, message, now)
    claim = await store.run(turns.claim_waiting, Lease(owner="me", now=now, until=now + 10), ["test/w"])
    assert claim is not None
    reply = Reply(text="unsure", source=Source.REFUSAL, suggestions=QUESTIONS)
    await store.run(turns.finish, claim, "me", reply, now, KEEPING)
    await store.run(turns.mark_delivered, claim, "me")


async def asked(store: Store, message: Message, now: float) -> tuple[str, str]:
    """What the stage makes of a message, and what the store has of it."""
    turn_id = await add(store, message, now)
    passed: list[str] = []

    async def rest(turn: Turn) -> Reply:
        passed.append(turn.message.text)
        return Reply(text="ok", source=Source.MODEL)

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    await suggested(store)(Turn(id=turn_id, message=message, sink=sink), rest)
    stored = await store.read(lambda c: c.scalar(sa.text(f"SELECT text FROM turns WHERE id = {turn_id}")))
    return passed[0], str(stored)


@pytest.mark.parametrize("number", ["2", " 2. ", "2)", "２", "②", "2。"])
async def test_a_number_asks_the_suggested_question(
    store: Store, clock: ManualClock, write: Write, number: str
) -> None:
    """The question takes the place of the number, in the store too, so that the history shows what was asked."""
    await suggest(store, write("opening?"), clock.now())
    assert await asked(store, write(number), clock.now()) == (QUESTIONS[1], QUESTIONS[1])


@pytest.mark.parametrize("text", ["3", "0", "12", "2 apples", "x", "-1", "½"])
async def test_other_words_stay_as_they_are(store: Store, clock: ManualClock, write: Write, text: str) -> None:
    """A number that was not offered, or a text that is more than one, is answered as it is."""
    await suggest(store, write("opening?"), clock.now())
    assert await asked(store, write(text), clock.now()) == (text, text)


async def test_a_reply_to_the_suggestions_may_quote_them(store: Store, clock: ManualClock, write: Write) -> None:
    """In a group people answer the bot by a reply to its message, which quotes the bot."""
    await suggest(store, write("opening?"), clock.now())
    quoting = replace(write("1"), quotes=(Quote(relation=Relation.REPLIED, author=Author.BOT, text="unsure"),))
    assert await asked(store, quoting, clock.now()) == (QUESTIONS[0], QUESTIONS[0])


async def test_only_the_last_reply_counts(store: Store, clock: ManualClock, write: Write) -> None:
    """A number after another message, in another chat, of another person, or with a quote picks nothing."""
    await suggest(store, write("opening?", chat="c"), clock.now())
    quoting = replace(write("1", chat="c"), quotes=(Quote(relation=Relation.REPLIED, text="one or two?"),))
    for message in (write("1", chat="d"), write("1", chat="c", who="bob"), quoting):
        assert (await asked(store, message, clock.now()))[0] == "1"
    await add(store, write("never mind", chat="c"), clock.now())
    assert (await asked(store, write("1", chat="c"), clock.now()))[0] == "1"
