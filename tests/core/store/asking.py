"""Questions that are answered, for tests of figures."""

from core.clock import ManualClock
from core.messages import Message, Reply, Source
from core.store import Store, people, turns
from core.store.history import Keeping
from core.store.turns import UNTIMED, Lease, Took

ANSWER = Reply(text="words", source=Source.MODEL)


async def ask(
    store: Store, clock: ManualClock, message: Message, reply: Reply | None = ANSWER, *, took: Took = UNTIMED
) -> int:
    """A turn that is answered after two seconds; or never, without a reply."""
    person = await store.run(people.find_or_add, message.sender)
    turn_id = await store.run(turns.add, person.id, message, "en", clock.now())
    if reply is not None:
        lease = Lease(owner="me", now=clock.now(), until=clock.now() + 9)
        claim = await store.run(turns.claim_waiting, lease, ["test/w"])
        assert claim is not None
        clock.advance(2)
        keeping = Keeping(max_tokens=99, shared=False)
        await store.run(turns.finish, claim, "me", reply, clock.now(), keeping, took=took)
        await store.run(turns.mark_delivered, claim, "me")
    return turn_id
