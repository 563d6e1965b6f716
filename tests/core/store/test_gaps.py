from core.clock import ManualClock
from core.messages import ConversationKey, Message, Reply, Source
from core.store import Store, handoffs, people, turns, votes
from core.store.gaps import Missed, Sign, missed
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write

DESK = ConversationKey(platform="test", workspace="w", chat="desk")


async def answered(store: Store, clock: ManualClock, message: Message, *, error: str = "") -> int:
    """A delivered turn: an answer, or a refusal with this error."""
    person = await store.run(people.find_or_add, message.sender)
    turn_id = await store.run(turns.add, person.id, message, "en", clock.now())
    claim = await store.run(turns.claim_waiting, Lease(owner="me", now=clock.now(), until=clock.now() + 9), ["test/w"])
    assert claim is not None
    source = Source.REFUSAL if error else Source.MODEL
    reply = Reply(text="words", source=source, error=error, tokens=9)
    await store.run(turns.finish, claim, "me", reply, clock.now(), Keeping(max_tokens=99, shared=False))
    await store.run(turns.mark_delivered, claim, "me")
    return turn_id


async def test_each_sign_of_a_missing_answer_counts(store: Store, clock: ManualClock, write: Write) -> None:
    """A refusal for want of knowledge, a thumb down, and the last answer before a person was asked; nothing else."""
    await answered(store, clock, write("How deep is the pool?"), error="not_known")
    await answered(store, clock, write("too many"), error="throttled")
    good, bad = [await answered(store, clock, write(text)) for text in ("thumb up", "thumb down")]
    voter = write("").sender
    await store.run(votes.cast, good, voter, 1, clock.now())
    await store.run(votes.cast, bad, voter, -1, clock.now())
    await answered(store, clock, write("before the person", who="bob"))
    bob = await store.run(people.find_or_add, write("", who="bob").sender)
    clock.advance(1)
    await store.run(handoffs.add, bob.id, write("a person!", who="bob"), "en", DESK, now=clock.now(), due=clock.now())
    clock.advance(1)
    await answered(store, clock, write("after the person", who="bob"))
    assert await store.read(missed, 10) == [
        Missed(turn_id=5, text="before the person", locale="en", sign=Sign.HANDED_OVER),
        Missed(turn_id=4, text="thumb down", locale="en", sign=Sign.VOTED_DOWN),
        Missed(turn_id=1, text="How deep is the pool?", locale="en", sign=Sign.REFUSED),
    ]


async def test_a_question_counts_once_and_the_latest_come_first(store: Store, clock: ManualClock, write: Write) -> None:
    """Two thumbs down of one answer are one gap, and old questions are left out beyond the limit."""
    first, second = [await answered(store, clock, write(text)) for text in ("first", "second")]
    for turn_id, who in ((first, "ann"), (second, "ann"), (second, "bob")):
        await store.run(votes.cast, turn_id, write("", who=who).sender, -1, clock.now())
    assert [question.text for question in await store.read(missed, 10)] == ["second", "first"]
    assert [question.text for question in await store.read(missed, 1)] == ["second"]
