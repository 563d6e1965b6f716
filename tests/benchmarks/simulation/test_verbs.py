"""The trips of the model are those that the store makes."""

from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

import sqlalchemy as sa

from benchmarks.simulation import database as verbs
from bots.web.visitors import conversation_of, person_named
from core.admission import Admission
from core.clock import SystemClock
from core.keys import Scope, add_key
from core.messages import Message, Reply, Source
from core.side_by_side import SIDE_BY_SIDE
from core.store import history, open_store, people, transcripts, turns
from core.store.history import Keeping
from core.store.states import WAITING
from core.store.turns import Lease
from tests.options import limits_with

T = TypeVar("T")
AROUND = 2
"""Trips of a transaction that are no statements of ours: its begin and its commit."""


class Nobody:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


async def test_each_verb_makes_the_trips_of_the_model(empty_postgresql: str) -> None:
    """A message from the HTTP interface, from its key to its delivery, with a history before it."""
    clock, statements = SystemClock(), Counter[str]()
    person = person_named("k-shop:anna", "en", "shop")
    place = conversation_of(person)
    async with open_store(empty_postgresql, beside=SIDE_BY_SIDE) as store:
        sa.event.listen(store.transactions.engine, "before_cursor_execute", lambda *_: statements.update(["made"]))
        admission = Admission(store, clock, limits_with(), Nobody())
        key = await store.run(add_key, "shop", [Scope.CHAT], bytes(32), clock.now())

        async def trips(work: Awaitable[T]) -> tuple[int, T]:
            statements.clear()
            done = await work
            return statements["made"] + AROUND, done

        for number in range(2):
            message = Message(
                event_keys=(f"{number}",), conversation=place, sender=person, text="hello", sent_at=clock.now()
            )
            lease, fronts = Lease(owner="me", now=clock.now(), until=clock.now() + 60), (place.front,)
            reply, keeping = Reply(text="hi", source=Source.MODEL, tokens=9), Keeping(max_tokens=1024, shared=False)
            find_key, _ = await trips(admission.key(key))
            accept, _ = await trips(admission.accept(message))
            transcript, _ = await trips(admission.transcript(place, person, 100))
            claim, claimed = await trips(store.run(turns.claim_waiting, lease, fronts))
            assert claimed
            claim_nothing, _ = await trips(store.run(turns.claim_waiting, lease, fronts))
            deliver_nothing, _ = await trips(store.run(turns.claim_answered, lease, fronts))
            due, _ = await trips(store.run(turns.next_due, WAITING, clock.now(), fronts))
            unclaimed, _ = await trips(store.run(turns.has_unclaimed, fronts))
            preferences, _ = await trips(store.run(people.find_or_add, person))
            past, _ = await trips(store.run(history.load, place, person, before=claimed.id))
            look, _ = await trips(store.read(transcripts.one, claimed.id))
            finish, _ = await trips(store.run(turns.finish, claimed, "me", reply, clock.now(), keeping))
            changed, _ = await trips(store.run(turns.changed, "me"))
            delivered, _ = await trips(store.run(turns.mark_delivered, claimed, "me"))
    assert (find_key, accept, transcript) == trips_of(verbs.FIND_KEY, verbs.ACCEPT, verbs.TRANSCRIPT)
    assert (claim, claim_nothing) == trips_of(verbs.CLAIM, verbs.CLAIM_NOTHING)
    assert (deliver_nothing, look) == trips_of(verbs.DELIVER_NOTHING, verbs.LOOK)
    assert (due, unclaimed) == trips_of(verbs.NEXT_DUE, verbs.HAS_UNCLAIMED)
    assert (preferences, past) == trips_of(verbs.PREFERENCES, verbs.HISTORY)
    assert (finish, changed, delivered) == trips_of(verbs.FINISH, verbs.CHANGED, verbs.DELIVERED)


def trips_of(*found: verbs.Verb) -> tuple[int, ...]:
    return tuple(verb.trips for verb in found)
