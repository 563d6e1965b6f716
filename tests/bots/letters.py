"""A dead letter for tests."""

from core.clock import Clock
from core.messages import ConversationKey, Message, Person
from core.store import Store, people, turns
from core.store.turns import Lease

FRONT = "test/w"
FAULT = "KeyError at api.py:12 < delivery.py:40"


async def add_dead_letter(store: Store, clock: Clock) -> int:
    """Give up on a new turn; its id."""
    ann = Person(platform="test", workspace="w", id="ann")
    here = ConversationKey(platform="test", workspace="w", chat="ann")
    message = Message(event_keys=(), conversation=here, sender=ann, text="a secret", sent_at=clock.now())
    person = await store.run(people.find_or_add, ann)
    await store.run(turns.add, person.id, message, "en", clock.now())
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    claim = await store.run(turns.claim_waiting, lease, [FRONT])
    assert claim is not None
    await store.run(turns.bury, claim, "me", fault=FAULT)
    return claim.id
