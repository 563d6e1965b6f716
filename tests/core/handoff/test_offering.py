from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.handoff import offering
from core.messages import ConversationKey, Finish, Label, Mood, Reply, Source
from core.store import Store, handoffs, people, turns, votes
from core.store.history import Keeping
from core.store.turns import Lease, Took
from tests.core.conftest import Write

KEEPING = Keeping(max_tokens=99, shared=False)
TOOK = Took(seconds=2.0, first_piece=0.5)
GOOD = Reply(text="words", source=Source.MODEL)
SAD = replace(GOOD, mood=Mood(label=Label.NEGATIVE, confidence=0.9))
FAILED = Reply(text="sorry", source=Source.REFUSAL, finish=Finish.ERROR, error="engine_lost")
SLOW = replace(GOOD, finish=Finish.TIMEOUT)
DESK = ConversationKey(platform="test", workspace="w", chat="desk")


async def answer(store: Store, clock: ManualClock, write: Write, reply: Reply, *, platform: str = "test") -> int:
    """A question that is answered, as the worker stores it where there is a help desk; its turn."""
    message = write("a question")
    message = replace(message, conversation=replace(message.conversation, platform=platform))
    person = await store.run(people.find_or_add, message.sender)
    turn_id = await store.run(turns.add, person.id, message, "en", clock.now())
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 9)
    claim = await store.run(turns.claim_waiting, lease, [message.conversation.front])
    assert claim is not None
    await store.run(offering.finish, claim, "me", reply, clock.now(), KEEPING, took=TOOK)
    await store.run(turns.mark_delivered, claim, "me")
    while offer := await store.run(turns.claim_answered, lease, [message.conversation.front]):
        await store.run(turns.mark_delivered, offer, "me")
    return turn_id


async def offers(store: Store) -> int:
    query = "SELECT count(*) FROM turns WHERE choices = '[\"person\"]'"
    return await store.read(lambda connection: connection.scalar(sa.text(query)) or 0)


async def test_the_times_of_a_reply_are_stored_with_a_help_desk_too(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """The figures of the operator, and the predicted wait, are made of them."""
    await answer(store, clock, write, GOOD)
    row = await store.read(
        lambda connection: connection.execute(sa.text("SELECT seconds, first_piece FROM turns")).one()
    )
    assert tuple(row) == (TOOK.seconds, TOOK.first_piece)


@pytest.mark.parametrize("replies", [(SAD, SAD), (FAILED, FAILED), (FAILED, SLOW), (GOOD, SLOW, FAILED)])
async def test_two_in_a_row_that_go_wrong_offer_a_person(
    store: Store, clock: ManualClock, write: Write, replies: tuple[Reply, ...]
) -> None:
    """Two bad moods, or two failures of any kind, and no sooner."""
    *before, last = replies
    for reply in before:
        await answer(store, clock, write, reply)
        assert await offers(store) == 0
    await answer(store, clock, write, last)
    assert await offers(store) == 1


@pytest.mark.parametrize("replies", [(SAD, GOOD, SAD), (SAD, FAILED), (FAILED, GOOD, FAILED), (GOOD, GOOD)])
async def test_what_goes_wrong_now_and_then_offers_nobody(
    store: Store, clock: ManualClock, write: Write, replies: tuple[Reply, ...]
) -> None:
    """A good answer in between, or another kind of trouble, begins the row anew."""
    for reply in replies:
        await answer(store, clock, write, reply)
    assert await offers(store) == 0


async def test_two_thumbs_down_offer_a_person(store: Store, clock: ManualClock, write: Write) -> None:
    """Votes count for the person who cast them: somebody else's thumb down does not."""
    first, second = [await answer(store, clock, write, GOOD) for _ in range(2)]
    ann, bob = write("").sender, write("", who="bob").sender

    async def vote(turn_id: int, who: object, value: int) -> bool:
        await store.run(votes.cast, turn_id, who, value, clock.now())  # type: ignore[arg-type]  # a person
        return await store.run(offering.offer_if_due, write("a question"), "en", clock.now())

    assert not await vote(first, ann, -1)
    assert not await vote(second, bob, -1)
    assert not await vote(second, ann, 1)
    assert await vote(second, ann, -1)


async def test_nobody_is_offered_twice_for_the_same(store: Store, clock: ManualClock, write: Write) -> None:
    """A third failure repeats no offer. After two more that follow it, the offer is made again."""
    for _ in range(3):
        await answer(store, clock, write, FAILED)
    assert await offers(store) == 1
    await answer(store, clock, write, FAILED)
    assert await offers(store) == 2


async def test_nobody_is_offered_who_is_asked_already(store: Store, clock: ManualClock, write: Write) -> None:
    """While a hand-off is open there is nothing to offer, nor in a terminal, which has no buttons."""
    await answer(store, clock, write, FAILED, platform="console")
    await answer(store, clock, write, FAILED, platform="console")
    assert await offers(store) == 0
    message = write("a person!")
    ann = await store.run(people.find_or_add, message.sender)
    await store.run(handoffs.add, ann.id, message, "en", DESK, now=clock.now(), due=clock.now() + 99)
    await answer(store, clock, write, FAILED)
    await answer(store, clock, write, FAILED)
    assert await offers(store) == 0
