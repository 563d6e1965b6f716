import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from core.clock import ManualClock
from core.delivery import Claim
from core.errors import AnswerUnreadable, DeliveryFailed, DeliveryRejected, StoreFailing
from core.i18n import say
from core.measures import Ending, Measures
from core.messages import WITHDRAWN, Message, Reply, Source, Turn
from core.pipeline import Handler
from core.store import Store, dead_letters, people, records, turns
from core.store.history import Keeping
from core.store.turns import Lease
from core.worker import MAX_ATTEMPTS, MAX_FAULTS, Worker, working
from tests.core.conftest import Write
from tests.options import worker_with

P = ParamSpec("P")
R = TypeVar("R")

FRONT = "test/w"


class Shown:
    """A front end that records placeholders by handle and replies by turn. Each reply has `parts` messages."""

    def __init__(self) -> None:
        self.parts = 1
        self.dropped: list[int] = []
        self.withdrawn: list[str] = []
        self.placeholders: list[str] = []
        self.pieces: list[str] = []
        self.replies: list[tuple[str, str]] = []
        self.arrived = asyncio.Event()
        self.failures: list[DeliveryFailed] = []

    async def begin(self, claim: Claim) -> str:
        known = claim.handle.split("+") if claim.handle else []
        self.placeholders.append(f"placeholder {claim.id}" + "'" * len(known))
        return "+".join([*known, self.placeholders[-1]])

    async def preview(self, _claim: Claim, piece: str) -> str | None:
        self.pieces.append(piece)
        return None

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if not claim.handle or claim.handle.count("+") < self.parts - 1:
            return await self.begin(claim)
        if self.failures:
            raise self.failures.pop()
        self.replies.append((claim.handle, reply.text))
        self.arrived.set()
        return claim.handle

    async def open_thread(self, claim: Claim) -> str:
        raise DeliveryRejected(f"no threads for turn {claim.id}")

    async def withdraw(self, claim: Claim) -> None:
        self.withdrawn.append(claim.handle)
        self.arrived.set()

    async def drop(self, claim: Claim) -> None:
        self.dropped.append(claim.id)
        self.arrived.set()

    async def until(self, count: int) -> None:
        while len(self.replies) < count:
            self.arrived.clear()
            await self.arrived.wait()

    async def until_dropped(self) -> None:
        while not (self.dropped or self.replies):
            self.arrived.clear()
            await self.arrived.wait()


@pytest.fixture
def shown() -> Shown:
    return Shown()


async def upper(turn: Turn) -> Reply:
    await turn.sink(turn.message.text)
    return Reply(text=turn.message.text.upper(), source=Source.MODEL, tokens=1)


def gateway(
    store: Store, clock: ManualClock, shown: Shown, answer: Handler = upper, *, owner: str = "me", slots: int = 1
) -> Worker:
    return Worker(store, answer, {FRONT: shown}, clock, worker_with(owner=owner, slots=slots))


async def add(store: Store, clock: ManualClock, message: Message, *, after: float = 0.0) -> int:
    """Accept a message, which may not be claimed before `after` seconds have passed."""
    person, now = await store.run(people.hear, message.sender, message.text), clock.now()
    language = person.languages.own_words(None)
    return await store.run(lambda c: turns.add(c, person.id, message, language, now, not_before=now + after))


async def owners(store: Store) -> list[str]:
    return list(await store.run(lambda c: c.scalars(sa.text("SELECT owner FROM turns ORDER BY id")).all()))


async def states(store: Store) -> list[str]:
    return list(await store.run(lambda c: c.scalars(sa.text("SELECT state FROM turns ORDER BY id")).all()))


@asynccontextmanager
async def one_claim(store: Store, clock: ManualClock, owner: str) -> AsyncIterator[Claim]:
    claim = await store.run(turns.claim_waiting, Lease(owner=owner, now=clock.now(), until=clock.now() + 10), [FRONT])
    assert claim is not None
    yield claim


async def test_answers_waiting_turns(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A waiting turn gets its placeholder, its preview and its reply, and is delivered."""
    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.placeholders == ["placeholder 1"]
    assert shown.pieces == ["hello"]
    assert shown.replies == [("placeholder 1", "HELLO")]
    assert await states(store) == ["delivered"]


async def test_the_times_of_a_reply_are_stored(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """Both begin when the turn is answered; of two pieces the first one counts, and without pieces there is no time."""

    async def slowly(turn: Turn) -> Reply:
        for piece in turn.message.text.split():
            clock.advance(2)
            await turn.sink(piece)
        return Reply(text="-", source=Source.MODEL)

    await add(store, clock, write("in pieces"))
    await add(store, clock, write("", who="bob"))
    async with working(gateway(store, clock, shown, slowly), grace=5):
        await shown.until(2)
    rows = await store.read(lambda c: c.execute(sa.text("SELECT first_piece, seconds FROM turns ORDER BY id")).all())
    assert [tuple(row) for row in rows] == [(2.0, 4.0), (None, 0.0)]


class LateShown(Shown):
    """A front end that posts its message with the first piece."""

    async def begin(self, claim: Claim) -> str:
        return await super().begin(claim) if claim.reply else ""

    async def preview(self, claim: Claim, piece: str) -> str | None:
        await super().preview(claim, piece)
        return None if claim.handle else f"piece {claim.id}"


async def test_message_posted_by_a_preview_is_kept(store: Store, clock: ManualClock, write: Write) -> None:
    """The handle of a message that a preview posts is committed before the next piece, and the reply goes there."""
    handles = []

    async def twice(turn: Turn) -> Reply:
        for piece in "ab":
            await turn.sink(piece)
            handles.append(await store.run(lambda c: c.scalar(sa.text("SELECT handle FROM turns"))))
        return Reply(text="ab", source=Source.MODEL, tokens=1)

    shown = LateShown()
    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown, twice), grace=5):
        await shown.until(1)
    assert handles == ["piece 1", "piece 1"]
    assert (shown.replies, shown.placeholders) == ([("piece 1", "ab")], [])


async def test_notified_worker_does_not_wait_for_its_poll(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A notified worker claims a turn without an advance of the clock."""
    worker = gateway(store, clock, shown)
    async with working(worker, grace=5):
        await clock.until_sleeping(2)
        await add(store, clock, write("hello"))
        worker.notify()
        await shown.until(1)


async def test_work_of_others_is_found_by_polling(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A message accepted by another process is found within the poll interval."""
    async with working(gateway(store, clock, shown), grace=5):
        await clock.until_sleeping(3)
        await add(store, clock, write("hello"))
        clock.advance(1)
        await shown.until(1)


class CountingStore:
    """A store that counts the looks for turns."""

    def __init__(self, store: Store) -> None:
        self.read, self.scrub = store.read, store.scrub
        self.looks: Counter[str] = Counter()
        self._looked = asyncio.Event()
        self._store = store

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result = await self._store.run(verb, *args, **kwargs)
        if verb.__name__ in {"claim_waiting", "claim_answered", "next_due", "has_unclaimed"}:
            self.looks[verb.__name__] += 1
            self._looked.set()
        return result

    async def until(self, verb: str, count: int) -> None:
        while self.looks[verb] < count:
            self._looked.clear()
            await self._looked.wait()


async def test_a_message_costs_few_looks(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """After a message that is alone the worker looks once for turns of each kind; at its end, whether any is left."""

    async def patient(turn: Turn) -> Reply:
        await clock.until_sleeping(3)
        return await upper(turn)

    counting = CountingStore(store)
    worker = gateway(counting, clock, shown, patient, slots=2)
    async with working(worker, grace=5):
        await clock.until_sleeping(3)
        counting.looks.clear()
        await add(store, clock, write("hello"))
        worker.notify()
        await counting.until("has_unclaimed", 1)
        await clock.until_sleeping(3)
        assert counting.looks == {"claim_waiting": 2, "claim_answered": 1, "next_due": 2, "has_unclaimed": 1}


class UnsureStore:
    """A store that commits each claim of a turn, and once cannot tell whether it has: after `sure` others."""

    def __init__(self, store: Store, sure: int = 0) -> None:
        self.read, self.scrub = store.read, store.scrub
        self._store = store
        self._sure = sure

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result = await self._store.run(verb, *args, **kwargs)
        if isinstance(result, Claim):
            self._sure -= 1
            if self._sure == -1:
                raise StoreFailing("stat failed")
        return result


async def test_a_claim_that_fails_after_its_commit_is_not_lost(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A turn that was leased by a claim whose commit was not confirmed is claimed again at the next look."""
    await add(store, clock, write("hello"))
    async with working(gateway(UnsureStore(store), clock, shown), grace=5):
        await clock.until_sleeping(3)
        clock.advance(1)
        await shown.until(1)
    assert await states(store) == ["delivered"]


async def test_a_claim_that_fails_costs_the_other_turns_nothing(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A turn that is being answered while another one's claim is not confirmed is answered once."""
    asked, gate = [], asyncio.Event()

    async def slow(turn: Turn) -> Reply:
        asked.append(turn.message.text)
        await gate.wait()
        return Reply(text="done", source=Source.MODEL, tokens=1)

    for who in ("ann", "bob"):
        await add(store, clock, write(who, who=who))
    async with working(gateway(UnsureStore(store, sure=1), clock, shown, slow, slots=3), grace=5):
        await clock.until_sleeping(3)
        clock.advance(1)
        await clock.until_sleeping(3)
        gate.set()
        await shown.until(2)
    assert asked == ["ann", "bob"]


@pytest.mark.parametrize(("after", "pause"), [(0.25, 0.25), (0.01, 0.05), (30.0, 1.0)])
async def test_a_turn_that_must_wait_is_claimed_when_it_is_due(
    store: Store, clock: ManualClock, shown: Shown, write: Write, after: float, pause: float
) -> None:
    """What answers sleeps until a turn is due, neither past that time nor with a look in between, and polls as always.
    What delivers does not wake for it.
    """
    await add(store, clock, write("hello"), after=after)
    async with working(gateway(store, clock, shown), grace=5):
        assert (await clock.until_sleeping(3))[:2] == [pause, 1.0]
        clock.advance(pause)
        if after <= pause:
            await shown.until(1)
        else:
            assert (await clock.until_sleeping(3))[:2] == [1.0, 1.0]
            assert shown.replies == []


async def test_conversation_is_answered_in_order(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """With many slots the messages of one conversation are still answered in order."""
    for number in range(4):
        await add(store, clock, write(f"m{number}"))
    async with working(gateway(store, clock, shown, slots=4), grace=5):
        await shown.until(4)
    assert [text for _, text in shown.replies] == ["M0", "M1", "M2", "M3"]


async def test_no_more_than_slots_at_once(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """With two slots two of five people are answered at a time."""
    running, most, gate = 0, 0, asyncio.Semaphore(0)

    async def busy(turn: Turn) -> Reply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            gate.release()
            gate.release()
        await gate.acquire()
        gate.release()
        running -= 1
        return await upper(turn)

    for number in range(5):
        await add(store, clock, write("hello", who=f"p{number}"))
    async with working(gateway(store, clock, shown, busy, slots=2), grace=5):
        await shown.until(5)
    assert most == 2


async def test_turn_that_killed_two_processes_gets_an_apology(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """The third claim of a turn is not attempted again and gets an apology."""
    await add(store, clock, write("poison"))
    for number in range(MAX_ATTEMPTS):
        async with one_claim(store, clock, f"dead {number}"):
            clock.advance(11)
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.pieces == []
    assert "stumbled over this message twice" in shown.replies[0][1]


async def test_apology_to_a_stranger_is_in_their_language(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """An apology to a new person is in the language of the message, although no language is stored yet."""
    await add(store, clock, write("毒药"))
    for number in range(MAX_ATTEMPTS):
        async with one_claim(store, clock, f"dead {number}"):
            clock.advance(11)
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.replies[0][1] == say("zh", "apology.died_twice")


async def test_known_placeholder_is_used_again(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A turn with a placeholder from a crashed process is answered in that placeholder."""
    await add(store, clock, write("hello"))
    async with one_claim(store, clock, "dead") as claim:
        await store.run(turns.set_handle, claim, "dead", "the old one")
    clock.advance(11)
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.placeholders == []
    assert shown.replies == [("the old one", "HELLO")]


async def test_saved_reply_is_shown_and_not_made_again(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A reply saved before a crash is delivered unchanged by the next process."""
    await add(store, clock, write("hello"))
    async with one_claim(store, clock, "dead") as claim:
        saved = Reply(text="saved", source=Source.MODEL, tokens=1)
        await store.run(turns.finish, claim, "dead", saved, clock.now(), Keeping(max_tokens=100, shared=False))
    clock.advance(11)
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.replies == [("placeholder 1", "saved")]


async def test_reply_that_was_there_at_once_gets_a_placeholder(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A refusal's notice is edited into a placeholder, so that a crash cannot show it twice."""
    message = write("hello")
    person = await store.run(people.find_or_add, message.sender)
    await store.run(turns.add, person.id, message, "en", clock.now(), Reply(text="no", source=Source.REFUSAL))
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert shown.replies == [("placeholder 1", "no")]
    assert await store.run(lambda c: c.scalar(sa.text("SELECT handle FROM turns"))) == "placeholder 1"


async def test_each_message_of_a_reply_is_kept_before_the_next_is_posted(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """The ids of a reply's earlier messages are in the store before the next one is posted or edited."""
    kept = []

    class Watched(Shown):
        async def finish(self, claim: Claim, reply: Reply) -> str:
            kept.append((claim.handle, await store.run(lambda c: c.scalar(sa.text("SELECT handle FROM turns")))))
            return await super().finish(claim, reply)

    shown = Watched()
    shown.parts = 3
    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    three = "placeholder 1+placeholder 1'+placeholder 1''"
    assert [known for known, _ in kept] == ["placeholder 1", "placeholder 1+placeholder 1'", three]
    assert all(known == stored for known, stored in kept)
    assert shown.replies == [(three, "HELLO")]


@pytest.mark.parametrize("posted", [1, 2])
async def test_lost_turn_is_abandoned_at_once(store: Store, clock: ManualClock, write: Write, posted: int) -> None:
    """A worker that no longer owns its turn stops at the next message it posts."""
    begun = []

    class Late(Shown):
        async def begin(self, claim: Claim) -> str:
            handle = await super().begin(claim)
            if len(self.placeholders) == posted:
                await store.run(lambda c: c.execute(sa.text("UPDATE turns SET owner = 'other'")))
            return handle

    async def noted(turn: Turn) -> Reply:
        begun.append(turn.id)
        return await upper(turn)

    shown = Late()
    shown.parts = 3
    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown, noted), grace=5):
        await shown.until_dropped()
    assert shown.dropped == [1]
    assert len(begun) == posted - 1
    assert len(shown.placeholders) == posted
    assert shown.replies == []
    assert await store.run(lambda c: c.scalar(sa.text("SELECT owner FROM turns"))) == "other"


async def test_reply_that_is_not_taken_is_offered_again(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """If the platform asks for 30 s, the same reply is delivered after 30 s."""
    shown.failures.append(DeliveryFailed(retry_after=30))
    await add(store, clock, write("hello"))
    worker = gateway(store, clock, shown)
    async with working(worker, grace=5):
        while "answered" not in await states(store):
            await asyncio.sleep(0)
        while await store.run(lambda c: c.scalar(sa.text("SELECT owner FROM turns"))) != "":
            await asyncio.sleep(0)
        assert shown.replies == []
        clock.advance(30)
        worker.notify()
        await shown.until(1)
    assert shown.replies == [("placeholder 1", "HELLO")]


async def test_tries_to_show_a_reply_are_counted(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """One that the platform refuses for now, and one that it takes."""
    shown.failures.append(DeliveryFailed(retry_after=0))
    await add(store, clock, write("hello"))
    measures = Measures()
    worker = Worker(store, upper, {FRONT: shown}, clock, worker_with(owner="me", slots=1), measures=measures)
    async with working(worker, grace=5):
        while delivered(measures, Ending.RETRIED) is None or await owners(store) != [""]:
            await asyncio.sleep(0)
        worker.notify()
        await shown.until(1)
    tries = {outcome: delivered(measures, outcome) for outcome in Ending}
    assert tries == {Ending.DELIVERED: 1, Ending.RETRIED: 1, Ending.APOLOGISED: None, Ending.FAILED: None}


def delivered(measures: Measures, outcome: Ending) -> float | None:
    labels = {"platform": "test", "outcome": outcome}
    return measures.registry.get_sample_value("parley_deliveries_total", labels)


async def test_shutdown_finishes_what_is_at_hand(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A worker that is asked to stop finishes its turn and claims no other."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn) -> Reply:
        begun.set()
        await go_on.wait()
        return await upper(turn)

    await add(store, clock, write("one", who="ann"))
    await add(store, clock, write("two", who="bob"))
    async with working(gateway(store, clock, shown, slow), grace=5):
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert [text for _, text in shown.replies] == ["ONE"]
    assert await states(store) == ["delivered", "waiting"]


async def test_turn_cut_off_at_shutdown_is_given_back(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A turn that exceeds the grace period is released without counting an attempt."""

    async def endless(_turn: Turn) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown, endless), grace=0):
        while "running" not in await states(store):
            await asyncio.sleep(0)
    assert await states(store) == ["waiting"]
    async with one_claim(store, clock, "next") as claim:
        assert claim.attempt == 1


async def test_reply_survives_a_full_disk(sqlite_store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A reply that cannot be saved is retried until it is, and then delivered once."""
    store = sqlite_store
    await add(store, clock, write("hello"))

    def set_room(pages: int) -> Callable[[sa.Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one()

    async def long_reply(_turn: Turn) -> Reply:
        await store.run(set_room(1))  # less than the current size: SQLite takes the current size as the limit
        return Reply(text="long" * 20_000, source=Source.MODEL)

    async with working(gateway(store, clock, shown, long_reply), grace=5):
        while 1.0 not in await clock.until_sleeping(3):
            await asyncio.sleep(0)
        assert shown.replies == []
        await store.run(set_room(100_000))
        clock.advance(1)
        await shown.until(1)
    assert await states(store) == ["delivered"]


async def test_leases_are_renewed_while_a_turn_runs(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """The lease of a running turn is renewed, so that no other gateway claims it."""
    go_on = asyncio.Event()

    async def slow(turn: Turn) -> Reply:
        await go_on.wait()
        return await upper(turn)

    await add(store, clock, write("hello"))
    async with working(gateway(store, clock, shown, slow), grace=5):
        while "running" not in await states(store):
            await asyncio.sleep(0)
        until = await store.run(lambda c: c.scalar(sa.text("SELECT lease_until FROM turns")))
        clock.advance(4)
        while await store.run(lambda c: c.scalar(sa.text("SELECT lease_until FROM turns"))) == until:
            await asyncio.sleep(0)
        go_on.set()
        await shown.until(1)


async def test_interrupted_turn_is_stopped(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """Interrupting a running turn sets its `stopped`; for any other turn it does nothing."""
    begun = asyncio.Event()

    async def until_stopped(turn: Turn) -> Reply:
        begun.set()
        await turn.stopped.wait()
        return Reply(text="stopped", source=Source.MODEL)

    turn_id = await add(store, clock, write("hello"))
    worker = gateway(store, clock, shown, until_stopped)
    async with working(worker, grace=5):
        await begun.wait()
        worker.interrupt(turn_id + 1)
        worker.interrupt(turn_id)
        await shown.until(1)
    assert shown.replies == [("placeholder 1", "stopped")]


class SlowShown(Shown):
    """A front end that takes its time to post a placeholder."""

    def __init__(self) -> None:
        super().__init__()
        self.is_posting, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def begin(self, claim: Claim) -> str:
        self.is_posting.set()
        await self.may_go_on.wait()
        return await super().begin(claim)


async def test_a_turn_is_stopped_while_its_placeholder_is_posted(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A stop that comes before the model is asked is not lost."""

    async def was_stopped(turn: Turn) -> Reply:
        return Reply(text=str(turn.stopped.is_set()), source=Source.MODEL)

    shown = SlowShown()
    turn_id = await add(store, clock, write("hello"))
    worker = gateway(store, clock, shown, was_stopped)
    async with working(worker, grace=5):
        await shown.is_posting.wait()
        worker.interrupt(turn_id)
        shown.may_go_on.set()
        await shown.until(1)
    assert shown.replies == [("placeholder 1", "True")]


async def test_turn_claimed_at_the_moment_of_cancellation_is_given_back(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A worker cancelled during a claim releases the turn without counting an attempt."""
    await add(store, clock, write("hello"))
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: sa.Connection) -> None:
        begun.set()
        go_on.wait()

    held = asyncio.create_task(store.run(hold))
    await asyncio.to_thread(begun.wait)
    running = asyncio.create_task(gateway(store, clock, shown).run())
    await clock.until_sleeping(1)
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    await held
    assert await states(store) == ["waiting"]
    async with one_claim(store, clock, "next") as claim:
        assert claim.attempt == 1


async def test_a_withdrawn_turn_is_removed_with_its_messages(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """Its messages are deleted, then its row; whoever keeps a copy of the answer is told."""
    message = write("")
    person = await store.run(people.hear, message.sender, "")
    turn_id = await store.run(turns.add, person.id, message, "en", clock.now(), WITHDRAWN)
    told: list[int] = []
    options = worker_with(owner="me")
    async with working(Worker(store, upper, {FRONT: shown}, clock, options, on_withdrawn=told.append), grace=5):
        while await states(store):
            await asyncio.sleep(0)
    assert (shown.withdrawn, shown.replies, shown.placeholders, told) == ([""], [], [], [turn_id])


async def test_forgetting_ends_the_turns_that_run(store: Store, clock: ManualClock, shown: Shown, write: Write) -> None:
    """A person's /forget interrupts their answer in another conversation; both are delivered, and nothing remains."""
    running = asyncio.Event()

    async def until_stopped(turn: Turn) -> Reply:
        if turn.message.text == "/forget yes":
            await running.wait()
            await store.run(records.forget, turn.message.sender, turn.id)
            return Reply(text="forgotten", source=Source.COMMAND)
        running.set()
        await turn.stopped.wait()
        return Reply(text="half an answer", source=Source.MODEL, tokens=9)

    await add(store, clock, write("a long question", chat="group"))
    await add(store, clock, write("/forget yes", chat="ann"))
    async with working(gateway(store, clock, shown, until_stopped, slots=2), grace=5):
        await shown.until(2)
    assert sorted(shown.replies) == [("placeholder 1", "Stopped."), ("placeholder 2", "forgotten")]
    assert await states(store) == []
    assert await store.run(lambda c: c.scalars(sa.text("SELECT key FROM people")).all()) == []


class Broken(Shown):
    """A front end that fails in a way that nobody expects, the first `times` times that it is asked for a reply."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        super().__init__()
        self.times = times
        self.error = error or KeyError("a person's words")

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if claim.handle and self.times:
            self.times -= 1
            raise self.error
        return await super().finish(claim, reply)


async def served(store: Store, clock: ManualClock, worker: Worker, *, state: str) -> None:
    """Run a worker until all turns are in a state, while time passes."""
    async with working(worker, grace=5):
        while set(await states(store)) != {state}:
            clock.advance(1)
            await asyncio.sleep(0)


async def counts(store: Store) -> list[int]:
    return list(await store.run(lambda c: c.scalars(sa.text("SELECT faults FROM turns")).all()))


async def test_unexpected_fault_costs_a_try_of_its_turn_only(store: Store, clock: ManualClock, write: Write) -> None:
    """A delivery that fails twice unexpectedly is tried a third time, and other turns are served meanwhile."""
    shown = Broken(MAX_FAULTS - 1)
    await add(store, clock, write("hello"))
    await add(store, clock, write("and I", who="bob"))
    with capture_logs() as logs:
        await served(store, clock, gateway(store, clock, shown), state="delivered")
    assert sorted(text for _, text in shown.replies) == ["AND I", "HELLO"]
    assert "a person's words" not in str(logs)


@pytest.mark.parametrize("error", [KeyError("x"), AnswerUnreadable(retry_after=5)])
async def test_third_fault_ends_in_an_apology(store: Store, clock: ManualClock, write: Write, error: Exception) -> None:
    """A reply whose delivery fails three times gives way to an apology, and is not remembered as said."""
    shown = Broken(MAX_FAULTS, error)
    await add(store, clock, write("hello"))
    await served(store, clock, gateway(store, clock, shown), state="delivered")
    assert [text for _, text in shown.replies] == [say("en", "apology.unexpected")]
    assert await store.run(lambda c: c.scalar(sa.text("SELECT remembered FROM turns"))) == 0


async def test_answering_that_fails_unexpectedly_ends_in_an_apology(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """A turn whose answering raises three times gets an apology, in the message that was shown for it."""

    async def broken(_turn: Turn) -> Reply:
        raise ZeroDivisionError

    await add(store, clock, write("hello"))
    await served(store, clock, gateway(store, clock, shown, broken), state="delivered")
    assert shown.replies == [("placeholder 1", say("en", "apology.unexpected"))]


async def test_apology_that_cannot_be_delivered_is_a_dead_letter(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """After six faults a turn is dead and claimed no more; opened again, its reply is delivered."""
    shown = Broken(2 * MAX_FAULTS)
    await add(store, clock, write("hello"))
    await add(store, clock, write("later"))
    with capture_logs() as logs:
        async with working(gateway(store, clock, shown), grace=5):
            while await states(store) != ["dead", "delivered"]:
                clock.advance(1)
                await asyncio.sleep(0)
    assert [entry["turn"] for entry in logs if entry["event"] == "dead letter"] == [1]
    (letter,) = await store.run(dead_letters.letters)
    assert (letter.id, letter.is_answered) == (1, True)
    assert letter.fault.startswith("KeyError at test_worker.py:")
    assert await store.run(dead_letters.retry) == 1
    assert (await states(store), await counts(store)) == (["answered", "delivered"], [0, 0])
    await served(store, clock, gateway(store, clock, shown), state="delivered")
    assert [text for _, text in shown.replies] == ["LATER", "HELLO"]


async def test_turn_that_cannot_be_read_is_a_dead_letter(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """Turns that a damaged store holds in another form do not keep the others from being answered."""
    await damage_turns(store, clock, write, ["quotes = 'x'", "kind = 'x'", "conversation = 'x'"])
    await add(store, clock, write("sound"))
    async with working(gateway(store, clock, shown), grace=5):
        await shown.until(1)
    assert [text for _, text in shown.replies] == ["SOUND"]


async def test_text_that_is_none_is_a_dead_letter(
    sqlite_store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """So it is with bytes that are no UTF-8, which PostgreSQL does not store."""
    await damage_turns(sqlite_store, clock, write, ["handle = CAST(x'ff' AS TEXT)"])
    await add(sqlite_store, clock, write("sound"))
    async with working(gateway(sqlite_store, clock, shown), grace=5):
        await shown.until(1)
    assert [text for _, text in shown.replies] == ["SOUND"]


async def damage_turns(store: Store, clock: ManualClock, write: Write, damages: Sequence[str]) -> None:
    for number, damage in enumerate(damages):
        turn_id = await add(store, clock, write("hello", who=f"p{number}"))
        await store.run(lambda c: c.execute(sa.text(f"UPDATE turns SET {damage} WHERE id = {turn_id}")))  # noqa: B023


async def test_claim_that_fails_unexpectedly_is_made_again(
    store: Store, clock: ManualClock, shown: Shown, write: Write
) -> None:
    """What a claim raises does not end the worker: it looks for turns again at its next poll."""
    worker = gateway(store, clock, shown)
    failing = [KeyError() for _ in range(4)]

    class Failing:
        def __iter__(self) -> Iterator[str]:
            if failing and (error := failing.pop()):
                raise error
            return iter([FRONT])

        def __len__(self) -> int:
            return 1

        def __getitem__(self, name: str) -> Shown:
            return shown

    worker._fronts = Failing()  # type: ignore[assignment]
    await add(store, clock, write("hello"))
    await served(store, clock, worker, state="delivered")
    assert failing == []
