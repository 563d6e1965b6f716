"""The queue as operators see it."""

from core.clock import ManualClock
from core.messages import Reply, Source, Usage
from core.store import Store, people, turns
from core.store.backlog import OpenTurn, Queue, queue, under_way
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write

FRONT = "test/w"


async def test_open_turns_are_counted_by_state(store: Store, clock: ManualClock, write: Write) -> None:
    """The oldest one that waits gives the age; delivered turns count for nothing."""
    assert await store.read(queue) == Queue(waiting=0, running=0, answered=0, since=None)
    for who in ("ann", "bob", "cem", "dan", "eve"):
        person = await store.run(people.find_or_add, write("", who=who).sender)
        await store.run(turns.add, person.id, write("hello", who=who), "en", clock.now())
        clock.advance(1)
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 9)
    claims = [await store.run(turns.claim_waiting, lease, [FRONT]) for _ in range(3)]
    delivered, answered, _ = claims
    assert delivered
    assert answered
    for claim in (delivered, answered):
        reply = Reply(text="hi", source=Source.MODEL)
        await store.run(turns.finish, claim, "me", reply, clock.now(), Keeping(max_tokens=9, shared=False))
    await store.run(turns.mark_delivered, delivered, "me")
    assert await store.read(queue) == Queue(waiting=2, running=1, answered=1, since=clock.now() - 2)


async def test_open_turns_are_shown_as_they_are(store: Store, clock: ManualClock, write: Write) -> None:
    """Oldest first, each with its state and since when, and the tokens once there are any; nothing that was said."""
    begun = clock.now()
    for who in ("ann", "bob", "cem", "dan", "eve"):
        person = await store.run(people.find_or_add, write("", who=who).sender)
        await store.run(turns.add, person.id, write("canary", who=who), "en", clock.now())
    clock.advance(2)
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 9)
    answered, delivered, buried, _ = [await store.run(turns.claim_waiting, lease, [FRONT]) for _ in range(4)]
    assert answered
    assert delivered
    assert buried
    clock.advance(3)
    reply = Reply(text="canary", source=Source.MODEL, usage=Usage(completion_tokens=7))
    for claim in (answered, delivered):
        await store.run(turns.finish, claim, "me", reply, clock.now(), Keeping(max_tokens=9, shared=False))
    await store.run(turns.mark_delivered, delivered, "me")
    await store.run(turns.bury, buried, "me", fault="KeyError")
    shown = await store.read(under_way)
    assert [(turn.id, turn.state, turn.since - begun, turn.attempts, turn.tokens) for turn in shown] == [
        (1, "answered", 5, 1, 7),
        (4, "running", 2, 1, None),
        (5, "waiting", 0, 0, None),
    ]
    first = OpenTurn(id=1, platform="test", state="answered", accepted_at=begun, since=begun + 5, attempts=1, tokens=7)
    assert await store.read(under_way, 1) == (first,)
