"""Verbs that run beside each other, from two gateways with several connections each, keep what they promise."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import accepting, corrections
from core.accepting import Accepted, Duplicate, Refused
from core.clock import ManualClock
from core.errors import MessageChanged, Throttled
from core.keys import Scope, add_key, find_key
from core.messages import Edit, Message, Reply, Source, Ties
from core.side_by_side import SIDE_BY_SIDE
from core.store import Store, events, installation, open_store, people, records, turns
from core.store.alone import alone
from core.store.history import Keeping
from core.store.schema import turns as table
from core.store.states import WAITING
from core.store.turns import Lease
from core.tokens import ENTROPY_BYTES
from tests.core.conftest import Write
from tests.options import limits_with

FRONTS = ("test/w",)
FREE = limits_with(allow=frozenset({"test:*"}), per_minute=1e9, burst=10**6, max_queued=10**6, max_wait=1e9)
KEEPING = Keeping(max_tokens=100, shared=False)
REPLY = Reply(text="hi", source=Source.MODEL, tokens=20)


@pytest.fixture
async def gateways(empty_postgresql: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two gateways with one database."""
    async with (
        open_store(empty_postgresql, beside=SIDE_BY_SIDE) as one,
        open_store(empty_postgresql, beside=SIDE_BY_SIDE) as other,
    ):
        yield one, other


@dataclass(slots=True, kw_only=True)
class Office:
    """Workers that answer turns, and what they notice."""

    clock: ManualClock
    claimed: Counter[int] = field(default_factory=Counter)
    running: set[str] = field(default_factory=set)
    order: dict[str, list[int]] = field(default_factory=dict)
    owners: Iterator[int] = field(default_factory=count)

    async def work(self, store: Store, until: asyncio.Event) -> None:
        """Claim, answer and deliver until nothing is left and no more will come. Every third turn is released once."""
        owner = f"owner {next(self.owners)}"
        lease = Lease(owner=owner, now=self.clock.now() + 1, until=self.clock.now() + 999)
        while True:
            is_last = until.is_set()
            claim = await store.run(turns.claim_waiting, lease, FRONTS)
            if claim is None:
                if is_last and not await store.run(unanswered):
                    return
                continue
            place = str(claim.message.conversation)
            assert place not in self.running
            self.running.add(place)
            self.claimed[claim.id] += 1
            await self._do_what_others_do(store, owner)
            if claim.id % 3 == 0 and self.claimed[claim.id] == 1:
                self.running.discard(place)
                await store.run(turns.release, claim, owner)
                continue
            self.order.setdefault(place, []).append(claim.id)
            await store.run(turns.set_handle, claim, owner, "shown")
            await store.run(turns.renew, lease)
            self.running.discard(place)
            assert await store.run(turns.finish, claim, owner, REPLY, self.clock.now(), KEEPING)
            assert await store.run(turns.mark_delivered, claim, owner)

    async def _do_what_others_do(self, store: Store, owner: str) -> None:
        """The rest of the verbs that run beside these: of /ready, of looks, of a heartbeat and of a program."""
        await store.run(installation.touch, self.clock.now())
        await store.run(turns.next_due, WAITING, self.clock.now(), FRONTS)
        await store.run(turns.has_unclaimed, FRONTS)
        assert await store.run(turns.changed, owner) == ()
        assert await store.run(find_key, "parley_unknown", self.clock.now()) is None


def unanswered(connection: sa.Connection) -> int:
    waiting = sa.select(sa.func.count()).select_from(table).where(table.c.state.in_(["waiting", "running"]))
    return connection.execute(waiting).scalar_one()


async def test_no_turn_is_claimed_twice_and_conversations_keep_their_order(
    gateways: tuple[Store, Store], clock: ManualClock, write: Write
) -> None:
    """Eight workers of two gateways answer each turn once, while messages come in; in a conversation, one at a time and
    in the order of their ids, which are committed in order.
    """
    office, done = Office(clock=clock), asyncio.Event()
    messages = [write("hello", who=f"p{number % 7}", chat=f"room {number % 5}") for number in range(30)]

    async def write_all() -> None:
        async def accept(number: int, message: Message) -> object:
            return await gateways[number % 2].run(accepting.accept, message, FREE, clock.now())

        outcomes = await asyncio.gather(*(accept(*numbered) for numbered in enumerate(messages)))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        done.set()

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(office.work(gateways[number % 2], done))
        group.create_task(write_all())
    assert len(office.claimed) == len(messages)
    assert {turn_id: 2 if turn_id % 3 == 0 else 1 for turn_id in office.claimed} == office.claimed
    assert all(ids == sorted(ids) for ids in office.order.values())
    assert await gateways[0].read(states) == {"delivered": len(messages)}


def states(connection: sa.Connection) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count()).group_by("state")
    return {state: many for state, many in connection.execute(query)}  # noqa: C416  rows are typed


async def test_a_burst_is_exact(gateways: tuple[Store, Store], clock: ManualClock, write: Write) -> None:
    """Of forty messages that a person sends at once to two gateways, a burst of five is accepted."""
    limits = replace(FREE, per_minute=1.0, burst=5)
    await gateways[0].run(people.find_or_add, write("").sender)
    messages = [write(f"hello {number}", chat=f"room {number}") for number in range(40)]
    outcomes = await asyncio.gather(
        *(gateways[number % 2].run(accepting.accept, said, limits, clock.now()) for number, said in enumerate(messages))
    )
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Refused) and isinstance(outcome.error, Throttled) for outcome in outcomes) == 35
    assert sum(isinstance(outcome, Refused) and outcome.turn_id is not None for outcome in outcomes) == 1


async def test_a_burst_of_a_key_is_exact(gateways: tuple[Store, Store], clock: ManualClock, write: Write) -> None:
    """Of forty messages that a program writes at once for as many people, a burst of five is accepted."""
    limits = replace(FREE, key_per_minute=1.0, key_burst=5, key_max_queued=99)
    await gateways[0].run(add_key, "shop", [Scope.CHAT], bytes(ENTROPY_BYTES), clock.now())
    said = [write("hello", who=f"p{number}", chat=f"room {number}") for number in range(40)]
    messages = [replace(one, sender=replace(one.sender, program="shop")) for one in said]
    outcomes = await asyncio.gather(
        *(gateways[number % 2].run(accepting.accept, one, limits, clock.now()) for number, one in enumerate(messages))
    )
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 5


async def test_a_queue_is_exact(gateways: tuple[Store, Store], clock: ManualClock, write: Write) -> None:
    """A person has no more messages waiting than they may, however many come at once."""
    limits = replace(FREE, max_queued=3)
    await gateways[0].run(people.find_or_add, write("").sender)
    outcomes = await asyncio.gather(
        *(gateways[number % 2].run(accepting.accept, write("hello"), limits, clock.now()) for number in range(20))
    )
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 3


async def test_an_event_is_accepted_once(gateways: tuple[Store, Store], clock: ManualClock, write: Write) -> None:
    """Of messages with a key in common that come at once, one is accepted; the keys of the others leave no trace."""
    outcomes: list[object] = []
    for number in range(8):
        message = write("hello", who=f"p{number}")
        both, one, other = (
            replace(message, event_keys=tuple(f"{key}{number}" for key in keys)) for keys in ("ab", "bc", "ca")
        )
        outcomes += await asyncio.gather(
            *(
                gateways[index % 2].run(accepting.accept, said, FREE, clock.now())
                for index, said in enumerate([both, one, other, both, one, other])
            )
        )
    assert Counter(map(type, outcomes)) == {Accepted: 8, Duplicate: 40}
    assert await gateways[0].read(lambda c: c.scalar(sa.text("SELECT count(*) FROM events"))) == 16
    assert await gateways[0].read(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns"))) == 8


async def test_an_album_that_comes_at_once_is_one_turn(
    gateways: tuple[Store, Store], clock: ManualClock, write: Write
) -> None:
    """Each picture joins the first one, whichever that is."""
    await gateways[0].run(people.find_or_add, write("").sender)
    ties = Ties(joins=("album",), opens=("album",))
    pictures = [replace(write(f"picture {number}"), ties=ties, reference=str(number)) for number in range(10)]
    outcomes = await asyncio.gather(
        *(gateways[number % 2].run(accepting.accept, said, FREE, clock.now()) for number, said in enumerate(pictures))
    )
    assert len({outcome.turn_id for outcome in outcomes if isinstance(outcome, Accepted)}) == 1
    pieces = await gateways[0].read(lambda c: c.scalars(sa.select(table.c.pieces)).all())
    assert [len(of_one) for of_one in pieces] == [10]


async def test_what_runs_alone_fits_between(gateways: tuple[Store, Store], clock: ManualClock, write: Write) -> None:
    """Edits, /stop and /forget in the middle of it all fail nothing, and in the end nothing is open."""
    office, done = Office(clock=clock), asyncio.Event()
    said = [write(f"hello {number}", who=f"p{number % 4}") for number in range(20)]

    async def talk(store: Store, messages: list[Message]) -> None:
        for number, message in enumerate(messages):
            await store.run(accepting.accept, message, FREE, clock.now())
            match number % 5:
                case 1:
                    edit = Edit(message=replace(message, text="other words"), event_keys=(f"edit {message.text}",))
                    await store.run(corrections.edit, edit, FREE, clock.now())
                case 2:
                    await store.run(accepting.accept, replace(write("/stop"), sender=message.sender), FREE, clock.now())
                case 3:
                    await store.run(records.forget, message.sender, 0, now=clock.now())

    async def talk_all() -> None:
        await asyncio.gather(talk(gateways[0], said[::2]), talk(gateways[1], said[1::2]))
        done.set()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(serve(gateways[number % 2], office, done))
        group.create_task(talk_all())
    assert set(await gateways[0].read(states)) <= {"delivered"}


async def serve(store: Store, office: Office, until: asyncio.Event) -> None:
    """Like `Office.work`, for turns that others change meanwhile."""
    owner = f"owner {next(office.owners)}"
    lease = Lease(owner=owner, now=office.clock.now() + 1, until=office.clock.now() + 999)
    while True:
        is_last = until.is_set()
        claim = await store.run(turns.claim_waiting, lease, FRONTS) or await store.run(
            turns.claim_answered, lease, FRONTS
        )
        if claim is None:
            if is_last and set(await store.read(states)) <= {"delivered"}:
                return
            continue
        try:
            if claim.reply is None:
                await store.run(turns.finish, claim, owner, REPLY, office.clock.now(), KEEPING)
            await store.run(turns.mark_delivered, claim, owner)
        except MessageChanged:
            await store.run(turns.reopen, claim, owner)


def waiting_for_locks(connection: sa.Connection) -> int:
    """The transactions of this test that wait for a lock."""
    name = "application_name = current_setting('application_name')"
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {name} AND wait_event_type = 'Lock'"
    return int(connection.exec_driver_sql(query).scalar_one())


async def test_a_rare_case_is_begun_anew_alone(empty_postgresql: str) -> None:
    """A verb that asks to be alone is rolled back and run again, and then it may go on."""
    tries = 0

    def verb(connection: sa.Connection) -> None:
        nonlocal tries
        tries += 1
        assert events.remember(connection, ["key"], 1.0)
        alone(connection)

    async with open_store(empty_postgresql, beside=[verb]) as store:
        await store.run(verb)
        assert (tries, await store.run(events.is_known, ["key"])) == (2, True)
        tries = 0
        await store.run(alone)


async def test_any_other_verb_runs_alone(empty_postgresql: str, write: Write) -> None:
    """Verbs that are safe beside each other pass while one of them runs; any other one waits until it ends."""
    begun, go_on, order = asyncio.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def slow(connection: sa.Connection) -> None:
        people.find_or_add(connection, write("hello", who="slow").sender)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        order.append("slow")

    def quick(connection: sa.Connection) -> None:
        people.find_or_add(connection, write("hello", who="quick").sender)
        order.append("quick")

    def other(_connection: sa.Connection) -> None:
        order.append("other")

    async with open_store(empty_postgresql, beside=[slow, quick]) as store:
        running = asyncio.create_task(store.run(slow))
        await begun.wait()
        await store.run(quick)
        waiting = asyncio.create_task(store.run(other))
        while not await store.read(waiting_for_locks):
            assert not waiting.done()
        go_on.set()
        await asyncio.gather(running, waiting)
    assert order == ["quick", "slow", "other"]


async def test_a_conversation_gets_one_turn_after_the_other(empty_postgresql: str, write: Write) -> None:
    """A turn gets its id when those before it in the conversation are committed, also if they are of others."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def add(connection: sa.Connection, message: Message) -> None:
        person = people.find_or_add(connection, message.sender)
        turns.add(connection, person.id, message, "en", 1.0)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()

    async with open_store(empty_postgresql, beside=[add, accepting.accept]) as store:
        first = asyncio.create_task(store.run(add, write("one", who="bob", chat="room")))
        await begun.wait()
        second = asyncio.create_task(store.run(accepting.accept, write("two", chat="room"), FREE, 1.0))
        elsewhere = await store.run(accepting.accept, write("three", who="cid"), FREE, 1.0)
        while not await store.read(waiting_for_locks):
            assert not second.done()
        go_on.set()
        await asyncio.gather(first, second)
        assert isinstance(elsewhere, Accepted)


async def test_a_deadlock_is_begun_anew(empty_postgresql: str, write: Write) -> None:
    """Two verbs that lock two rows in opposite orders both succeed: the server ends one, which is tried again."""
    ann, bob = write("hello").sender, write("hello", who="bob").sender
    met: list[str] = []
    both = asyncio.Event()
    loop = asyncio.get_running_loop()

    def meet() -> None:
        met.append("here")
        if len(met) == 2:
            both.set()

    def lock(connection: sa.Connection, first: object, second: object) -> None:
        connection.execute(sa.text("SET LOCAL deadlock_timeout = '10ms'"))
        for who in (first, second):
            connection.execute(sa.text("UPDATE people SET noticed_at = noticed_at + 1 WHERE key = :key"), {"key": who})
            loop.call_soon_threadsafe(meet)
            asyncio.run_coroutine_threadsafe(both.wait(), loop).result()

    async with open_store(empty_postgresql, beside=[lock]) as store:
        for person in (ann, bob):
            await store.run(people.find_or_add, person)
        await asyncio.gather(store.run(lock, str(ann), str(bob)), store.run(lock, str(bob), str(ann)))
        assert await store.read(lambda c: c.scalars(sa.text("SELECT noticed_at FROM people")).all()) == [2.0, 2.0]


@pytest.mark.parametrize("verb", SIDE_BY_SIDE, ids=lambda verb: f"{verb.__module__}.{verb.__name__}")
def test_each_verb_is_in_the_code_that_promises_it(verb: object) -> None:
    """The verbs of the list are public functions of modules, not wrappers that the store would not recognise."""
    module = getattr(verb, "__module__", "").replace(".", "/")
    assert f"def {getattr(verb, '__name__', '')}(" in (Path(__file__).parents[3] / f"{module}.py").read_text("utf-8")
