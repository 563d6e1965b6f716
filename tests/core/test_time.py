"""The machine's clock is set, in either direction, and the machine is suspended. `ManualClock.jump` is both."""

import asyncio
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from core.accepting import NOTICE_EVERY, Accepted, Duplicate, Ignored, Refused
from core.admission import Admission
from core.clock import ManualClock, Steps
from core.delivery import Claim
from core.errors import DeliveryRejected, Throttled
from core.limits import Limits
from core.messages import ConversationKey, Finish, Message, Person, Reply, Source, Turn
from core.store import Store, backlog, open_store, people, turns
from core.store.backlog import DEFAULT_SECONDS, LONGEST
from core.store.history import Keeping
from core.store.turns import Lease, Took
from core.worker import Worker, working
from tests.core.conftest import Write
from tests.options import limits_with, worker_with

DAY = 86_400.0
EVERYBODY = frozenset({"test:*"})
LIMITS = limits_with(per_minute=6, burst=3, max_queued=1000, max_wait=1e9, allow=EVERYBODY)
INTERVAL = 10.0
KEEPING = Keeping(max_tokens=100, shared=False)


class Idle:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


def door(store: Store, clock: ManualClock, limits: Limits = LIMITS) -> Admission:
    return Admission(store, clock, limits, Idle())


async def add(store: Store, clock: ManualClock, message: Message) -> int:
    person = await store.run(people.find_or_add, message.sender)
    return await store.run(turns.add, person.id, message, "en", clock.now())


def lease(clock: ManualClock, owner: str = "me") -> Lease:
    return Lease(owner=owner, now=clock.now(), until=clock.now() + 10)


async def claim(store: Store, clock: ManualClock, owner: str = "me") -> Claim | None:
    return await store.run(turns.claim_waiting, lease(clock, owner), ["test/w"])


async def test_clock_that_was_ahead_locks_nobody_out(store: Store, clock: ManualClock, write: Write) -> None:
    """After a clock that was a day ahead is put right, a person waits no longer than after a whole burst."""
    admission = door(store, clock)
    clock.jump(DAY)
    await admission.accept(write("ahead"))
    clock.jump(-DAY)
    outcome = await admission.accept(write("back"))
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, Throttled)
    assert outcome.error.retry_after == pytest.approx(INTERVAL)
    clock.advance(INTERVAL)
    assert isinstance(await admission.accept(write("later")), Accepted)
    clock.advance(LIMITS.burst * INTERVAL)
    for _ in range(LIMITS.burst):
        assert isinstance(await admission.accept(write("a burst")), Accepted)


async def test_notice_in_the_future_silences_nobody(store: Store, clock: ManualClock, write: Write) -> None:
    """A notice that was sent while the clock was ahead does not stop the next ones once it is put right."""
    admission = door(store, clock, limits_with(allow=frozenset()))
    clock.jump(DAY)
    await admission.accept(write("ahead"))
    clock.jump(-DAY)
    outcomes = []
    for _ in range(3):
        outcomes.append(await admission.accept(write("back")))
        clock.advance(NOTICE_EVERY / 2)
    assert [isinstance(outcome, Refused) and outcome.turn_id is not None for outcome in outcomes] == [True, False, True]


async def test_turn_put_off_is_due_once_the_clock_is_set_back(store: Store, clock: ManualClock, write: Write) -> None:
    """A turn that was put off for two seconds is not put off for an hour by a clock that is set back an hour."""
    await add(store, clock, write("hello"))
    turn = await claim(store, clock)
    assert turn is not None
    await store.run(turns.release, turn, "me", clock.now() + 2)
    assert await claim(store, clock) is None
    clock.jump(-3_600)
    clock.advance(60)
    assert await claim(store, clock) is not None


async def test_turn_that_waits_for_more_is_due_once_the_clock_is_set_back(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """An album's first picture waits a second for the others, and not a day more."""
    message = write("hello")
    person = await store.run(people.find_or_add, message.sender)
    await store.run(turns.add, person.id, message, "en", clock.now(), not_before=clock.now() + 1)
    assert await claim(store, clock) is None
    clock.jump(-DAY)
    assert await claim(store, clock) is not None


async def test_lease_of_a_dead_owner_ends_though_the_clock_is_set_back(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A lease in the future holds nobody up."""
    await add(store, clock, write("hello"))
    await claim(store, clock, "dead")
    clock.jump(-DAY)
    assert await claim(store, clock) is not None


@pytest.mark.parametrize("seconds", [DAY, -DAY])
async def test_leases_survive_a_step(store: Store, clock: ManualClock, write: Write, seconds: float) -> None:
    """Once a gateway notices that the clock was set, the leases of others hold as long as new ones."""
    await add(store, clock, write("hello"))
    await claim(store, clock, "other")
    clock.jump(seconds)
    await store.run(turns.restart_leases, lease(clock), ["test/w"])
    clock.advance(9)
    assert await claim(store, clock) is None
    clock.advance(2)
    assert await claim(store, clock) is not None


def test_steps_are_noticed_once(clock: ManualClock) -> None:
    """A step in either direction is told once; the passing of time and small corrections are none."""
    steps = Steps(clock)
    clock.advance(DAY)
    clock.jump(0.5)
    assert steps.step() == 0
    for seconds in (60.0, -60.0):
        clock.jump(seconds)
        assert (round(steps.step()), steps.step()) == (seconds, 0)


@pytest.mark.parametrize(("seconds", "expected"), [(None, DEFAULT_SECONDS), (8.0, 8.0), (DAY, LONGEST)])
async def test_estimate_comes_from_measured_seconds(
    store: Store, clock: ManualClock, write: Write, seconds: float | None, expected: float
) -> None:
    """A machine that was suspended during a turn, or whose clock was set, changes nothing about the predicted wait."""
    await add(store, clock, write("hello"))
    turn = await claim(store, clock)
    assert turn is not None
    clock.jump(DAY)
    reply = Reply(text="x", source=Source.MODEL, finish=Finish.STOP)
    await store.run(turns.finish, turn, "me", reply, clock.now(), KEEPING, took=Took(seconds=seconds))
    assert (await store.run(backlog.measure, 99)).turn_seconds == expected


class Shown:
    """A front end that records, by message, the turn whose reply it shows. A process that ends may show one again."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self._numbers = count(1)

    async def begin(self, claim: Claim) -> str:
        return f"message {next(self._numbers)}"

    async def preview(self, claim: Claim, piece: str) -> str | None:
        pass

    async def finish(self, claim: Claim, reply: Reply) -> str:
        handle = claim.handle or f"reply to {claim.id}"  # a notice has no placeholder
        self.shown[handle] = claim.id
        return handle

    async def open_thread(self, claim: Claim) -> str:
        raise DeliveryRejected(f"no threads for turn {claim.id}")

    async def withdraw(self, claim: Claim) -> None:
        pytest.fail(f"turn {claim.id} was withdrawn")

    async def drop(self, claim: Claim) -> None:
        pass


Happening = tuple[str, float]
SECONDS = st.floats(0, 40)
HAPPENINGS: st.SearchStrategy[list[Happening]] = st.lists(
    st.one_of(
        st.tuples(st.just("message"), st.integers(0, 2).map(float)),
        st.tuples(st.just("time passes"), SECONDS),
        st.tuples(st.just("clock is set"), st.floats(-2 * DAY, 2 * DAY)),
        st.tuples(st.just("machine sleeps"), st.floats(0, DAY)),
        st.tuples(st.just("restart"), SECONDS),
    ),
    max_size=25,
)


class Life:
    """A bot with three people, to which things happen. Turns take three seconds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.shown = Shown()
        self.accepted: set[int] = set()
        self.numbers = count(1)

    async def answer(self, turn: Turn) -> Reply:
        await self.clock.sleep(3)
        return Reply(text=turn.message.text, source=Source.MODEL, tokens=1)

    async def say(self, who: float) -> Accepted | Refused:
        here = ConversationKey(platform="test", workspace="w", chat=str(who))
        message = Message(
            event_keys=(f"message {next(self.numbers)}",),
            conversation=here,
            sender=Person(platform="test", workspace="w", id=str(who)),
            text="hello",
            sent_at=self.clock.now(),
        )
        outcome = await door(self.store, self.clock).accept(message)
        assert not isinstance(outcome, Duplicate | Ignored)
        if outcome.turn_id is not None:
            self.accepted.add(outcome.turn_id)
        return outcome

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds) + 1):
            self.clock.advance(seconds / (int(seconds) + 1))
            for _ in range(10):
                await asyncio.sleep(0)

    async def happen(self, what: str, amount: float) -> None:
        if what == "message":
            await self.say(amount)
        elif what == "time passes":
            await self.pass_time(amount)
        else:
            self.clock.jump(amount)
        assert 0 <= (await self.store.run(backlog.measure, 0)).turn_seconds <= LONGEST

    async def run_process(self, happenings: list[Happening], name: str, *, is_last: bool) -> None:
        """One process of the bot, to which things happen. The last one has time to answer everything."""
        await self.store.run(turns.disown, "test")
        options = worker_with(owner=name, slots=2)
        async with working(Worker(self.store, self.answer, {"test/w": self.shown}, self.clock, options), grace=0):
            for what, amount in happenings:
                await self.happen(what, amount)
            if is_last:
                await self.until_settled()

    async def until_settled(self) -> None:
        query = sa.text("SELECT count(*) FROM turns WHERE state <> 'delivered'")
        for _ in range(200):
            if not await self.store.run(lambda connection: connection.scalar(query)):
                return
            await self.pass_time(5)
        pytest.fail("a turn is stuck")

    async def check_nobody_is_locked_out(self) -> None:
        """What was too far ahead is corrected at the first message, which waits for a burst at most."""
        for who in range(3):
            outcome = await self.say(who)
            if isinstance(outcome, Refused):
                assert isinstance(outcome.error, Throttled)
                assert outcome.error.retry_after <= LIMITS.burst * INTERVAL
                self.clock.advance(outcome.error.retry_after)
                assert isinstance(await self.say(who), Accepted)


async def live(happenings: list[Happening]) -> None:
    """Let things happen to a bot, then check that it answers everything once, and refuses nobody for long."""
    processes: list[list[Happening]] = [[]]
    for happening in happenings:
        if happening[0] == "restart":
            processes.append([])
        else:
            processes[-1].append(happening)
    async with open_store("sqlite://") as store:
        life = Life(store)
        for number, process in enumerate(processes):
            await life.run_process(process, f"process {number}", is_last=process is processes[-1])
        assert sorted(life.shown.shown.values()) == sorted(life.accepted)
        await life.check_nobody_is_locked_out()


@settings(max_examples=25)
@given(HAPPENINGS)
def test_nothing_is_stuck_or_answered_twice_whatever_the_clock_does(happenings: list[Happening]) -> None:
    """Over random steps of the clock, suspensions and restarts each turn is shown once, and nobody is locked out."""
    asyncio.run(live(happenings))


@pytest.mark.long
@settings(max_examples=1_000)
@given(HAPPENINGS)
def test_nothing_is_over_a_thousand_lives(happenings: list[Happening]) -> None:
    """The same with a thousand examples."""
    asyncio.run(live(happenings))
