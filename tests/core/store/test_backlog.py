"""The queue as operators see it."""

from core.clock import ManualClock
from core.messages import Reply, Source
from core.store import Store, people, turns
from core.store.backlog import Queue, queue
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
