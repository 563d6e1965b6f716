"""Forgets people: their words are in the store, in the answer cache, and in the prefix cache of the model server."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from core.classifier import OWNER
from core.clock import Clock
from core.engine.deadline import in_time
from core.engine.protocol import Engine
from core.errors import EngineError
from core.messages import Person
from core.store import Store, records, stale_scopes

STEP = 200
"""Turns deleted in a transaction, so that other people's messages do not wait for it."""
MODEL_SECONDS = 5.0
"""How long the caller waits for the model server to forget. After that it is told later."""
BATCH = 500
"""Scopes told at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is not forgotten yet.

    `in_log` says that traces in the database's log go once another program has stopped reading it. The model server
    forgets `later`, since it does not answer now, or it `never` does, since it cannot.
    """

    in_log: bool
    in_model: Literal["", "later", "never"]


async def forget_person(
    store: Store,
    engine: Engine,
    clock: Clock,
    person: Person,
    *,
    fronts: Collection[str],
    forget_answers: Callable[[Person], None],
    turn_id: int = 0,
) -> Left:
    """Delete everything that is stored about a person, empty the write-ahead log, and forget them in both caches.

    `turn_id` is the turn that asks for it, and 0 if an operator does. The `fronts` are those whose model server is
    told at once; those of other gateways are told by them. `forget_answers` is that of the answer cache. Raises
    StoreErrors: then it is to be done again.
    """
    while await store.run(records.forget, person, turn_id, limit=STEP, now=clock.now()):
        continue
    forget_answers(person)
    is_scrubbed = await store.scrub()
    return Left(in_log=not is_scrubbed, in_model=await _left_in_model(store, engine, clock, fronts))


async def _left_in_model(
    store: Store, engine: Engine, clock: Clock, fronts: Collection[str]
) -> Literal["", "later", "never"]:
    try:
        return "" if await in_time(forget_in_model(store, engine, fronts), clock, MODEL_SECONDS) else "never"
    except EngineError:
        return "later"


async def forget_in_model(store: Store, engine: Engine, fronts: Collection[str]) -> bool:
    """Tell the model server of all deletions that it has not been told of yet. False if it cannot forget.

    The classifications of all people have one scope, which goes as well. Raises EngineErrors and StoreErrors; the rest
    is told at the next call.
    """
    can_forget = True
    while stale := await store.read(stale_scopes.pending, tuple(fronts), BATCH):
        can_forget = await engine.forget([*sorted(set(stale.values())), OWNER])
        await store.run(stale_scopes.remove, tuple(stale))
    return can_forget
